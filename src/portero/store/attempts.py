"""Failed attempts in a row, one row a name in the counters' table; it decides nothing about delays.

An attempt is taken by compare-and-set before the work it pays for, so of many at one time each counts (threats CR-10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from portero.figures import kept
from portero.records import dataclass
from portero.store.prepared import Prepared, changing
from portero.store.tables import COUNTERS as _TABLE
from portero.store.types import UtcDateTime
from portero.store.upserts import insert_into

#: How long after the last attempt a row is kept.
KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is known of one name: how many attempts in a row, and when the last one was taken."""

    count: int
    last_at: datetime | None


NONE: Final = Attempts(0, None)


def read(connection: sa.Connection, name: str, now: datetime) -> Attempts:
    """Return the attempts that stand; none once the row's time is over."""
    return read_all(connection, [name], now).get(name, NONE)


def read_all(connection: sa.Connection, names: Sequence[str], now: datetime) -> Mapping[str, Attempts]:
    """Return what stands of several names in one statement; those of which nothing stands are left out."""
    found = _read_of(len(names)).all(connection, now=now, **_numbered(names))
    return {name: Attempts(hits, ends_at - KEPT) for name, hits, ends_at in found}


def take(connection: sa.Connection, name: str, seen: Attempts, now: datetime) -> bool:
    """Count one attempt more, if nobody counted since `seen` was read.

    Returns:
        False: another attempt came between; read again.
    """
    # Not the row count: psycopg does not report it for such an INSERT.
    return bool(_TAKE.all(connection, name=name, seen=seen.count, hits=seen.count + 1, ends_at=now + KEPT, now=now))


def clear(connection: sa.Connection, names: Sequence[str]) -> None:
    """Forget the attempts of these names."""
    _clear_of(len(names)).changed(connection, **_numbered(names))


def remember(connection: sa.Connection, name: str, until: datetime) -> None:
    """Note that `name` is known until then."""
    _REMEMBER.all(connection, name=name, hits=1, ends_at=until)


def know(connection: sa.Connection, name: str, until: datetime, now: datetime) -> bool:
    """Note that `name` is known until then, and tell whether it was not."""
    return _KNOW.all(connection, name=name, hits=1, ends_at=until, now=now) == [[1]]


def is_known(connection: sa.Connection, name: str, now: datetime) -> bool:
    """Tell whether `name` was remembered and the time is not over."""
    return name in read_all(connection, [name], now)


def _numbered(names: Sequence[str]) -> dict[str, str]:
    return {f"name{place}": name for place, name in enumerate(names)}


def _is_among(count: int) -> sa.ColumnElement[bool]:
    return sa.or_(*(_TABLE.c.name == sa.bindparam(f"name{place}") for place in range(count)))


@kept("attempt_reads", 8)
def _read_of(count: int) -> Prepared[list[Any]]:
    query = sa.select(_TABLE.c.name, _TABLE.c.hits, _TABLE.c.window_ends_at)
    return Prepared(query.where(_is_among(count), _TABLE.c.window_ends_at > sa.bindparam("now")), list)


@kept("attempt_clearings", 8)
def _clear_of(count: int) -> Prepared[None]:
    return changing(sa.delete(_TABLE).where(_is_among(count)))


def _row(dialect_name: str) -> Any:
    row: Any = insert_into(_TABLE, dialect_name)
    return row.values(name=sa.bindparam("name"), hits=sa.bindparam("hits"), window_ends_at=sa.bindparam("ends_at"))


def _put(dialect_name: str, condition: sa.ColumnElement[bool]) -> sa.Executable:
    row = _row(dialect_name)
    changed = {"hits": row.excluded.hits, "window_ends_at": row.excluded.window_ends_at}
    put = row.on_conflict_do_update(index_elements=[_TABLE.c.name], set_=changed, where=condition)
    done: sa.Executable = put.returning(_TABLE.c.hits)
    return done


def _take(dialect_name: str) -> sa.Executable:
    is_over = _TABLE.c.window_ends_at <= sa.bindparam("now")
    return _put(dialect_name, sa.or_(is_over, _TABLE.c.hits == sa.bindparam("seen")))


_TAKE = Prepared(_take, list)


def _know(dialect_name: str) -> sa.Executable:
    """Put a row that counts how often it was put while it stood: the first time is told apart in one statement."""
    row = _row(dialect_name)
    is_over = _TABLE.c.window_ends_at <= sa.bindparam("now", type_=UtcDateTime())
    again = sa.case((is_over, 1), else_=_TABLE.c.hits + 1)
    changed = {"hits": again, "window_ends_at": row.excluded.window_ends_at}
    done: sa.Executable = row.on_conflict_do_update(index_elements=[_TABLE.c.name], set_=changed).returning(
        _TABLE.c.hits
    )
    return done


_KNOW = Prepared(_know, list)
_REMEMBER = Prepared(lambda dialect_name: _put(dialect_name, sa.true()), list)
