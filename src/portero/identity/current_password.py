"""The present password, which a change of it may ask for, and which no new one may be (auth.md §1.3; threats CR-20).

If it is given, it is looked at. A try counts against the account like a sign-in, before the password is looked at: who
holds another's session must not guess on. A new password is such a try too, for "this is the one you have" tells it.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import password_rules, throttle
from portero.identity.assurance import Asking
from portero.identity.context import IdentityContext
from portero.store import sessions
from portero.store.users import UserRecord

#: Who came by one of these proved to read the user's mails, and may have forgotten the password.
_BY_MAIL: Final = frozenset({"otp", "magiclink", "recovery", "invite"})


def check(context: IdentityContext, user: UserRecord, asking: Asking, given: str | None) -> None:
    """Refuse a change of password whose caller does not know the present one.

    Raises:
        AuthError: 400 current_password_required, current_password_invalid; 429 over_request_rate_limit.
        TooBusy: too many passwords are being hashed.
    """
    if given is None:
        if (
            context.settings.require_current_password
            and user.password_hash
            and not _came_by_mail(context, asking.session_id)
        ):
            raise AuthError(400, "current_password_required", "Current password required when setting new password.")
        return
    _count(context, asking)
    if password_rules.is_too_long(given) or not context.passwords.verify(given, user.password_hash):
        raise AuthError(400, "current_password_invalid", "Current password is not valid")
    with context.changing(durable=False) as change:
        throttle.attempt_was_right(context, change.connection, user.id, asking.caller, asking.now)


def check_other(context: IdentityContext, user: UserRecord, asking: Asking, password: str, *, is_counted: bool) -> None:
    """Refuse a new password that is the present one.

    Args:
        context: the application's.
        user: whose.
        asking: their request.
        password: the new one.
        is_counted: whether it is a try: not for who has said the present one. It counts until the change is made.

    Raises:
        AuthError: 422 same_password; 429 over_request_rate_limit.
        TooBusy: too many passwords are being hashed.
    """
    if user.password_hash is None:
        return
    if is_counted:
        _count(context, asking)
    if context.passwords.verify(password, user.password_hash):
        raise AuthError(422, "same_password", "New password should be different from the old password.")


def _count(context: IdentityContext, asking: Asking) -> None:
    account, caller, now = throttle.account_of(asking.user_id), asking.caller, asking.now
    with context.changing(durable=False) as change:
        found = throttle.take_attempt(context, change.connection, account, caller, now)
        if found is not None and found.is_first:
            change.record(Event(Happening.SIGN_IN_THROTTLED, now, asking.user_id, asking.session_id, caller.address))
    if found is not None:
        raise found.refusal


def _came_by_mail(context: IdentityContext, session_id: UUID | None) -> bool:
    if session_id is None:
        return False
    with context.database.reading() as connection:
        session = sessions.by_id(connection, session_id)
    return session is not None and any(entry["method"] in _BY_MAIL for entry in session.amr)
