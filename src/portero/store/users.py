"""Rows of `portero_users`. It decides nothing about who may sign in, and keeps addresses and names in lower case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.store.tables import User

_TABLE = User.__table__
_FOLDED = ("email", "username", "email_change")


@dataclass(frozen=True, slots=True, kw_only=True)
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


def insert(connection: sa.Connection, user: UserRecord) -> UserRecord:
    """Insert a user and give it as stored.

    Raises:
        sqlalchemy.exc.IntegrityError: the address, user name or phone number is taken.
    """
    return _one(connection, sa.insert(_TABLE).values(_folded(asdict(user))).returning(*_TABLE.c))  # type: ignore[return-value]


def by_id(connection: sa.Connection, user_id: UUID, *, lock: bool = False) -> UserRecord | None:
    """Find a user; `lock` keeps the row from others until the transaction ends (SQLite's writer has it anyway)."""
    query = sa.select(*_TABLE.c).where(_TABLE.c.id == user_id)
    return _one(connection, query.with_for_update() if lock else query)


def by_email(connection: sa.Connection, email: str) -> UserRecord | None:
    """Find a user by address, in whatever case it is written."""
    return _one(connection, sa.select(*_TABLE.c).where(_TABLE.c.email == email.lower()))


def by_username(connection: sa.Connection, username: str) -> UserRecord | None:
    """Find a user by user name, in whatever case it is written."""
    return _one(connection, sa.select(*_TABLE.c).where(_TABLE.c.username == username.lower()))


def by_phone(connection: sa.Connection, phone: str) -> UserRecord | None:
    """Find a user by phone number (digits only)."""
    return _one(connection, sa.select(*_TABLE.c).where(_TABLE.c.phone == phone))


def page(connection: sa.Connection, *, offset: int, limit: int) -> tuple[Sequence[UserRecord], int]:
    """Give one page of users, newest first, and how many there are in all."""
    total: int = connection.execute(sa.select(sa.func.count()).select_from(_TABLE)).scalar_one()
    order = (_TABLE.c.created_at.desc(), _TABLE.c.id)
    rows = connection.execute(sa.select(*_TABLE.c).order_by(*order).offset(offset).limit(limit))
    return [UserRecord(**row) for row in rows.mappings()], total


def update(connection: sa.Connection, user_id: UUID, now: datetime, /, **changes: Any) -> UserRecord | None:
    """Change columns of a user and give it as stored; None if there is no such user.

    Raises:
        sqlalchemy.exc.IntegrityError: the address, user name or phone number is taken.
        sqlalchemy.exc.CompileError: no such column.
    """
    values = {"updated_at": now, **_folded(changes)}
    return _one(connection, sa.update(_TABLE).where(_TABLE.c.id == user_id).values(values).returning(*_TABLE.c))


def delete(connection: sa.Connection, user_id: UUID) -> bool:
    """Delete a user with everything that is theirs: sessions and identities go in the same transaction."""
    return connection.execute(sa.delete(_TABLE).where(_TABLE.c.id == user_id)).rowcount == 1


def _folded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.lower() if name in _FOLDED and isinstance(value, str) else value for name, value in values.items()
    }


def _one(connection: sa.Connection, statement: sa.Executable) -> UserRecord | None:
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else UserRecord(**row)
