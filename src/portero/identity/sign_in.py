"""Signing in with a password: throttle, user, password outside any transaction, ban, session (auth.md §1.2, house §2).

What a stranger can learn is the same for every name: one answer, one hash's time (a decoy where there is no account or
no password), one way of counting. Whether somebody is banned is told only to who knows the password.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import addresses, hook_calls, notices, password_rules, sessions, throttle
from portero.identity.context import Account, Caller, Change, IdentityContext, Opened, SignedIn
from portero.identity.sessions import is_banned
from portero.store import accounts, users
from portero.store.users import Credentials, UserRecord

#: A user as first found, or as found changed meanwhile.
Checked = Credentials | UserRecord
#: How often a password is looked at again because another sign-in upgraded its hash in between.
_TRIES: Final = 3


def with_password(context: IdentityContext, login: str, password: str, caller: Caller, now: datetime) -> SignedIn:
    """Sign somebody in by e-mail address or user name.

    Args:
        context: the application's.
        login: an e-mail address (it holds an @) or a user name; in any case of letters.
        password: as typed.
        caller: whence; counts per address.
        now: the current time.

    Raises:
        AuthError: 400 invalid_credentials, user_banned, email_not_confirmed; 429 over_request_rate_limit.
        PorteroError: as many passwords are being hashed as the machine can bear.
    """
    user: Checked | None = _begin(context, login, caller, now)
    for _ in range(_TRIES):
        is_right = _is_right(context, user, password)
        hook_calls.password_tried(context, None if user is None else user.id, is_right, caller, now)
        if not is_right or user is None:
            _note_refusal(context, user, caller, now)
            raise _invalid()
        try:
            opened = _finish(context, user, password, caller, now)
        except AuthError:
            _note_refusal(context, user, caller, now)
            raise
        if isinstance(opened, Opened):
            signed_in, weak = sessions.tokens_for(context, opened, now), _weak(context, user, password)
            return replace(signed_in, weak_password=weak) if weak else signed_in
        user = opened
    raise _invalid()


def _begin(context: IdentityContext, login: str, caller: Caller, now: datetime) -> Credentials | None:
    """Count the attempt before any work is done for it; one transaction for both limits."""
    limit = throttle.Limit("sign-in", context.settings.throttle_sign_in, throttle.MINUTE)
    with context.changing(durable=False) as change:
        found = throttle.check_address(context, change.connection, limit, caller, now)
        user = None
        if found is None:
            user = _find(change.connection, login)
            account = throttle.stranger_of(login.lower()) if user is None else throttle.account_of(user.id)
            found = throttle.take_attempt(context, change.connection, account, caller, now)
        if found is not None and found.is_first:
            user_id = None if user is None else user.id
            change.record(Event(Happening.SIGN_IN_THROTTLED, now, user_id, address=caller.address))
    if found is not None:
        raise found.refusal
    return user


def _find(connection: sa.Connection, login: str) -> Credentials | None:
    try:
        if "@" in login:
            return users.credentials_by_email(connection, addresses.canonical_email(login))
        return users.credentials_by_username(connection, addresses.canonical_username(login))
    except AuthError:
        return None


def _is_right(context: IdentityContext, user: Checked | None, password: str) -> bool:
    if password_rules.is_too_long(password):
        return False
    return context.passwords.verify(password, None if user is None else user.password_hash)


def _finish(
    context: IdentityContext, user: Checked, password: str, caller: Caller, now: datetime
) -> Opened | UserRecord:
    """Open the session if the user still is who the password was checked against; else return the changed user.

    Raises:
        AuthError: 400 invalid_credentials (gone meanwhile), user_banned, email_not_confirmed.
    """
    upgraded = _upgraded(context, user, password)

    def finished(change: Change) -> Opened | UserRecord:
        found = accounts.of_user(change.connection, user.id, lock=True)
        if found is None or found.user.password_hash is None:
            raise _invalid()
        current = found.user
        if not hmac.compare_digest(found.user.password_hash, user.password_hash or ""):
            return current
        if is_banned(current, now):
            raise AuthError(400, "user_banned", "User is banned")
        if current.email is not None and current.email_confirmed_at is None:
            raise AuthError(400, "email_not_confirmed", "Email not confirmed")
        throttle.attempt_was_right(context, change.connection, user.id, caller, now)
        notices.note_sign_in(context, change, current, caller, now)
        signed = _noted(change, current, upgraded, now)
        session = sessions.open_session(change, signed, "password", caller, now)
        return Opened(Account(signed, found.identities, found.factors), session)

    return context.change_together(finished)


def _noted(change: Change, user: UserRecord, upgraded: str | None, now: datetime) -> UserRecord:
    """Write down the sign-in, and the new hash if there is one; the caller has locked the row."""
    if upgraded is not None:
        return users.update(change.connection, user.id, now, last_sign_in_at=now, password_hash=upgraded) or user
    users.note_sign_in(change.connection, user.id, now)
    return replace(user, last_sign_in_at=now, updated_at=now)


def _upgraded(context: IdentityContext, user: Checked, password: str) -> str | None:
    """Hash the password anew if its hash is of another kind or cost than today's."""
    return context.passwords.hash(password) if context.passwords.needs_rehash(user.password_hash or "") else None


def _weak(context: IdentityContext, user: Checked, password: str) -> tuple[str, ...]:
    words = password_rules.context_words(user.email, user.username)
    found = password_rules.weaknesses(password, min_length=context.settings.password_min_length, context_words=words)
    return tuple(reason for reason, _ in found)


def _note_refusal(context: IdentityContext, user: Checked | None, caller: Caller, now: datetime) -> None:
    user_id: UUID | None = None if user is None else user.id
    with context.changing(durable=False) as change:
        change.record(Event(Happening.SIGN_IN_REFUSED, now, user_id, address=caller.address))


def _invalid() -> AuthError:
    return AuthError(400, "invalid_credentials", "Invalid login credentials")
