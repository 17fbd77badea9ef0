"""Where `identity` asks hooks, and what their refusal is called in the contract's words (auth.md §4.3).

Every function here is called outside any transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from portero import deadline
from portero.errors import AuthError, Refused
from portero.events import Event, Happening
from portero.identity import sessions
from portero.identity.assurance import Asking
from portero.identity.context import Caller, IdentityContext
from portero.identity.hooks import (
    BeforeUserCreated,
    MfaVerificationAttempt,
    PasswordVerificationAttempt,
    Point,
    Way,
)
from portero.store import users
from portero.store.factors import FactorRecord


def before_user_created(context: IdentityContext, payload: BeforeUserCreated) -> None:
    """Ask whether somebody may become a user.

    Raises:
        AuthError: the hook's status, with code `unknown` and its sentence.
    """
    try:
        context.hooks.run(Point.BEFORE_USER_CREATED, payload)
    except Refused as refused:
        raise AuthError(refused.status, "unknown", refused.message) from refused


def before_address_created(
    context: IdentityContext, email: str, data: Mapping[str, Any] | None, by: Way, caller: Caller, now: datetime
) -> None:
    """Ask whether an address may become a user's, if it is nobody's yet.

    Raises:
        AuthError: as `before_user_created`.
    """
    if not context.hooks.has(Point.BEFORE_USER_CREATED):
        return
    with context.database.reading() as connection:
        if users.by_email(connection, email) is not None:
            return
    payload = BeforeUserCreated(email=email, user_metadata=data or {}, by=by, address=caller.address, at=now)
    before_user_created(context, payload)


def password_tried(context: IdentityContext, user_id: UUID | None, valid: bool, caller: Caller, now: datetime) -> None:
    """Tell that a password was tried, and whose it would be.

    Raises:
        AuthError: 400 invalid_credentials with the hook's sentence; the user's sessions have ended if it says so.
    """
    try:
        attempt = PasswordVerificationAttempt(user_id, valid, caller.address, now)
        context.hooks.run(Point.PASSWORD_VERIFICATION_ATTEMPT, attempt)
    except Refused as refused:
        # However long the hook took: its refusal, and the end of sessions, are written.
        with deadline.lifted(), context.changing() as change:
            details = {"by": "hook"}
            change.record(Event(Happening.SIGN_IN_REFUSED, now, user_id, address=caller.address, details=details))
            if refused.end_sessions and user_id is not None:
                sessions.end_within(change, user_id, None, "global", now)
        raise AuthError(400, "invalid_credentials", refused.message) from refused


def factor_tried(context: IdentityContext, asking: Asking, factor: FactorRecord, valid: bool) -> None:
    """Tell that a code of a second factor was tried.

    Raises:
        AuthError: 403 mfa_verification_rejected with the hook's sentence; all sessions of the user have ended.
    """
    address, now = asking.caller.address, asking.now
    attempt = MfaVerificationAttempt(asking.user_id, factor.id, factor.factor_type, valid, address, now)
    try:
        context.hooks.run(Point.MFA_VERIFICATION_ATTEMPT, attempt)
    except Refused as refused:
        with deadline.lifted(), context.changing() as change:
            details = {"factor_id": str(factor.id), "type": factor.factor_type, "by": "hook"}
            event = Event(Happening.FACTOR_REFUSED, now, asking.user_id, asking.session_id, address, details)
            change.record(event)
            sessions.end_within(change, asking.user_id, None, "global", now)
        raise AuthError(403, "mfa_verification_rejected", refused.message) from refused
