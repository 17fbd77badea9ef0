"""A mailed code that a change of password asks for, where the session is old (auth.md §1.3 `/reauthenticate`)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import mail, one_time_links, throttle
from portero.identity.assurance import Asking
from portero.identity.context import Caller, Change, IdentityContext
from portero.identity.one_time_links import REAUTHENTICATION, Purpose, Wanted
from portero.store import one_time_tokens, sessions, users
from portero.store.users import UserRecord

_NOT_VALID: Final = "Nonce has expired or is invalid"


def ask(context: IdentityContext, user: UserRecord, caller: Caller, now: datetime) -> None:
    """Mail a code to the user's address.

    Raises:
        AuthError: 400 validation_failed, email_provider_disabled; 422 email_not_confirmed; 429
            over_email_send_rate_limit.
    """
    if not user.email:
        message = "Reauthentication requires the user to have an email or a phone number"
        raise AuthError(400, "validation_failed", message)
    if user.email_confirmed_at is None:
        raise AuthError(422, "email_not_confirmed", "Please verify your email first.")
    mail.require(context.settings, 400)
    with context.changing() as change:
        current = users.by_id(change.connection, user.id, lock=True) or user
        refusal = throttle.check_mail(context, change.connection, "reauthentication", str(user.id), now)
        if refusal is None:
            wanted = Wanted(kind=REAUTHENTICATION, address=user.email)
            one_time_links.send(context, change, current, wanted, caller, now)
            users.update(change.connection, user.id, now, reauthentication_sent_at=now)
            details = {"kind": REAUTHENTICATION.name}
            change.record(Event(Happening.MAIL_REQUESTED, now, user.id, None, caller.address, details))
    if refusal is not None:
        raise refusal


def require(context: IdentityContext, asking: Asking, nonce: str | None) -> None:
    """Refuse if a code is needed and none is given.

    Raises:
        AuthError: 400 reauthentication_needed.
    """
    if not nonce and _is_needed(context, asking):
        raise AuthError(400, "reauthentication_needed", "Password update requires reauthentication")


def check(context: IdentityContext, user: UserRecord, asking: Asking, nonce: str | None) -> None:
    """Spend the code if one is given. A spent code stays spent, whatever comes after.

    Raises:
        AuthError: 422 reauthentication_not_valid.
    """
    if not nonce:
        return
    with context.changing() as change:
        is_right = _spend(context, change, user, nonce, asking.now)
        if not is_right:
            change.record(Event(Happening.LINK_REFUSED, asking.now, user.id, asking.session_id, asking.caller.address))
    if not is_right:
        raise AuthError(422, "reauthentication_not_valid", _NOT_VALID)


def _spend(context: IdentityContext, change: Change, user: UserRecord, nonce: str, now: datetime) -> bool:
    users.by_id(change.connection, user.id, lock=True)
    record = one_time_tokens.of_user(change.connection, user.id, Purpose.REAUTHENTICATION)
    if record is None or record.address != user.email:
        return False
    is_right = one_time_links.is_right_code(context, change, record, nonce, now)
    return is_right and one_time_links.spend(change, record, now)


def _is_needed(context: IdentityContext, asking: Asking) -> bool:
    age = context.settings.reauthenticate_after
    if age <= timedelta(0):
        return False
    if asking.session_id is None:
        return True
    with context.database.reading() as connection:
        session = sessions.by_id(connection, asking.session_id)
    return session is None or session.created_at + age <= asking.now
