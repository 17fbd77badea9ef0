"""Rows that met a row already there, or miss one: would their policy have let them in?

PostgreSQL asks the policy first and the indexes then. Here a policy is asked of rows as stored, and a row that met
another was never stored: its policy is asked of a row made of what was sent, filled and left to defaults. Whoever may
not write that row is told only so, and learns of no key that it is taken. What the database alone can make (a serial
number, a generated column, the work of a trigger) is NULL in that row: a policy that needs it refuses.

Never writes. Obeys threat DA-32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from portero.data.catalogue import Column
from portero.data.dialects import Sql
from portero.data.write_plan import InsertRules
from portero.data.write_sql import default_of, value_name

#: SQLSTATEs that say something of other rows: one is there already; one is not there.
TELLING = frozenset({"23505", "23503"})


def are_let_in(
    connection: sa.Connection,
    rules: InsertRules,
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    sql: Sql,
) -> bool:
    """Say whether every row passes what new rows must pass.

    Args:
        rows: their values under `value_name`, and the caller's facts.
    """
    if not rows or isinstance(rules.check, sa.True_):
        return True
    statement = passing_row(rules, columns, sql)
    try:
        return all(connection.execute(statement, row).first() is not None for row in rows)
    except sa.exc.DBAPIError:
        # The policy fails on this row, as it would if it were stored.
        return False


def passing_row(rules: InsertRules, columns: Sequence[Column], sql: Sql) -> sa.Select[Any]:
    """Select 1 if the would-be row passes; its columns stand where the policy names the table's."""
    given: dict[str, Any] = {
        column.name: sa.bindparam(value_name(place), type_=column.wire.bind_type)
        for place, column in enumerate(columns)
    }
    given = {**rules.fill, **given}
    table = rules.model.table
    values = [
        _typed(given[column.name] if column.name in given else default_of(column), column, sql).label(column.name)
        for column in table.columns
    ]
    row = sa.select(*values).subquery("portero_row")

    def instead(element: Any, **_: Any) -> Any:
        return row.c[element.name] if isinstance(element, sa.Column) and element.table is table else None

    check: Any = visitors.replacement_traverse(rules.check, {}, instead)
    return sa.select(sa.literal_column("1")).select_from(row).where(check)


def _typed(value: Any, column: sa.Column[Any], sql: Sql) -> sa.ColumnElement[Any]:
    """Give a value the type it would be stored with; of instants and the like SQLite's CAST would make numbers."""
    element = value if isinstance(value, sa.ColumnElement) else sa.literal(value, column.type)
    if sql.name == "postgresql" or isinstance(column.type, sa.Integer | sa.Numeric | sa.Boolean):
        return sa.cast(element, column.type)
    return sa.type_coerce(element, column.type)
