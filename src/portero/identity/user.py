"""What users change about themselves: metadata, password, e-mail address (auth.md §1.3).

A new password ends every other session in the same transaction, and voids what was mailed. A new address is only
written down (`email_change`): it becomes the user's when it is proven, so until mail can be sent it stays a wish, and
signing in goes on with the old one. Roles, `app_metadata` and other rights are never changed here.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import (
    addresses,
    assurance,
    breaches,
    current_password,
    email_change,
    notices,
    one_time_links,
    password_rules,
    reauthentication,
    sessions,
    throttle,
)
from portero.identity.assurance import Asking
from portero.identity.context import Account, Caller, Change, IdentityContext
from portero.identity.mail_templates import MailKind
from portero.identity.one_time_links import Onward
from portero.records import dataclass
from portero.store import users
from portero.store.users import UserRecord

#: Bytes of a user's own metadata, as JSON; administrators may store more.
LARGEST_METADATA: Final = 64 * 1024
_WINDOW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user asks to change; absent members are None.

    Attributes:
        email: a new address.
        phone: a new number; refused, phones are off.
        password: a new password; an empty one counts as weak.
        current_password: if given, it must be right; a setting demands it.
        data: merged into `user_metadata`; a null takes a member away.
        app_metadata: refused: only administrators change it.
        nonce: a mailed code for a new password; if given, it must be right.
        onward: where the links of a new address go on to.
    """

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    current_password: str | None = None
    data: Mapping[str, Any] | None = None
    app_metadata: Mapping[str, Any] | None = None
    nonce: str | None = field(default=None, repr=False)
    onward: Onward = Onward()

    @property
    def is_sensitive(self) -> bool:
        """Whether it is about what the user signs in with."""
        return bool(self.email or self.phone) or self.password is not None


def update(
    context: IdentityContext, user: UserRecord, session_id: UUID | None, wishes: Wishes, caller: Caller, now: datetime
) -> Account:
    """Change a user's own record and return it as stored.

    Args:
        context: the application's.
        user: the caller, as the gate found them.
        session_id: the caller's session, which survives a new password.
        wishes: what to change.
        caller: whence.
        now: the current time.

    Raises:
        AuthError: 422 weak_password, same_password, email_exists; 403 not_admin, user_not_found; 401
            insufficient_aal (the user has a second factor that this session has not shown); 400
            validation_failed, phone_provider_disabled, current_password_required, current_password_invalid,
            reauthentication_needed; 422 reauthentication_not_valid; 429 over_request_rate_limit,
            over_email_send_rate_limit.
        TooBusy: too many passwords are being hashed.
    """
    _count(context, user, now)
    email = _checked(context, user, wishes)
    asking = Asking(user.id, session_id, caller, now)
    if wishes.is_sensitive:
        _check_rights(context, user, asking, wishes, email)
    password_hash = None
    if wishes.password is not None:
        password_hash = _new_hash(context, user, asking, wishes, wishes.password)
        reauthentication.check(context, user, asking, wishes.nonce)
    try:
        return _update(context, user, asking, wishes, email, password_hash)
    except sa.exc.IntegrityError as cause:
        raise addresses.taken() from cause


def _update(
    context: IdentityContext,
    user: UserRecord,
    asking: Asking,
    wishes: Wishes,
    email: str | None,
    password_hash: str | None,
) -> Account:
    session_id, caller, now = asking.session_id, asking.caller, asking.now
    with context.changing() as change:
        current = users.by_id(change.connection, user.id, lock=True)
        if current is None:
            raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
        if wishes.is_sensitive:
            assurance.require(change.connection, current.id, session_id)
        changes: dict[str, Any] = {}
        if email is not None and email != current.email:
            changes |= email_change.wish(context, change, current, email, wishes.onward, caller, now)
        if wishes.data is not None:
            together = merged(changes.get("user_metadata", current.user_metadata), wishes.data)
            changes["user_metadata"] = _bounded(together)
        if password_hash is not None:
            _check_unchanged(current, user)
            changes["password_hash"] = password_hash
            _note_new_password(context, change, current, asking)
        stored = users.update(change.connection, user.id, now, **changes) or current
        names = ", ".join(sorted(set(changes) - {"password_hash", "email_change_sent_at"}))
        if names:
            event = Event(Happening.USER_UPDATED, now, user.id, session_id, caller.address, {"changed": names})
            change.record(event)
        return sessions.account_of(change, stored)


