"""The statements of everyday writes (a row in, rows changed or deleted), compiled once, then run as text with values.

SQLAlchemy takes a hundred microseconds and more for what SQLite does in ten. A statement is kept by what it is made of:
rules, columns, policy. What cannot be said this way (a value that is asked of the database first) goes through
SQLAlchemy as any other statement. It holds no values and no caller. Obeys docs/explanation/speed.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from portero.data import write_sql
from portero.data.binds import Binds
from portero.data.catalogue import Column, Model
from portero.data.dialects import Sql
from portero.data.parameters import Layout, Parameters, as_it_is, layout_of
from portero.data.write_plan import Conflict, InsertRules
from portero.figures import kept
from portero.principal import Principal
from portero.records import dataclass
from portero.store.driver_calls import run
from portero.store.prepared import Prepared, written_out
from portero.store.types import quick_binder

Clause = sa.ColumnElement[Any]
Key = tuple[Any, ...]


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


@dataclass(frozen=True, slots=True, eq=False)
class TellingInsert:
    """The insert of one row that tells of it more than its key.

    Attributes:
        sql: in the driver's paramstyle.
        layout: its parameters; the slots are the row's values, then those of `makers`.
        makers: what makes the values of columns that have their default from Python.
    """

    sql: str
    layout: Layout
    makers: tuple[Callable[[], Any], ...]

    def run(self, connection: sa.Connection, row: Parameters, principal: Principal, now: datetime) -> Sequence[Any]:
        """Insert a row; give what RETURNING gives of it, as the driver has it.

        Raises:
            sqlalchemy.exc.DBAPIError: as the database says it.
        """
        values = (*row, *[make() for make in self.makers]) if self.makers else row
        parameters = self.layout.complete(self.layout.filled(values), principal, now)
        [told] = run(connection, self.sql, parameters).fetchall()
        return told  # type: ignore[no-any-return]


@kept("prepared_inserts", 512)
def insert_of(rules: InsertRules, columns: tuple[Column, ...], sql: Sql) -> PreparedInsert | None:
    """Prepare the insert of a row with these columns; None where SQLAlchemy has to run it."""
    statement = write_sql.insert_rows(rules, columns, sql)
    defaults = _defaults(statement.compile(dialect=sql.compiler))
    if defaults is None or not columns:
        return None
    return PreparedInsert(Prepared(statement, tuple, dialect=sql.compiler), defaults)


def telling_insert(
    rules: InsertRules, columns: tuple[Column, ...], sql: Sql, told: Sequence[Clause]
) -> TellingInsert | None:
    """Prepare the insert of a row like `insert_of`, but let it tell expressions over the row as it is stored."""
    compiled = write_sql.inserting(rules, columns, sql).returning(*told).compile(dialect=sql.compiler)
    defaults = _defaults(compiled)
    if defaults is None or not columns:
        return None
    names = [*map(write_sql.value_name, range(len(columns))), *(name for name, _ in defaults)]
    binds = Binds()
    binds.codecs.update({name: (slot, as_it_is) for slot, name in enumerate(names)})
    written = written_out(compiled)
    # The compiler's own way with documents is for conditions: it knows no integers of more than 64 bits.
    quick = {name: _but_null(found) for name in names if (found := quick_binder(compiled.binds[name].type)) is not None}
    written = written._replace(processors={**written.processors, **quick})
    return TellingInsert(written.sql, layout_of(written, binds, compiled), tuple(make for _, make in defaults))


def _but_null(process: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else process(value)


def _defaults(compiled: Any) -> tuple[tuple[str, Callable[[], Any]], ...] | None:
    """The columns whose values Python makes, by the names of their binds; None if only SQLAlchemy can make one."""
    defaults = [(str(column.key), _made_by(column.default)) for column in compiled.insert_prefetch]
    known = tuple((name, make) for name, make in defaults if make is not None)
    return known if len(known) == len(defaults) else None


@kept("prepared_updates", 256)
def update_of(model: Model, rows: Clause, columns: tuple[Column, ...], sql: Sql) -> Prepared[Key] | None:
    """Prepare the update of columns of the rows; None where Python makes a value at each update (`onupdate`)."""
    statement: Any = write_sql.update_of_columns(model, rows, columns)
    if statement.compile(dialect=sql.compiler).update_prefetch:
        return None
    return Prepared(statement, tuple, dialect=sql.compiler)


@kept("prepared_deletions", 256)
def deletion_of(model: Model, rows: Clause, sql: Sql, *, is_keyed: bool = False) -> Prepared[Key]:
    """Prepare the deletion of the rows, or of those of them that have the bound keys."""
    statement = write_sql.delete_keyed(model, rows, sql) if is_keyed else write_sql.delete_rows(model, rows)
    return Prepared(statement, tuple, dialect=sql.compiler)


@kept("prepared_looks", 256)
def rows_to_lock(model: Model, rows: Clause, sql: Sql) -> Prepared[Key]:
    """Prepare what gives the row keys of the rows, and on PostgreSQL locks them."""
    return Prepared(write_sql.rows_to_lock(model, rows), tuple, dialect=sql.compiler)


@kept("prepared_conflicts", 256)
def conflicting(model: Model, conflict: Conflict, sql: Sql) -> Prepared[int]:
    """Prepare the question which of an upsert's rows meet one that is there."""
    return Prepared(write_sql.conflicting_rows(model, conflict, sql), _first, dialect=sql.compiler)


@kept("prepared_checks", 512)
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
