"""Rows of `portero_identities`: the ways a user is known (e-mail, accounts elsewhere)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.prepared import Prepared, made_by, returning
from portero.store.tables import IDENTITIES as _TABLE

COLUMNS = tuple(_TABLE.c.keys())


@dataclass(frozen=True, kw_only=True)
class IdentityRecord:
    """One identity; `provider_id` is the provider's subject (for `email`, the user's id as text)."""

    id: UUID = field(default_factory=uuid4)
    user_id: UUID
    provider: str
    provider_id: str
    identity_data: Mapping[str, Any] = field(default_factory=dict)
    email: str | None = None
    last_sign_in_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


def insert(connection: sa.Connection, identity: IdentityRecord) -> IdentityRecord:
    """Insert an identity and give it as stored.

    Raises:
        sqlalchemy.exc.IntegrityError: the provider's subject belongs to a user already, or there is no such user.
    """
    values = {name: getattr(identity, name) for name in COLUMNS}
    values["email"] = identity.email.lower() if identity.email else None
    return _INSERT.all(connection, **values)[0]


def of_user(connection: sa.Connection, user_id: UUID) -> Sequence[IdentityRecord]:
    """Give a user's identities, oldest first."""
    return _OF_USER.all(connection, user_id=user_id)


def of_users(connection: sa.Connection, user_ids: Iterable[UUID]) -> dict[UUID, list[IdentityRecord]]:
    """Give the identities of several users in one statement, oldest first."""
    query = sa.select(*_TABLE.c).where(_TABLE.c.user_id.in_(list(user_ids)))
    found: dict[UUID, list[IdentityRecord]] = {}
    for row in connection.execute(query.order_by(_TABLE.c.created_at, _TABLE.c.id)).mappings():
        found.setdefault(row["user_id"], []).append(IdentityRecord(**row))
    return found


def by_provider(connection: sa.Connection, provider: str, provider_id: str) -> IdentityRecord | None:
    """Find the identity that a provider's subject is."""
    where = (_TABLE.c.provider == provider) & (_TABLE.c.provider_id == provider_id)
    return _one(connection, sa.select(*_TABLE.c).where(where))


def update(connection: sa.Connection, identity_id: UUID, now: datetime, /, **changes: Any) -> IdentityRecord | None:
    """Change columns of an identity and give it as stored; None if there is no such identity."""
    values = {"updated_at": now, **changes}
    if isinstance(values.get("email"), str):
        values["email"] = values["email"].lower()
    return _one(connection, sa.update(_TABLE).where(_TABLE.c.id == identity_id).values(values).returning(*_TABLE.c))


def delete(connection: sa.Connection, identity_id: UUID) -> bool:
    """Take an identity from its user."""
    return connection.execute(sa.delete(_TABLE).where(_TABLE.c.id == identity_id)).rowcount == 1


def _one(connection: sa.Connection, statement: sa.Executable) -> IdentityRecord | None:
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else IdentityRecord(**row)


_INSERT = returning(_TABLE, IdentityRecord)
_OF_USER = Prepared(
    sa.select(*_TABLE.c).where(_TABLE.c.user_id == sa.bindparam("user_id")).order_by(_TABLE.c.created_at, _TABLE.c.id),
    made_by(IdentityRecord, COLUMNS),
)
