"""Failed attempts in a row, one row a name in the counters' table; it decides nothing about delays.

An attempt is taken by compare-and-set before the work it pays for, so of many at one time each counts (threats CR-10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from portero.store.tables import Counter

#: How long after the last attempt a row is kept.
KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is known of one name: how many attempts in a row, and when the last one was taken."""

    count: int
    last_at: datetime | None


def read(connection: sa.Connection, name: str, now: datetime) -> Attempts:
    """Return the attempts that stand; none once the row's time is over."""
    row = connection.execute(sa.select(Counter.hits, Counter.window_ends_at).where(Counter.name == name)).first()
    if row is None or row.window_ends_at <= now:
        return Attempts(0, None)
    return Attempts(row.hits, row.window_ends_at - KEPT)


def take(connection: sa.Connection, name: str, seen: Attempts, now: datetime) -> bool:
    """Count one attempt more, if nobody counted since `seen` was read.

    Returns:
        False: another attempt came between; read again.
    """
    unchanged = sa.or_(Counter.window_ends_at <= now, Counter.hits == seen.count)
    return _put(connection, name, seen.count + 1, now + KEPT, unchanged)


def clear(connection: sa.Connection, names: Sequence[str]) -> None:
    """Forget the attempts of these names."""
    connection.execute(sa.delete(Counter).where(Counter.name.in_(names)))


def remember(connection: sa.Connection, name: str, until: datetime) -> None:
    """Note that `name` is known until then."""
    _put(connection, name, 1, until, sa.true())


def is_known(connection: sa.Connection, name: str, now: datetime) -> bool:
    """Tell whether `name` was remembered and the time is not over."""
    query = sa.select(Counter.name).where(Counter.name == name, Counter.window_ends_at > now)
    return connection.execute(query).first() is not None


def _put(connection: sa.Connection, name: str, hits: int, ends_at: datetime, condition: sa.ColumnElement[bool]) -> bool:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = dialect.insert(Counter).values(name=name, hits=hits, window_ends_at=ends_at)
    changed = {"hits": row.excluded.hits, "window_ends_at": row.excluded.window_ends_at}
    statement = row.on_conflict_do_update(index_elements=[Counter.name], set_=changed, where=condition)
    # Not the row count: psycopg does not report it for such an INSERT.
    return connection.execute(statement.returning(Counter.hits)).first() is not None
