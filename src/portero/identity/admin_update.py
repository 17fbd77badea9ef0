"""`PUT /admin/users/{id}`: everything an administrator changes about a user, in one transaction (auth.md §6).

What takes a right away (a ban, a password, a role) ends the user's sessions in it. An address changes at once and
without mail, and whatever was pending for the former one is void. It never asks who the administrator is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import addresses, admin, new_users, notices, one_time_links, sessions, throttle
from portero.identity.context import Account, Caller, Change, IdentityContext
from portero.identity.mail_templates import MailKind
from portero.identity.user import merged
from portero.records import dataclass
from portero.store import users
from portero.store.users import UserRecord

_BY: Final[Mapping[str, str | int | bool]] = {"by": "administrator"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What an administrator wants changed; absent members are None.

    Attributes:
        email: the new address; proven only with `email_confirm`.
        email_confirm: take the address, the new or the present one, as the user's.
        phone: a number with its country's code.
        phone_confirm: take the number as the user's.
        password: judged like anybody's.
        password_hash: instead: argon2 or bcrypt, from elsewhere.
        role: of the user's tokens.
        user_metadata: merged; a null takes a member away.
        app_metadata: likewise.
        ban: how long from now, or "none" to lift a ban.
    """

    email: str | None = None
    email_confirm: bool = False
    phone: str | None = None
    phone_confirm: bool = False
    password: str | None = field(default=None, repr=False)
    password_hash: str | None = field(default=None, repr=False)
    role: str | None = None
    user_metadata: Mapping[str, Any] | None = None
    app_metadata: Mapping[str, Any] | None = None
    ban: timedelta | Literal["none"] | None = None


def update(context: IdentityContext, user_id: UUID, wanted: Changes, caller: Caller, now: datetime) -> Account:
    """Change a user and return them as stored.

    Raises:
        AuthError: 404 user_not_found; 400 validation_failed; 422 weak_password, email_exists, phone_exists.
        TooBusy: too many passwords are being hashed.
    """
    before = admin.get(context, user_id).user
    if before.deleted_at is not None:
        raise AuthError(404, "user_not_found", "User not found")
    email = addresses.canonical_email(wanted.email) if wanted.email else None
    phone = addresses.canonical_phone(wanted.phone) if wanted.phone else None
    if wanted.role is not None:
        admin.check_role(wanted.role)
    judged = (email or before.email, before.username)
    password_hash = admin.new_hash(context, wanted.password, wanted.password_hash, judged)
    try:
        with context.changing() as change:
            current = users.by_id(change.connection, user_id, lock=True)
            if current is None or current.deleted_at is not None:
                raise AuthError(404, "user_not_found", "User not found")
            columns = _columns(current, wanted, email, phone, password_hash, now)
            stored = users.update(change.connection, user_id, now, **columns) or current
            _note(context, change, stored, wanted, columns, caller, now)
            _tell(context, change, current, columns, now)
            return sessions.account_of(change, stored)
    except sa.exc.IntegrityError as cause:
        raise _taken(context, user_id, email) from cause


def _columns(
    current: UserRecord,
    wanted: Changes,
    email: str | None,
    phone: str | None,
    password_hash: str | None,
    now: datetime,
) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if email is not None and email != current.email:
        columns |= {"email": email, "email_change": None, "email_change_sent_at": None}
    if phone is not None:
        columns["phone"] = phone
    if wanted.email_confirm and current.email_confirmed_at is None and (email or current.email):
        columns["email_confirmed_at"] = now
    if wanted.phone_confirm and current.phone_confirmed_at is None and (phone or current.phone):
        columns["phone_confirmed_at"] = now
    if password_hash is not None:
        columns["password_hash"] = password_hash
    if wanted.role is not None:
        columns["role"] = wanted.role
    if wanted.ban is not None:
        columns["banned_until"] = None if wanted.ban == "none" else now + min(wanted.ban, admin.FOREVER)
    if _is_named(current, columns):
        columns["is_anonymous"] = False
    columns |= _metadata(current, wanted, columns)
    return {name: value for name, value in columns.items() if value != getattr(current, name)}


