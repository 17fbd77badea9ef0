"""The statements of the everyday write (one row in), compiled once and then run as text with values.

SQLAlchemy takes a hundred microseconds and more for what SQLite does in ten. A statement is kept by what it is made of:
rules, columns, policy. What cannot be said this way (a value that is asked of the database first) goes through
SQLAlchemy as any other statement. It holds no values and no caller. Obeys design hot-path.md §6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from portero.data import write_sql
from portero.data.catalogue import Column, Model
from portero.data.dialects import Sql
from portero.data.write_plan import InsertRules
from portero.records import dataclass
from portero.store.prepared import Prepared

Clause = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True, eq=False)
class PreparedInsert:
    """The insert of one row; `defaults` are the columns whose values Python makes, by the names of their binds."""

    statement: Prepared[tuple[Any, ...]]
    defaults: tuple[tuple[str, Callable[[], Any]], ...]

    def run(self, connection: sa.Connection, row: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Insert a row; give what RETURNING gives of it.

        Raises:
            sqlalchemy.exc.DBAPIError: as the database says it.
        """
        made = {name: make() for name, make in self.defaults}
        return self.statement.all(connection, **made, **row)


@lru_cache(1024)
def insert_of(rules: InsertRules, columns: tuple[Column, ...], sql: Sql) -> PreparedInsert | None:
    """Prepare the insert of a row with these columns; None where SQLAlchemy has to run it."""
    return _prepared(write_sql.insert_rows(rules, columns, sql), columns, sql)


def insert_returning(
    rules: InsertRules, columns: tuple[Column, ...], sql: Sql, returned: Sequence[Clause]
) -> PreparedInsert | None:
    """Prepare the insert of a row like `insert_of`, but let it give expressions over the row as it is stored."""
    return _prepared(write_sql.inserting(rules, columns, sql).returning(*returned), columns, sql)


def _prepared(statement: sa.Insert, columns: tuple[Column, ...], sql: Sql) -> PreparedInsert | None:
    compiled: Any = statement.compile(dialect=sql.compiler)
    defaults = [(str(column.key), _made_by(column.default)) for column in compiled.insert_prefetch]
    known = tuple((name, make) for name, make in defaults if make is not None)
    if len(known) < len(defaults) or not columns:
        return None
    return PreparedInsert(Prepared(statement, tuple, dialect=sql.compiler), known)


@lru_cache(1024)
def passing(model: Model, check: Clause, sql: Sql) -> Prepared[int]:
    """Prepare the count of rows with the bound keys that pass a policy as they are stored."""
    return Prepared(write_sql.passing(model, check, sql), _first, dialect=sql.compiler)


def _made_by(default: Any) -> Callable[[], Any] | None:
    """Give what makes a column's value; None for what only SQLAlchemy can make."""
    if default.is_scalar:
        value = default.arg
        return lambda: value
    # The catalogue lets in no function that asks for the context; SQLAlchemy has wrapped it to take any.
    if default.is_callable:
        make = default.arg
        return lambda: make(None)
    return None


def _first(row: list[Any]) -> Any:
    return row[0]
