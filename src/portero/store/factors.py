"""Rows of `portero_factors`: second factors, a TOTP secret sealed in each, or the set of recovery codes.

It decides nothing about codes and never sees a secret in the clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, field
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.prepared import Prepared, made_by
from portero.store.tables import FACTORS as _TABLE

FactorType = Literal["totp", "recovery_code"]


@dataclass(frozen=True, kw_only=True)
class FactorRecord:
    """One second factor.

    Attributes:
        factor_type: `totp` or `recovery_code`.
        status: `unverified` until a code of it was right, then `verified`.
        friendly_name: what the user calls it; one of each name a user.
        sealed_secret: the sealed TOTP secret; None for recovery codes.
        last_step: the newest TOTP step of which a code was taken; none before it, and it itself, is taken again.
    """

    id: UUID = field(default_factory=uuid4)
    user_id: UUID
    factor_type: FactorType
    status: Literal["unverified", "verified"] = "unverified"
    friendly_name: str = ""
    sealed_secret: bytes | None = field(default=None, repr=False)
    last_step: int | None = None
    last_challenged_at: datetime | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def is_verified(self) -> bool:
        """Whether it counts."""
        return self.status == "verified"


def insert(connection: sa.Connection, factor: FactorRecord) -> None:
    """Insert a factor.

    Raises:
        sqlalchemy.exc.IntegrityError: the user has one of this name.
    """
    connection.execute(sa.insert(_TABLE).values(asdict(factor)))


def of_user(connection: sa.Connection, user_id: UUID) -> Sequence[FactorRecord]:
    """Give a user's factors, oldest first."""
    return _OF_USER.all(connection, user_id=user_id)


def of_users(connection: sa.Connection, user_ids: Sequence[UUID]) -> dict[UUID, list[FactorRecord]]:
    """Give the factors of several users, oldest first; who has none is left out."""
    query = sa.select(*_TABLE.c).where(_TABLE.c.user_id.in_(user_ids))
    found: dict[UUID, list[FactorRecord]] = {}
    for row in connection.execute(query.order_by(_TABLE.c.created_at, _TABLE.c.id)).mappings():
        found.setdefault(row["user_id"], []).append(FactorRecord(**row))
    return found


def page(connection: sa.Connection, after: UUID | None, limit: int) -> Sequence[FactorRecord]:
    """Give the next factors in the order of their ids, of everybody."""
    query = sa.select(*_TABLE.c).order_by(_TABLE.c.id).limit(limit)
    if after is not None:
        query = query.where(_TABLE.c.id > after)
    return [FactorRecord(**row) for row in connection.execute(query).mappings()]


def verify(connection: sa.Connection, factor_id: UUID, now: datetime) -> bool:
    """Let a factor count from now on; false if it did already."""
    pending = (_TABLE.c.id == factor_id) & (_TABLE.c.status == "unverified")
    return connection.execute(sa.update(_TABLE).where(pending).values(status="verified", updated_at=now)).rowcount == 1


def rename(connection: sa.Connection, factor_id: UUID, name: str, now: datetime) -> None:
    """Give a factor another name.

    Raises:
        sqlalchemy.exc.IntegrityError: another factor of the user has it.
    """
    values = {"friendly_name": name, "updated_at": now}
    connection.execute(sa.update(_TABLE).where(_TABLE.c.id == factor_id).values(values))


def take_step(connection: sa.Connection, factor_id: UUID, step: int) -> bool:
    """Spend a TOTP step and all before it: true for exactly one of all who try it at one time."""
    is_new = _TABLE.c.last_step.is_(None) | (_TABLE.c.last_step < step)
    spend = sa.update(_TABLE).where(_TABLE.c.id == factor_id, is_new)
    return connection.execute(spend.values(last_step=step)).rowcount == 1


def note_challenge(connection: sa.Connection, factor_id: UUID, now: datetime) -> None:
    """Write down when a factor was last asked for."""
    connection.execute(sa.update(_TABLE).where(_TABLE.c.id == factor_id).values(last_challenged_at=now))


def reseal(connection: sa.Connection, factor_id: UUID, former: bytes, sealed: bytes) -> bool:
    """Replace a sealed secret, if it is still the one that was read."""
    same = (_TABLE.c.id == factor_id) & (_TABLE.c.sealed_secret == former)
    return connection.execute(sa.update(_TABLE).where(same).values(sealed_secret=sealed)).rowcount == 1


def delete(connection: sa.Connection, factor_id: UUID) -> bool:
    """Remove a factor with its challenges and codes; false if it was gone."""
    return connection.execute(sa.delete(_TABLE).where(_TABLE.c.id == factor_id)).rowcount == 1


def delete_unverified(connection: sa.Connection, user_id: UUID, factor_type: FactorType) -> int:
    """Remove a user's unverified factors of one type; give how many."""
    pending = (_TABLE.c.user_id == user_id) & (_TABLE.c.factor_type == factor_type) & (_TABLE.c.status == "unverified")
    return connection.execute(sa.delete(_TABLE).where(pending)).rowcount


def delete_stale(connection: sa.Connection, created_before: datetime, user_id: UUID) -> int:
    """Remove a user's factors that were never verified; give how many."""
    stale = stale_before(created_before) & (_TABLE.c.user_id == user_id)
    return connection.execute(sa.delete(_TABLE).where(stale)).rowcount


def stale_before(created_before: datetime) -> sa.ColumnElement[bool]:
    """Give the condition of factors that were enrolled before an instant and never verified."""
    return (_TABLE.c.status == "unverified") & (_TABLE.c.created_at < created_before)


_OF_USER = Prepared(
    sa.select(*_TABLE.c).where(_TABLE.c.user_id == sa.bindparam("user_id")).order_by(_TABLE.c.created_at, _TABLE.c.id),
    made_by(FactorRecord, _TABLE.c.keys()),
)