def _is_named(current: UserRecord, columns: Mapping[str, Any]) -> bool:
    """Tell whether an anonymous user has a confirmed address or number after these changes."""
    after = {name: columns.get(name, getattr(current, name)) for name in ("email_confirmed_at", "phone_confirmed_at")}
    return current.is_anonymous and any(instant is not None for instant in after.values())


def _metadata(current: UserRecord, wanted: Changes, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Merge what is wanted, and what follows from an address or a number that came."""
    found: dict[str, Any] = {}
    user_metadata = dict(wanted.user_metadata or {})
    if wanted.email_confirm and (columns.get("email") or current.email):
        user_metadata["email_verified"] = True
    if user_metadata:
        found["user_metadata"] = merged(current.user_metadata, user_metadata)
    new_ways = [way for way in ("email", "phone") if way in columns]
    if wanted.app_metadata is None and not new_ways:
        return found
    app_metadata = merged(current.app_metadata, wanted.app_metadata or {})
    if new_ways:
        kept = app_metadata.get("providers")
        ways = list(kept) if isinstance(kept, list) else []
        ways += [way for way in new_ways if way not in ways]
        app_metadata = {**app_metadata, "provider": app_metadata.get("provider") or ways[0], "providers": ways}
    return {**found, "app_metadata": app_metadata}


def _note(
    context: IdentityContext,
    change: Change,
    stored: UserRecord,
    wanted: Changes,
    columns: Mapping[str, Any],
    caller: Caller,
    now: datetime,
) -> None:
    """Write the identities, the events and the end of the sessions that belong to a change."""
    if "email" in columns or (wanted.email_confirm and stored.email is not None):
        if wanted.email_confirm and ("email" in columns or not new_users.is_proven(change, stored)):
            change.record(Event(Happening.EMAIL_CONFIRMED, now, stored.id, None, caller.address, _BY))
        new_users.note_address(change, stored, now, verified=wanted.email_confirm)
    if "phone" in columns or (wanted.phone_confirm and stored.phone is not None):
        new_users.note_phone(change, stored, now, verified=wanted.phone_confirm)
    if "email" in columns or "password_hash" in columns:
        # A link that went to the former address, or that somebody else asked for, must not outlive the change.
        one_time_links.void(change, stored.id)
    for happening, details in _happenings(stored, columns):
        change.record(Event(happening, now, stored.id, None, caller.address, {**_BY, **details}))
    if "password_hash" in columns:
        throttle.forget_attempts(context, change.connection, stored.id)
    if "password_hash" in columns or "role" in columns or columns.get("banned_until") is not None:
        sessions.end_within(change, stored.id, None, "global", now)


def _tell(
    context: IdentityContext, change: Change, former: UserRecord, columns: Mapping[str, Any], now: datetime
) -> None:
    """Write to the user what was changed; nothing of the administrator is told."""
    if "password_hash" in columns:
        notices.tell(context, change, MailKind.PASSWORD_CHANGED, former, admin.NO_CALLER, now)
    if "email" in columns:
        notices.tell_former_address(context, change, former, columns["email"], admin.NO_CALLER, now)


def _happenings(stored: UserRecord, columns: Mapping[str, Any]) -> list[tuple[Happening, dict[str, str | int | bool]]]:
    found: list[tuple[Happening, dict[str, str | int | bool]]] = []
    if "email" in columns:
        found.append((Happening.EMAIL_CHANGED, {}))
    if "password_hash" in columns:
        found.append((Happening.PASSWORD_CHANGED, {}))
    if "role" in columns:
        found.append((Happening.ROLE_CHANGED, {"role": stored.role}))
    if columns.get("banned_until") is not None:
        found.append((Happening.USER_BANNED, {"until": columns["banned_until"].isoformat()}))
    told = {"email", "email_change", "email_change_sent_at", "password_hash", "role"}
    if columns.get("banned_until") is not None:
        told.add("banned_until")
    rest = sorted(columns.keys() - told)
    return [*found, (Happening.USER_UPDATED, {"changed": ", ".join(rest)})] if rest else found


def _taken(context: IdentityContext, user_id: UUID, email: str | None) -> AuthError:
    with context.database.reading() as connection:
        holder = None if email is None else users.by_email(connection, email)
    if holder is not None and holder.id != user_id:
        return addresses.taken()
    return AuthError(422, "phone_exists", "Phone number already registered by another user")
