"""A session: opened by a sign-in, advanced by its refresh tokens, ended by sign-out, time or theft (auth.md §2.6).

Refresh tokens count. The current one advances the session; its direct parent gets the current successor again, always,
because a lost answer is normal; anything older ends the session (threats SE-08 to SE-12). A token that was not made
here ends nothing. There is no time window to tune.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import sqlalchemy as sa

from portero import deadline
from portero.crypto import refresh_tokens
from portero.errors import AuthError, InvalidToken, Refused
from portero.events import Event, Happening
from portero.identity import throttle
from portero.identity.context import Account, Caller, Change, IdentityContext, Opened, SignedIn
from portero.ids import random_id
from portero.store import accounts, factors, identities, sessions
from portero.store.factors import FactorRecord
from portero.store.group_commit import Undo
from portero.store.sessions import SessionRecord
from portero.store.users import UserRecord

Scope = Literal["global", "local", "others"]
Method = Literal["password", "otp", "magiclink", "recovery", "invite", "email/signup", "email_change", "anonymous"]

_UNLIMITED: Final = timedelta(0)
_NOT_FOUND: Final = "Invalid Refresh Token: Refresh Token Not Found"
_USED: Final = "Invalid Refresh Token: Already Used"
_EXPIRED: Final = "Invalid Refresh Token: Session Expired"
_IDLE: Final = "Invalid Refresh Token: Session Expired (Inactivity)"
_LOW: Final = "Invalid Refresh Token: Session Expired (Low AAL: User Needs MFA Verification)"
_NEWER: Final = "Invalid Refresh Token: Session Expired (Revoked by Newer Login)"
_AHEAD: Final = "Invalid Refresh Token: Not Issued By This Server"


def open_session(change: Change, user: UserRecord, method: Method, caller: Caller, now: datetime) -> SessionRecord:
    """Write a new session and its event inside the caller's transaction; the id is random, never the caller's."""
    session = SessionRecord(
        id=random_id(),
        user_id=user.id,
        created_at=now,
        refreshed_at=None,
        refresh_counter=0,
        aal="aal1",
        amr=[{"method": method, "timestamp": int(now.timestamp())}],
        address=caller.address or None,
        user_agent=caller.user_agent or None,
        tag=None,
    )
    sessions.insert(change.connection, session)
    change.record(Event(Happening.SIGNED_IN, now, user.id, session.id, caller.address, {"method": method}))
    return session


def tokens_for(context: IdentityContext, opened: Opened, now: datetime) -> SignedIn:
    """Mint the pair of tokens a session stands at; called after the commit, so no token lacks its session.

    Raises:
        AuthError: 403 with code `unknown`: a hook refuses the token. A session that was just opened ends with it.
    """
    account, session, minted = opened.account, opened.session, None
    try:
        minted = context.access_tokens.mint(account.user, session, now, context.hooks, _ends_at(context, session))
    except Refused as refused:
        raise AuthError(refused.status, "unknown", refused.message) from refused
    finally:
        if minted is None and session.refresh_counter == 0:
            with deadline.lifted():
                end(context, account.user.id, session.id, "local", now)
    access_token, expires_at = minted
    refresh_token = refresh_tokens.encode(session.id, session.refresh_counter, context.refresh_mac_keys[0])
    return SignedIn(account, session, access_token, refresh_token, now, expires_at)


def refresh(context: IdentityContext, token: str, caller: Caller, now: datetime) -> SignedIn:
    """Exchange a refresh token for the session's next pair of tokens.

    Raises:
        AuthError: 400 validation_failed (form, or ahead of the session), refresh_token_not_found, user_banned,
            session_expired, refresh_token_already_used (the session has ended); 429 over_request_rate_limit.
    """
    session_id, counter = _read(context, token)

    def advanced(change: Change) -> Opened | AuthError:
        refusal = _refuse_too_many(context, change, session_id, now)
        return refusal or _advance(context, change, session_id, counter, caller, now)

    # Refusals are raised only here: the count, and the end of a session, must outlive them.
    outcome = context.change_together(advanced, undo=Undo.REPETITION)
    if isinstance(outcome, AuthError):
        raise outcome
    return tokens_for(context, outcome, now)


def end(context: IdentityContext, user_id: UUID, session_id: UUID | None, scope: Scope, now: datetime) -> int:
    """End sessions of a user: all, the caller's own, or all others; return how many.

    Access tokens of an ended session are refused at the next request, refresh tokens too.
    """
    return context.change_together(
        lambda change: end_within(change, user_id, session_id, scope, now), undo=Undo.REPETITION
    )


def end_within(change: Change, user_id: UUID, session_id: UUID | None, scope: Scope, now: datetime) -> int:
    """End sessions inside the caller's transaction, with one event; return how many."""
    if scope == "local":
        ended = 0 if session_id is None else int(sessions.delete(change.connection, session_id))
    else:
        kept = session_id if scope == "others" else None
        ended = sessions.delete_of_user(change.connection, user_id, except_id=kept)
    if ended:
        details = {"scope": scope, "count": ended}
        change.record(Event(Happening.SESSION_ENDED, now, user_id, session_id, details=details))
    return ended


def of_user(context: IdentityContext, user_id: UUID, now: datetime) -> tuple[SessionRecord, ...]:
    """Return the sessions of a user that are not over, newest first."""
    with context.database.reading() as connection:
        found = sessions.of_user(connection, user_id)
    return tuple(session for session in found if _over(context, session, now) is None)


