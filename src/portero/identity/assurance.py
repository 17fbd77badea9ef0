"""How sure it is who somebody is: a session's assurance level, raised by a second factor and lowered with it.

What counts is the session as stored, never the `aal` an access token was minted with. Everything happens inside the
caller's transaction, in which the user's row is locked: two requests of one user about factors never meet. It checks no
code. Obeys auth.md §1.4, §2.4, §2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity.context import Caller, Change, Opened
from portero.identity.sessions import account_of
from portero.records import dataclass
from portero.store import factors, sessions, users
from portero.store.factors import FactorRecord, FactorType
from portero.store.sessions import SessionRecord
from portero.store.users import UserRecord

Method = Literal["totp", "mfa/recovery_code"]
_METHODS: Final[dict[FactorType, Method]] = {"totp": "totp", "recovery_code": "mfa/recovery_code"}
_NO_USER: Final = "User from sub claim in JWT does not exist"
_NO_SESSION: Final = "Session from session_id claim in JWT does not exist"
_ANONYMOUS: Final = "Anonymous user not allowed to perform these actions"


@dataclass(frozen=True, slots=True)
class Asking:
    """A request of a user about their own record or factors.

    Attributes:
        user_id: who asks.
        session_id: in which session; None for a hand-made token without one.
        caller: whence.
        now: the time of the request.
    """

    user_id: UUID
    session_id: UUID | None
    caller: Caller
    now: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks, as the transaction sees them: both rows are locked until it ends."""

    user: UserRecord
    session: SessionRecord
    factors: Sequence[FactorRecord]

    @property
    def is_at_aal2(self) -> bool:
        """Whether a second factor was verified in this session."""
        return self.session.aal == "aal2"

    @property
    def verified(self) -> list[FactorRecord]:
        """The factors that count, recovery codes apart: they are no factor of their own."""
        return [factor for factor in self.factors if factor.is_verified and factor.factor_type != "recovery_code"]


def enter(change: Change, asking: Asking) -> Holder:
    """Lock the user and the session of a request, and look at the factors.

    Raises:
        AuthError: 403 user_not_found, no_authorization (anonymous user), session_not_found.
    """
    connection = change.connection
    user = users.by_id(connection, asking.user_id, lock=True)
    if user is None or user.deleted_at is not None:
        raise AuthError(403, "user_not_found", _NO_USER)
    if user.is_anonymous:
        raise AuthError(403, "no_authorization", _ANONYMOUS)
    session = None if asking.session_id is None else sessions.by_id(connection, asking.session_id, lock=True)
    if session is None or session.user_id != user.id:
        raise AuthError(403, "session_not_found", _NO_SESSION)
    return Holder(user, session, factors.of_user(connection, user.id))


def require(connection: sa.Connection, user_id: UUID, session_id: UUID | None) -> None:
    """Refuse a sensitive change by a user with a second factor in a session without one.

    Raises:
        AuthError: 401 insufficient_aal.
    """
    if not any(factor.is_verified for factor in factors.of_user(connection, user_id)):
        return
    session = None if session_id is None else sessions.by_id(connection, session_id)
    if session is None or session.aal != "aal2":
        message = "AAL2 session is required to update email or password when MFA is enabled."
        raise AuthError(401, "insufficient_aal", message)


def raise_session(change: Change, holder: Holder, factor: FactorRecord, asking: Asking) -> Opened:
    """Raise the session to aal2 by a factor of which a code was right; the user's other sessions at aal1 end.

    Refresh tokens from before the second factor are worth nothing afterwards.
    """
    connection, now, address = change.connection, asking.now, asking.caller.address
    method = _METHODS[factor.factor_type]
    others = [entry for entry in holder.session.amr if entry["method"] != method]
    amr = [{"method": method, "timestamp": int(now.timestamp())}, *others]
    session = sessions.raise_assurance(connection, holder.session.id, factor.id, amr, now)
    assert session is not None, "the row is locked"
    change.record(Event(Happening.FACTOR_VERIFIED, now, holder.user.id, session.id, address, {"method": method}))
    ended = sessions.delete_at_aal1(connection, holder.user.id, except_id=session.id)
    if ended:
        details: dict[str, str | int | bool] = {"scope": "aal1", "count": ended}
        change.record(Event(Happening.SESSION_ENDED, now, holder.user.id, session.id, address, details))
    return Opened(account_of(change, holder.user), session)


def record(change: Change, happening: Happening, asking: Asking, factor: FactorRecord) -> None:
    """Write down what happened to a factor, with who asked."""
    details = {"factor_id": str(factor.id), "type": factor.factor_type}
    change.record(Event(happening, asking.now, asking.user_id, asking.session_id, asking.caller.address, details))


def lower_sessions(change: Change, factor: FactorRecord) -> None:
    """Take the sessions back to aal1 that this factor raised; their clients see it at the next refresh."""
    method = _METHODS[factor.factor_type]
    for session in sessions.of_user(change.connection, factor.user_id):
        if session.factor_id == factor.id:
            sessions.lower_assurance(change.connection, session.id, _without(session.amr, method))


def _without(amr: Sequence[Any], method: Method) -> list[Any]:
    return [entry for entry in amr if entry["method"] != method]
