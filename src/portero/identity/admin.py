"""What administrators do to users: the command line, the Python API and `/admin/users` stand on it (auth.md §6).

Everything is audited, and what takes a right away (ban, password, role, deletion) ends the user's sessions in the same
transaction. Ids are random and never used again. It never asks who the administrator is: its callers have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.crypto.passwords import is_known_hash
from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import addresses, breaches, hook_calls, new_users, notices, password_rules, sessions, throttle
from portero.identity.context import Account, Caller, IdentityContext
from portero.identity.hooks import BeforeUserCreated
from portero.identity.mail_templates import MailKind
from portero.identity.new_users import insert_email_identity
from portero.identity.user import merged
from portero.principal import AUTHENTICATED
from portero.records import dataclass
from portero.store import factors, identities, users
from portero.store.users import UserRecord

#: A ban without an end is one that ends after a hundred years.
FOREVER: Final = timedelta(days=36_525)
#: The command line, or the application itself.
NO_CALLER: Final = Caller()
_LONGEST_ROLE: Final = 63


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to be made; an e-mail address or a user name is needed, a password is not.

    Attributes:
        email: the address; counts as confirmed if `email_confirm` is true.
        username: a name to sign in with.
        password: judged like anybody's.
        password_hash: instead of a password: argon2 or bcrypt, from elsewhere.
        role: the role of the user's access tokens.
        user_metadata: what the user may change.
        app_metadata: what only administrators change.
        email_confirm: the address is known to be the user's.
        id: a fixed id (imports), else a random one.
        phone: a number with its country's code; it serves nothing but to be known yet.
        phone_confirm: the number is known to be the user's.
        aud: whom the user belongs to, for clients that ask.
        banned_until: banned from the start.
        judge_password: refuse a weak one; the contract's `POST /admin/users` does not.
    """

    email: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_hash: str | None = field(default=None, repr=False)
    role: str = AUTHENTICATED
    user_metadata: Mapping[str, Any] = field(default_factory=dict)
    app_metadata: Mapping[str, Any] = field(default_factory=dict)
    email_confirm: bool = True
    id: UUID | None = None
    phone: str | None = None
    phone_confirm: bool = False
    aud: str = AUTHENTICATED
    banned_until: datetime | None = None
    judge_password: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """One page of users, newest first.

    Attributes:
        accounts: the users of this page.
        total: how many there are in all.
    """

    accounts: tuple[Account, ...]
    total: int


def create(context: IdentityContext, new: NewUser, now: datetime, caller: Caller = NO_CALLER) -> Account:
    """Make a user.

    Raises:
        AuthError: 400 validation_failed, 422 weak_password, email_exists, phone_exists, user_already_exists (user
            name or id).
        TooBusy: too many passwords are being hashed.
    """
    user = _record_of(context, new, now)
    payload = BeforeUserCreated(
        email=user.email,
        username=user.username,
        phone=user.phone,
        user_metadata=user.user_metadata,
        app_metadata=user.app_metadata,
        by="administrator",
        address=caller.address,
        at=now,
    )
    hook_calls.before_user_created(context, payload)
    try:
        with context.changing() as change:
            stored = users.insert(change.connection, user)
            if stored.email is not None:
                insert_email_identity(change, stored, None, now, verified=new.email_confirm)
            if stored.phone is not None:
                new_users.note_phone(change, stored, now, verified=new.phone_confirm)
            details = {"by": "administrator"}
            change.record(Event(Happening.USER_CREATED, now, stored.id, address=caller.address, details=details))
            return sessions.account_of(change, stored)
    except sa.exc.IntegrityError as cause:
        raise _taken(context, user) from cause


def get(context: IdentityContext, user_id: UUID) -> Account:
    """Return a user.

    Raises:
        AuthError: 404 user_not_found.
    """
    with context.database.reading() as connection:
        return _account(connection, _found(users.by_id(connection, user_id)))


def find(context: IdentityContext, login: str) -> Account | None:
    """Return the user with this e-mail address, user name or id, if there is one."""
    with context.database.reading() as connection:
        user = users.by_email(connection, login) if "@" in login else users.by_username(connection, login)
        if user is None and (user_id := _uuid_or_none(login)) is not None:
            user = users.by_id(connection, user_id)
        return None if user is None else _account(connection, user)