def end_one(context: IdentityContext, user_id: UUID, session_id: UUID, caller: Caller, now: datetime) -> None:
    """End one session of a user.

    Raises:
        AuthError: 404 session_not_found: also if it is somebody else's.
    """
    with context.changing() as change:
        session = sessions.by_id(change.connection, session_id, lock=True)
        if session is None or session.user_id != user_id:
            raise AuthError(404, "session_not_found", "Session not found")
        sessions.delete(change.connection, session_id)
        details: dict[str, str | int | bool] = {"scope": "one", "count": 1}
        change.record(Event(Happening.SESSION_ENDED, now, user_id, session_id, caller.address, details))


def is_banned(user: UserRecord, now: datetime) -> bool:
    """Tell whether a ban stands."""
    return user.banned_until is not None and user.banned_until > now


def time_is_over(context: IdentityContext, session: SessionRecord, now: datetime) -> bool:
    """Tell whether a session that was not swept yet is past its time box, or unrefreshed for too long."""
    return _over(context, session, now) is not None


def account_of(change: Change, user: UserRecord) -> Account:
    """Return a user with identities and factors, as the transaction sees them."""
    return loaded(change.connection, user)


def loaded(connection: sa.Connection, user: UserRecord) -> Account:
    """Return a user with identities and factors, as this connection sees them."""
    held = tuple(identities.of_user(connection, user.id))
    return Account(user, held, tuple(factors.of_user(connection, user.id)))


def _read(context: IdentityContext, token: str) -> tuple[UUID, int]:
    try:
        return refresh_tokens.decode(token, context.refresh_mac_keys)
    except ValueError:
        raise AuthError(400, "validation_failed", "Refresh token is not valid") from None
    except InvalidToken as cause:
        raise AuthError(400, "refresh_token_not_found", _NOT_FOUND) from cause


def _refuse_too_many(context: IdentityContext, change: Change, session_id: UUID, now: datetime) -> AuthError | None:
    limit = throttle.Limit("refresh", context.settings.throttle_refresh, throttle.MINUTE)
    found = throttle.check(context, change.connection, limit, str(session_id), now)
    return None if found is None else found.refusal


def _advance(
    context: IdentityContext, change: Change, session_id: UUID, counter: int, caller: Caller, now: datetime
) -> Opened | AuthError:
    found = accounts.of_session(change.connection, session_id)
    if found is None or found.session is None or found.user.deleted_at is not None:
        return AuthError(400, "refresh_token_not_found", _NOT_FOUND)
    user, session = found.user, found.session
    if is_banned(user, now):
        return AuthError(400, "user_banned", "User is banned")
    over = _over(context, session, now)
    if over is not None:
        return _end_now(change, session, caller, now, {"cause": "time"}, AuthError(400, "session_expired", over))
    if _is_too_low(context, found.factors, session, now):
        low = AuthError(400, "session_expired", _LOW)
        return _end_now(change, session, caller, now, {"cause": "no second factor"}, low)
    if context.settings.session_single and not sessions.is_newest(change.connection, session):
        newer = AuthError(400, "session_expired", _NEWER)
        return _end_now(change, session, caller, now, {"cause": "newer session"}, newer)
    advanced = sessions.advance(change.connection, session, now) if counter == session.refresh_counter else None
    if advanced is not None:
        change.record(Event(Happening.SESSION_REFRESHED, now, user.id, session_id, caller.address))
        session = advanced
    account = Account(user, found.identities, found.factors)
    return _judge(change, Opened(account, session), counter, caller, now)


def _judge(change: Change, advanced: Opened, counter: int, caller: Caller, now: datetime) -> Opened | AuthError:
    """Compare with the counter as it stands after the attempt to advance: the row is locked, so nobody moves it."""
    session = advanced.session
    behind = session.refresh_counter - counter
    if behind == 1:
        return advanced
    if behind < 1:
        return AuthError(400, "validation_failed", _AHEAD)
    details = {"behind": behind}
    change.record(Event(Happening.REFRESH_TOKEN_REUSED, now, session.user_id, session.id, caller.address, details))
    used = AuthError(400, "refresh_token_already_used", _USED)
    return _end_now(change, session, caller, now, {"cause": "reuse"}, used)


def _end_now(
    change: Change,
    session: SessionRecord,
    caller: Caller,
    now: datetime,
    details: Mapping[str, Any],
    refusal: AuthError,
) -> AuthError:
    sessions.delete(change.connection, session.id)
    change.record(Event(Happening.SESSION_ENDED, now, session.user_id, session.id, caller.address, details))
    return refusal


def _over(context: IdentityContext, session: SessionRecord, now: datetime) -> str | None:
    time_box, idle = context.settings.session_time_box, context.settings.session_idle
    if _set(time_box) and session.created_at + time_box <= now:
        return _EXPIRED
    if _set(idle) and (session.refreshed_at or session.created_at) + idle <= now:
        return _IDLE
    return None


def _ends_at(context: IdentityContext, session: SessionRecord) -> datetime | None:
    """Return when a session is over if it is not refreshed: no token of it lives longer (threats SE-11, SE-12)."""
    time_box, idle = context.settings.session_time_box, context.settings.session_idle
    if not _set(time_box) and not _set(idle):
        return None
    ends = [session.created_at + time_box] if _set(time_box) else []
    return min([*ends, (session.refreshed_at or session.created_at) + idle] if _set(idle) else ends)


def _is_too_low(context: IdentityContext, held: Iterable[FactorRecord], session: SessionRecord, now: datetime) -> bool:
    limit = context.settings.session_low_aal
    if not _set(limit):
        return False
    is_low = session.aal == "aal1" and any(factor.is_verified for factor in held)
    return is_low and session.created_at + limit <= now


def _set(limit: timedelta) -> bool:
    return limit > _UNLIMITED
