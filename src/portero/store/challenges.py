"""Rows of `portero_challenges`: each can be answered rightly once, and tried a few times.

Tries are counted before a code is looked at, and both are single conditional UPDATEs: of many at one time, no more pass
than may (threats MF-03, MF-08).
"""

from __future__ import annotations

from dataclasses import asdict, field
from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.tables import CHALLENGES as _TABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeRecord:
    """One question for a code of a factor.

    Attributes:
        address: whence it was asked; the answer must come from there.
        tries: how many codes were tried.
        verified_at: when a code was right, or None.
    """

    id: UUID = field(default_factory=uuid4)
    factor_id: UUID
    address: str = ""
    created_at: datetime
    expires_at: datetime
    tries: int = 0
    verified_at: datetime | None = None


def insert(connection: sa.Connection, challenge: ChallengeRecord) -> None:
    """Insert a challenge, and remove those of the factor whose time is over."""
    over = (_TABLE.c.factor_id == challenge.factor_id) & (_TABLE.c.expires_at <= challenge.created_at)
    connection.execute(sa.delete(_TABLE).where(over))
    connection.execute(sa.insert(_TABLE).values(asdict(challenge)))


def of_factor(connection: sa.Connection, factor_id: UUID, challenge_id: UUID) -> ChallengeRecord | None:
    """Find a challenge of a factor."""
    query = sa.select(*_TABLE.c).where(_TABLE.c.id == challenge_id, _TABLE.c.factor_id == factor_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else ChallengeRecord(**row)


def take_try(connection: sa.Connection, challenge_id: UUID, most: int) -> bool:
    """Count one try; false if `most` were made, or a code was right already."""
    standing = (_TABLE.c.id == challenge_id) & (_TABLE.c.tries < most) & _TABLE.c.verified_at.is_(None)
    return connection.execute(sa.update(_TABLE).where(standing).values(tries=_TABLE.c.tries + 1)).rowcount == 1


def spend(connection: sa.Connection, challenge_id: UUID, now: datetime) -> bool:
    """Mark a challenge as answered: true for exactly one of all who try it at one time."""
    standing = (_TABLE.c.id == challenge_id) & _TABLE.c.verified_at.is_(None)
    return connection.execute(sa.update(_TABLE).where(standing).values(verified_at=now)).rowcount == 1


def over(now: datetime) -> sa.ColumnElement[bool]:
    """Give the condition of challenges whose time is over."""
    return _TABLE.c.expires_at <= now
