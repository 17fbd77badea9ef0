"""Rows of `portero_recovery_codes`: the sealed digests of a set's codes, and which of them were used.

It never sees a code, and decides nothing about who may use one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, field
from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.tables import RECOVERY_CODES as _TABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodeRecord:
    """One code of a set."""

    id: UUID = field(default_factory=uuid4)
    factor_id: UUID
    sealed_digest: bytes = field(repr=False)
    used_at: datetime | None = None


def replace(connection: sa.Connection, factor_id: UUID, codes: Sequence[RecoveryCodeRecord]) -> None:
    """Put a new set in the place of the former one, of which nothing is left."""
    connection.execute(sa.delete(_TABLE).where(_TABLE.c.factor_id == factor_id))
    connection.execute(sa.insert(_TABLE), [asdict(code) for code in codes])


def of_factor(connection: sa.Connection, factor_id: UUID) -> Sequence[RecoveryCodeRecord]:
    """Give a set's codes, used ones too."""
    query = sa.select(*_TABLE.c).where(_TABLE.c.factor_id == factor_id).order_by(_TABLE.c.id)
    return [RecoveryCodeRecord(**row) for row in connection.execute(query).mappings()]


def spend(connection: sa.Connection, code_id: UUID, now: datetime) -> bool:
    """Use a code: true for exactly one of all who try it at one time."""
    unused = (_TABLE.c.id == code_id) & _TABLE.c.used_at.is_(None)
    return connection.execute(sa.update(_TABLE).where(unused).values(used_at=now)).rowcount == 1


def reseal(connection: sa.Connection, code_id: UUID, former: bytes, sealed: bytes) -> bool:
    """Replace a sealed digest, if it is still the one that was read."""
    same = (_TABLE.c.id == code_id) & (_TABLE.c.sealed_digest == former)
    return connection.execute(sa.update(_TABLE).where(same).values(sealed_digest=sealed)).rowcount == 1
