"""Rows of `portero_users`. It decides nothing about who may sign in, and keeps addresses and names in lower case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.figures import kept
from portero.records import dataclass
from portero.store.prepared import Prepared, changing, made_by, returning
from portero.store.tables import User

_TABLE = User.__table__
COLUMNS = tuple(_TABLE.c.keys())
_FOLDED = ("email", "username", "email_change")


@dataclass(frozen=True, kw_only=True)
class UserRecord:
    """One user as the database has it; the columns are those of `tables.User`."""

    id: UUID = field(default_factory=uuid4)
    aud: str = "authenticated"
    role: str = "authenticated"
    email: str | None = None
    username: str | None = None
    phone: str | None = None
    password_hash: str | None = field(default=None, repr=False)
    email_confirmed_at: datetime | None = None
    phone_confirmed_at: datetime | None = None
    invited_at: datetime | None = None
    confirmation_sent_at: datetime | None = None
    recovery_sent_at: datetime | None = None
    email_change: str | None = None
    email_change_sent_at: datetime | None = None
    phone_change: str | None = None
    phone_change_sent_at: datetime | None = None
    reauthentication_sent_at: datetime | None = None
    last_sign_in_at: datetime | None = None
    banned_until: datetime | None = None
    deleted_at: datetime | None = None
    app_metadata: Mapping[str, Any] = field(default_factory=dict)
    user_metadata: Mapping[str, Any] = field(default_factory=dict)
    is_anonymous: bool = False
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What the check of a password asks of a user, and no more."""

    id: UUID
    email: str | None
    username: str | None
    password_hash: str | None = field(repr=False)


def insert(connection: sa.Connection, user: UserRecord) -> UserRecord:
    """Insert a user and give it as stored.

    Raises:
        sqlalchemy.exc.IntegrityError: the address, user name or phone number is taken.
    """
    values = {name: getattr(user, name) for name in COLUMNS}
    return _INSERT.all(connection, **_folded(values))[0]


def by_id(connection: sa.Connection, user_id: UUID, *, lock: bool = False) -> UserRecord | None:
    """Find a user; `lock` keeps the row from others until the transaction ends (SQLite's writer has it anyway)."""
    return (_LOCKED if lock else _BY_ID).first(connection, user_id=user_id)


def by_email(connection: sa.Connection, email: str, *, lock: bool = False) -> UserRecord | None:
    """Find a user by address, in whatever case it is written; `lock` as in `by_id`."""
    return (_LOCKED_BY_EMAIL if lock else _BY_EMAIL).first(connection, email=email.lower())


def credentials_by_email(connection: sa.Connection, email: str) -> Credentials | None:
    """Find by address what a password is checked against, in whatever case it is written."""
    return _CREDENTIALS_BY_EMAIL.first(connection, email=email.lower())


def credentials_by_username(connection: sa.Connection, username: str) -> Credentials | None:
    """Find by user name what a password is checked against, in whatever case it is written."""
    return _CREDENTIALS_BY_USERNAME.first(connection, username=username.lower())


def by_username(connection: sa.Connection, username: str) -> UserRecord | None:
    """Find a user by user name, in whatever case it is written."""
    return _BY_USERNAME.first(connection, username=username.lower())


def by_phone(connection: sa.Connection, phone: str) -> UserRecord | None:
    """Find a user by phone number (digits only)."""
    return _BY_PHONE.first(connection, phone=phone)


def page(
    connection: sa.Connection,
    *,
    offset: int,
    limit: int,
    holding: str = "",
    email: str | None = None,
    oldest_first: bool = False,
) -> tuple[Sequence[UserRecord], int]:
    """Give one page of users, and how many there are in all.

    Args:
        holding: only those whose address or full name (`user_metadata.full_name`) holds this text, in any case.
        email: only the one with this address.
        oldest_first: instead of newest first.
    """
    meant = sa.true() if email is None else _TABLE.c.email == email.lower()
    if holding:
        full_name = _TABLE.c.user_metadata["full_name"].as_string()
        meant &= _TABLE.c.email.icontains(holding, autoescape=True) | full_name.icontains(holding, autoescape=True)
    total: int = connection.execute(sa.select(sa.func.count()).select_from(_TABLE).where(meant)).scalar_one()
    order = (_TABLE.c.created_at.asc() if oldest_first else _TABLE.c.created_at.desc(), _TABLE.c.id)
    rows = connection.execute(sa.select(*_TABLE.c).where(meant).order_by(*order).offset(offset).limit(limit))
    return [UserRecord(**row) for row in rows.mappings()], total