def page(
    context: IdentityContext,
    *,
    number: int = 1,
    size: int = 50,
    holding: str = "",
    email: str | None = None,
    oldest_first: bool = False,
) -> Page:
    """Return one page of users, newest first.

    Args:
        context: the application's.
        number: which page, from 1.
        size: users on a page.
        holding: only those whose address or full name holds this text.
        email: only the one with this address.
        oldest_first: the other way round.

    Raises:
        AuthError: 400 validation_failed: a page or size below one, or a size over 1000.
    """
    if number < 1 or not 1 <= size <= 1000:
        raise AuthError(400, "validation_failed", "Bad Pagination Parameters: page and per_page start at 1")
    with context.database.reading() as connection:
        found, total = users.page(
            connection,
            offset=(number - 1) * size,
            limit=size,
            holding=holding,
            email=email,
            oldest_first=oldest_first,
        )
        ids = [user.id for user in found]
        held, enrolled = identities.of_users(connection, ids), factors.of_users(connection, ids)
    accounts = (Account(user, tuple(held.get(user.id, ())), tuple(enrolled.get(user.id, ()))) for user in found)
    return Page(tuple(accounts), total)


def ban(context: IdentityContext, user_id: UUID, now: datetime, duration: timedelta = FOREVER) -> Account:
    """Ban a user for a time, and end their sessions.

    Raises:
        AuthError: 404 user_not_found; 400 validation_failed: a duration of nothing.
    """
    if duration <= timedelta(0):
        raise AuthError(400, "validation_failed", "invalid format for ban duration")
    until = now + min(duration, FOREVER)
    with context.changing() as change:
        user = _found(users.update(change.connection, user_id, now, banned_until=until))
        change.record(Event(Happening.USER_BANNED, now, user_id, details={"until": until.isoformat()}))
        sessions.end_within(change, user_id, None, "global", now)
        return sessions.account_of(change, user)


def unban(context: IdentityContext, user_id: UUID, now: datetime) -> Account:
    """Lift a ban; ended sessions stay ended.

    Raises:
        AuthError: 404 user_not_found.
    """
    with context.changing() as change:
        user = _found(users.update(change.connection, user_id, now, banned_until=None))
        change.record(Event(Happening.USER_UPDATED, now, user_id, details={"changed": "banned_until"}))
        return sessions.account_of(change, user)


def delete(context: IdentityContext, user_id: UUID, now: datetime) -> None:
    """Delete a user with sessions and identities; the address is free again, the id is not.

    Raises:
        AuthError: 404 user_not_found; 409 conflict: rows of the application refer to the user.
    """
    try:
        with context.changing() as change:
            _found(users.by_id(change.connection, user_id, lock=True))
            sessions.end_within(change, user_id, None, "global", now)
            users.delete(change.connection, user_id)
            throttle.forget_attempts(context, change.connection, user_id)
            change.record(Event(Happening.USER_DELETED, now, user_id))
    except sa.exc.IntegrityError as cause:
        raise AuthError(409, "conflict", "Rows of the application refer to this user") from cause


def set_password(context: IdentityContext, user_id: UUID, password: str, now: datetime) -> Account:
    """Set a user's password, end their sessions and any delay for sign-ins.

    Raises:
        AuthError: 404 user_not_found; 400 validation_failed; 422 weak_password.
        TooBusy: too many passwords are being hashed.
    """
    user = get(context, user_id).user
    _check_password(context, password, user.email, user.username)
    password_hash = context.passwords.hash(password)
    with context.changing() as change:
        stored = _found(users.update(change.connection, user_id, now, password_hash=password_hash))
        throttle.forget_attempts(context, change.connection, user_id)
        change.record(Event(Happening.PASSWORD_CHANGED, now, user_id, details={"by": "administrator"}))
        sessions.end_within(change, user_id, None, "global", now)
        notices.tell(context, change, MailKind.PASSWORD_CHANGED, stored, NO_CALLER, now)
        return sessions.account_of(change, stored)


def set_role(context: IdentityContext, user_id: UUID, role: str, now: datetime) -> Account:
    """Set the role of a user's tokens, and end their sessions: a token with the old role is refused at once.

    Raises:
        AuthError: 404 user_not_found; 400 validation_failed.
    """
    check_role(role)
    with context.changing() as change:
        user = _found(users.update(change.connection, user_id, now, role=role))
        change.record(Event(Happening.ROLE_CHANGED, now, user_id, details={"role": role}))
        sessions.end_within(change, user_id, None, "global", now)
        return sessions.account_of(change, user)


