"""The rows of `portero_signing_keys`: signing keys, their public half and their sealed private half.

Decides nothing about rotation and never sees a private key in the clear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.tables import SIGNING_KEYS as _TABLE

Standing = Literal["waiting", "current", "former", "retired"]
#: Any number of our own; every process that makes keys takes the same lock.
_MAKING_KEYS_LOCK = 7_266_018_441


@dataclass(frozen=True, slots=True)
class SigningKeyRecord:
    """One signing key as it is kept.

    Attributes:
        kid: the thumbprint of its public half.
        alg: the only algorithm it is for.
        public_jwk: what JWKS publishes.
        sealed_private_key: sealed PKCS #8, or None once it is retired.
        status: `published` (verifies), `active` (the newest that signs) or `retired`.
        created_at: when it was made.
        activated_at: from when it signs, or None.
        retired_at: since when nothing of it is accepted, or None.
    """

    kid: str
    alg: str
    public_jwk: Mapping[str, Any]
    sealed_private_key: bytes | None = field(repr=False)
    status: str
    created_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None

    @property
    def standing(self) -> Standing:
        """What it is for: `waiting` to sign, the `current` one that does, a `former` one that verifies, or nothing."""
        if self.status == "published":
            return "waiting" if self.activated_at is None else "former"
        return "current" if self.status == "active" else "retired"


def lock(connection: sa.Connection) -> None:
    """Let no other process make or change keys until this transaction ends (SQLite: it is the only writer anyway)."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MAKING_KEYS_LOCK)))


def insert(connection: sa.Connection, record: SigningKeyRecord) -> None:
    """Keep a new key."""
    values = {name: getattr(record, name) for name in SigningKeyRecord.__slots__}
    connection.execute(sa.insert(_TABLE).values({**values, "public_jwk": dict(record.public_jwk)}))


def every(connection: sa.Connection) -> tuple[SigningKeyRecord, ...]:
    """Give all keys, retired ones too, oldest first."""
    rows = connection.execute(sa.select(*_COLUMNS).order_by(_TABLE.c.created_at, _TABLE.c.kid))
    return tuple(SigningKeyRecord(**row._mapping) for row in rows)


def activate(connection: sa.Connection, kid: str, activated_at: datetime) -> None:
    """Make a key the active one; the one before stays published."""
    connection.execute(sa.update(_TABLE).where(_TABLE.c.status == "active").values(status="published"))
    connection.execute(sa.update(_TABLE).where(_TABLE.c.kid == kid).values(status="active", activated_at=activated_at))


def retire(connection: sa.Connection, kid: str, retired_at: datetime) -> bool:
    """End a key and forget its private half; False where it was not there or had ended before."""
    result = connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.kid == kid, _TABLE.c.status != "retired")
        .values(status="retired", retired_at=retired_at, sealed_private_key=None)
    )
    return result.rowcount == 1


def reseal(connection: sa.Connection, kid: str, former: bytes, sealed: bytes) -> bool:
    """Replace a sealed private key, if it is still the one that was read."""
    result = connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.kid == kid, _TABLE.c.sealed_private_key == former)
        .values(sealed_private_key=sealed)
    )
    return result.rowcount == 1


_COLUMNS = [_TABLE.c[name] for name in SigningKeyRecord.__slots__]