def update(connection: sa.Connection, user_id: UUID, now: datetime, /, **changes: Any) -> UserRecord | None:
    """Change columns of a user and give it as stored; None if there is no such user.

    Raises:
        sqlalchemy.exc.IntegrityError: the address, user name or phone number is taken.
        sqlalchemy.exc.CompileError: no such column.
    """
    values = {"updated_at": now, **_folded(changes)}
    statement = _update_of(tuple(sorted(values)))
    return statement.first(connection, user_id=user_id, **{f"new_{name}": value for name, value in values.items()})


def note_sign_in(connection: sa.Connection, user_id: UUID, now: datetime) -> bool:
    """Write down when a user last signed in; false if there is no such user."""
    return _SIGNED_IN.changed(connection, user_id=user_id, now=now) == 1


def delete(connection: sa.Connection, user_id: UUID) -> bool:
    """Delete a user with everything that is theirs: sessions and identities go in the same transaction."""
    return connection.execute(sa.delete(_TABLE).where(_TABLE.c.id == user_id)).rowcount == 1


def _folded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.lower() if name in _FOLDED and isinstance(value, str) else value for name, value in values.items()
    }


@kept("user_updates", 128)
def _update_of(names: tuple[str, ...]) -> Prepared[UserRecord]:
    """Prepare the change of these columns; the names are written in the code of `identity`, so there are few."""
    values = {
        name: sa.bindparam(f"new_{name}", type_=_TABLE.c[name].type if name in _TABLE.c else None) for name in names
    }
    return Prepared(sa.update(_TABLE).where(_IS_MEANT).values(values).returning(*_TABLE.c), _MADE)


_IS_MEANT = _TABLE.c.id == sa.bindparam("user_id")
_ALL = sa.select(*_TABLE.c)
_MADE = made_by(UserRecord, COLUMNS)
_INSERT = returning(_TABLE, UserRecord)
_BY_ID = Prepared(_ALL.where(_IS_MEANT), _MADE)
_LOCKED = Prepared(_ALL.where(_IS_MEANT).with_for_update(), _MADE)
_BY_EMAIL = Prepared(_ALL.where(_TABLE.c.email == sa.bindparam("email")), _MADE)
_LOCKED_BY_EMAIL = Prepared(_ALL.where(_TABLE.c.email == sa.bindparam("email")).with_for_update(), _MADE)
_BY_USERNAME = Prepared(_ALL.where(_TABLE.c.username == sa.bindparam("username")), _MADE)
_BY_PHONE = Prepared(_ALL.where(_TABLE.c.phone == sa.bindparam("phone")), _MADE)
_CHECKED = ("id", "email", "username", "password_hash")
_CREDENTIALS = sa.select(*(_TABLE.c[name] for name in _CHECKED))
_CREDENTIALS_MADE = made_by(Credentials, _CHECKED)
_CREDENTIALS_BY_EMAIL = Prepared(_CREDENTIALS.where(_TABLE.c.email == sa.bindparam("email")), _CREDENTIALS_MADE)
_CREDENTIALS_BY_USERNAME = Prepared(
    _CREDENTIALS.where(_TABLE.c.username == sa.bindparam("username")), _CREDENTIALS_MADE
)
_SIGNED_IN = changing(
    sa.update(_TABLE).where(_IS_MEANT).values(last_sign_in_at=sa.bindparam("now"), updated_at=sa.bindparam("now"))
)
