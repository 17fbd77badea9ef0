"""Wide rows of SQLite: all columns of a row come as one, a JSON array, and are taken apart in one piece.

For each column by itself the driver writes a description at every run and asks for SQLite's lock several times: of
fifty columns that is more than all the rest of the statement. SQLite writes the array as it reads the columns.
Documents stay texts in it, because a reader of JSON would round their largest numbers. It knows no table and runs
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
import sqlalchemy as sa

from portero.store.types import UtcDateTime, quick_reader

#: Columns from which on an array is cheaper, and the most that a function of SQLite takes in every build.
_FEWEST: Final = 8
_MOST: Final = 100
#: What stands in JSON as it stands in the database, for all values; a number with a fraction does not.
_ALIKE: Final = (sa.Uuid, UtcDateTime, sa.String, sa.Integer, sa.Boolean, sa.JSON)
unpacked: Final[Callable[[str], list[Any]]] = orjson.loads


def packed(statement: Any) -> sa.Select[Any] | None:
    """Give a query whose one column is the array of the columns; None where it is not worth it, or cannot be."""
    if not isinstance(statement, sa.Select):
        return None
    columns = columns_of(statement)
    if not _FEWEST <= len(columns) <= _MOST or not all(map(_can_be_packed, columns)):
        return None
    return statement.with_only_columns(sa.func.json_array(*map(_written, columns), type_=sa.Text()))


def columns_of(statement: sa.Select[Any]) -> list[Any]:
    """Give the columns of a query, in order."""
    return list(statement.inner_columns)


def reader_of(kind: sa.types.TypeEngine[Any]) -> Callable[[Any], Any] | None:
    """Give what turns back a value of an array, which is not None; None where SQLAlchemy's own conversion serves."""
    return bytes.fromhex if isinstance(kind, sa.LargeBinary) else quick_reader(kind)


def _can_be_packed(column: Any) -> bool:
    # A text that stands as a column has no type.
    return isinstance(getattr(column, "type", None), (*_ALIKE, sa.LargeBinary))


def _written(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    if not isinstance(column.type, sa.LargeBinary):
        return column
    return sa.case((column.is_not(None), sa.func.hex(column)))  # JSON has no bytes, and NULL is no bytes