def set_metadata(
    context: IdentityContext,
    user_id: UUID,
    now: datetime,
    *,
    user_metadata: Mapping[str, Any] | None = None,
    app_metadata: Mapping[str, Any] | None = None,
) -> Account:
    """Merge metadata into a user's; a null takes a member away. Policies see it at once.

    Raises:
        AuthError: 404 user_not_found.
    """
    given = {"user_metadata": user_metadata, "app_metadata": app_metadata}
    with context.changing() as change:
        current = _found(users.by_id(change.connection, user_id, lock=True))
        changes = {
            name: merged(getattr(current, name), members) for name, members in given.items() if members is not None
        }
        user = users.update(change.connection, user_id, now, **changes) or current
        changed = {"by": "administrator", "changed": ", ".join(changes)}
        change.record(Event(Happening.USER_UPDATED, now, user_id, details=changed))
        return sessions.account_of(change, user)


def end_sessions(context: IdentityContext, user_id: UUID, now: datetime) -> int:
    """End all sessions of a user; return how many.

    Raises:
        AuthError: 404 user_not_found.
    """
    with context.changing() as change:
        _found(users.by_id(change.connection, user_id))
        return sessions.end_within(change, user_id, None, "global", now)


def _record_of(context: IdentityContext, new: NewUser, now: datetime) -> UserRecord:
    if not new.email and not new.username and not new.phone:
        raise AuthError(400, "validation_failed", "Cannot create a user without either an email or phone")
    email = addresses.canonical_email(new.email) if new.email else None
    username = addresses.canonical_username(new.username) if new.username else None
    phone = addresses.canonical_phone(new.phone) if new.phone else None
    for role in (new.role, new.aud):
        check_role(role)
    ways = [way for way, name in (("email", email), ("phone", phone)) if name] or ["email"]
    return UserRecord(
        id=new.id or uuid4(),
        aud=new.aud,
        role=new.role,
        email=email,
        username=username,
        phone=phone,
        password_hash=_hash_of(context, new, email, username),
        email_confirmed_at=now if email and new.email_confirm else None,
        phone_confirmed_at=now if phone and new.phone_confirm else None,
        banned_until=new.banned_until,
        app_metadata={"provider": ways[0], "providers": ways, **new.app_metadata},
        user_metadata={**new.user_metadata, **({"email_verified": True} if email and new.email_confirm else {})},
        created_at=now,
        updated_at=now,
    )


def _hash_of(context: IdentityContext, new: NewUser, email: str | None, username: str | None) -> str | None:
    judged = (email, username) if new.judge_password else None
    return new_hash(context, new.password, new.password_hash, judged)


def new_hash(
    context: IdentityContext,
    password: str | None,
    password_hash: str | None,
    judged: tuple[str | None, str | None] | None,
) -> str | None:
    """Return the hash of a password, or one that is brought along; None for neither.

    Args:
        context: the application's.
        password: in the clear.
        password_hash: argon2 or bcrypt, from elsewhere.
        judged: address and user name, which it must not contain; None to take a weak one.

    Raises:
        AuthError: 400 validation_failed, 422 weak_password.
        TooBusy: too many passwords are being hashed.
    """
    if password and password_hash:
        raise AuthError(400, "validation_failed", "Only a password or a password hash should be provided")
    if password_hash:
        if not is_known_hash(password_hash):
            raise AuthError(400, "validation_failed", "The password hash is not one of argon2 or bcrypt")
        return password_hash
    if not password:
        return None
    if judged is not None:
        _check_password(context, password, *judged)
    elif password_rules.is_too_long(password):
        raise AuthError(400, "validation_failed", f"Password cannot be longer than {password_rules.LONGEST} bytes")
    return context.passwords.hash(password)


def _check_password(context: IdentityContext, password: str, email: str | None, username: str | None) -> None:
    words = password_rules.context_words(email, username)
    password_rules.check(password, min_length=context.settings.password_min_length, context_words=words)
    breaches.check(context.settings, password)


def check_role(role: str) -> None:
    """Refuse what no database takes for a role.

    Raises:
        AuthError: 400 validation_failed.
    """
    if not 0 < len(role) <= _LONGEST_ROLE or not role.isascii() or not role.replace("_", "").isalnum():
        raise AuthError(400, "validation_failed", "A role is made of letters, digits and _")


def _taken(context: IdentityContext, user: UserRecord) -> AuthError:
    with context.database.reading() as connection:
        if user.email is not None and users.by_email(connection, user.email) is not None:
            return addresses.taken()
        if user.phone is not None and users.by_phone(connection, user.phone) is not None:
            return AuthError(422, "phone_exists", "Phone number already registered by another user")
    return AuthError(422, "user_already_exists", "A user with this user name or id exists already")


def _found(user: UserRecord | None) -> UserRecord:
    if user is None:
        raise AuthError(404, "user_not_found", "User not found")
    return user


def _account(connection: sa.Connection, user: UserRecord) -> Account:
    return sessions.loaded(connection, user)


def _uuid_or_none(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
