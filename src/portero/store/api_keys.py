"""The rows of `portero_api_keys`: publishable and secret API keys, known by their digest.

Never holds a secret key in the clear; a publishable one is public by definition and is kept to be shown again.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.tables import API_KEYS as _TABLE

#: Any number of our own; every process that makes the first key takes the same lock.
_MAKING_KEYS_LOCK = 7_266_018_442


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """One API key as it is kept.

    Attributes:
        id: names it in the command line and in the audit.
        name: the administrator's word for it.
        kind: `publishable` or `secret`.
        digest: SHA-256 of the key, hexadecimal.
        hint: its first characters, enough to recognise it.
        value: the key itself, of the publishable kind only.
        created_at: when it was made.
        expires_at: until when it is accepted, or None.
        revoked_at: since when it is refused, or None.
    """

    id: UUID
    name: str
    kind: str
    digest: str
    hint: str
    value: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


def lock(connection: sa.Connection) -> None:
    """Let no other process make a key under this lock until the transaction ends (SQLite: it is the only writer)."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING_KEYS_LOCK)))


def insert(connection: sa.Connection, record: ApiKeyRecord) -> None:
    """Keep a new key."""
    values = {name: getattr(record, name) for name in ApiKeyRecord.__slots__}
    connection.execute(sa.insert(_TABLE).values(values))


def every(connection: sa.Connection) -> tuple[ApiKeyRecord, ...]:
    """Give all keys, revoked ones too, oldest first."""
    rows = connection.execute(sa.select(*_COLUMNS).order_by(_TABLE.c.created_at, _TABLE.c.id))
    return tuple(ApiKeyRecord(**row._mapping) for row in rows)


def by_digest(connection: sa.Connection, digest: str) -> ApiKeyRecord | None:
    """Find a key by its digest; revoked and expired ones are found too."""
    row = connection.execute(sa.select(*_COLUMNS).filter_by(digest=digest)).one_or_none()
    return None if row is None else ApiKeyRecord(**row._mapping)


def revoke(connection: sa.Connection, key_id: UUID, revoked_at: datetime) -> bool:
    """Refuse a key from now on; False where it was not there or had been revoked before."""
    result = connection.execute(
        sa.update(_TABLE).where(_TABLE.c.id == key_id, _TABLE.c.revoked_at.is_(None)).values(revoked_at=revoked_at)
    )
    return result.rowcount == 1


_COLUMNS = [_TABLE.c[name] for name in ApiKeyRecord.__slots__]