def merged(kept: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Merge metadata; a null takes a member away.

    >>> merged({"a": 1, "b": 2}, {"b": None, "c": 3})
    {'a': 1, 'c': 3}
    """
    together = {**kept, **given}
    return {name: value for name, value in together.items() if not (name in given and value is None)}


def _bounded(metadata: dict[str, Any]) -> dict[str, Any]:
    """Refuse metadata that grew too large by merging: it is read with every sign-in, and anybody may write it."""
    if len(json.dumps(metadata, ensure_ascii=False).encode()) > LARGEST_METADATA:
        raise AuthError(400, "validation_failed", f"user_metadata holds at most {LARGEST_METADATA} bytes")
    return metadata


def _count(context: IdentityContext, user: UserRecord, now: datetime) -> None:
    limit = throttle.Limit("update", context.settings.throttle_update, _WINDOW)
    with context.changing(durable=False) as change:
        found = throttle.check(context, change.connection, limit, str(user.id), now)
    if found is not None:
        raise found.refusal


def _checked(context: IdentityContext, user: UserRecord, wishes: Wishes) -> str | None:
    email = addresses.canonical_email(wishes.email) if wishes.email else None
    if wishes.password is not None:
        words = password_rules.context_words(user.email, user.username)
        password_rules.check(wishes.password, min_length=context.settings.password_min_length, context_words=words)
    if wishes.app_metadata is not None:
        raise AuthError(403, "not_admin", "Updating app_metadata requires admin privileges")
    if wishes.phone:
        raise AuthError(400, "phone_provider_disabled", "Phone signups are disabled")
    if user.is_anonymous and wishes.password is not None and not email:
        message = "Updating password of an anonymous user without an email or phone is not allowed"
        raise AuthError(422, "validation_failed", message)
    return email


def _check_rights(
    context: IdentityContext, user: UserRecord, asking: Asking, wishes: Wishes, email: str | None
) -> None:
    """Refuse, in the contract's order, before any password is compared: which refusal came would tell a guess."""
    with context.database.reading() as connection:
        assurance.require(connection, user.id, asking.session_id)
        if email is not None and email != user.email and users.by_email(connection, email) is not None:
            raise addresses.taken()
    if wishes.password is not None:
        reauthentication.require(context, asking, wishes.nonce)


def _new_hash(context: IdentityContext, user: UserRecord, asking: Asking, wishes: Wishes, password: str) -> str:
    """Judge and hash the new password, before any transaction is open."""
    breaches.check(context.settings, password)
    given = wishes.current_password
    current_password.check(context, user, asking, given)
    current_password.check_other(context, user, asking, password, is_counted=given is None)
    return context.passwords.hash(password)


def _check_unchanged(current: UserRecord, judged: UserRecord) -> None:
    """Refuse if the password was changed since it was judged: the later caller judged one that is no more."""
    if not hmac.compare_digest(current.password_hash or "", judged.password_hash or ""):
        raise AuthError(409, "conflict", "The password was changed by another request")


def _note_new_password(context: IdentityContext, change: Change, user: UserRecord, asking: Asking) -> None:
    session_id, caller, now = asking.session_id, asking.caller, asking.now
    change.record(Event(Happening.PASSWORD_CHANGED, now, user.id, session_id, caller.address))
    sessions.end_within(change, user.id, session_id, "others", now)
    one_time_links.void(change, user.id)
    throttle.attempt_was_right(context, change.connection, user.id, caller, now)
    notices.tell(context, change, MailKind.PASSWORD_CHANGED, user, caller, now)
