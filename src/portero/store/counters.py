"""Rows of `portero_counters`: how often something happened lately, counted once for all workers.

A counter is a fixed window: it starts with the first hit and is void when its time is over. New counters pay for the
removal of void ones, so the table holds no more than what is live. Names are the caller's affair: never an address in
the clear.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.prepared import Prepared, changing
from portero.store.tables import COUNTERS as _TABLE
from portero.store.types import ONE, UtcDateTime
from portero.store.upserts import insert_into

#: How many void counters a new one takes away.
_SWEPT_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Hit:
    """What a hit came to: `allowed` while `count` is within the limit; the window is over at `expires_at`."""

    allowed: bool
    count: int
    expires_at: datetime


def hit(connection: sa.Connection, name: str, limit: int, window: timedelta, now: datetime) -> Hit:
    """Count one more, in one statement: of any number of hits at one time, `limit` are allowed."""
    count, expires_at = _HIT.all(connection, name=name, ends_at=now + window, now=now)[0]
    if count == 1:
        sweep(connection, now, limit=_SWEPT_AT_ONCE)
    return Hit(count <= limit, count, expires_at)


def sweep(connection: sa.Connection, now: datetime, *, limit: int = 1000) -> int:
    """Remove void counters; give how many."""
    return _SWEEP.changed(connection, now=now, most=limit)


def over(now: datetime) -> sa.ColumnElement[bool]:
    """Give the condition of void counters."""
    return _TABLE.c.window_ends_at <= now


def _hit(dialect_name: str) -> sa.Executable:
    over = _IS_OVER
    added: Any = insert_into(_TABLE, dialect_name)
    added = added.values(name=sa.bindparam("name"), hits=ONE, window_ends_at=sa.bindparam("ends_at"))
    hit: sa.Executable = added.on_conflict_do_update(
        index_elements=[_TABLE.c.name],
        set_={
            "hits": sa.case((over, ONE), else_=_TABLE.c.hits + ONE),
            "window_ends_at": sa.case((over, added.excluded.window_ends_at), else_=_TABLE.c.window_ends_at),
        },
    ).returning(_TABLE.c.hits, _TABLE.c.window_ends_at)
    return hit


_IS_OVER = _TABLE.c.window_ends_at <= sa.bindparam("now", type_=UtcDateTime())
_HIT = Prepared(_hit, tuple)
# Two sweepers must not wait for each other: on PostgreSQL each takes what the other has not.
_VOID = sa.select(_TABLE.c.name).where(_IS_OVER).limit(sa.bindparam("most", type_=sa.Integer()))
_SWEEP = changing(sa.delete(_TABLE).where(_TABLE.c.name.in_(_VOID.with_for_update(skip_locked=True))))
