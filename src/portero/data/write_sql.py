"""From a write's plan to its statements. All of them run in one transaction; `writes` runs them.

Identifiers come from the catalogue, values are bound. Every statement that picks rows carries the policies in its
WHERE, so that the database checks them again on a row that another transaction has changed meanwhile.

Obeys contract data.md §4.7 and §4.15.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import Grouping

from portero.data import keys
from portero.data.caller import ME_ID, ME_ROLE
from portero.data.catalogue import Column, Model
from portero.data.dialects import Sql
from portero.data.write_plan import DEFAULT, Conflict, InsertRules, UpdatePlan
from portero.figures import kept
from portero.store.upserts import insert_into

Clause = sa.ColumnElement[Any]
IS_NEW = "portero_is_new"


def value_name(place: int) -> str:
    """Name the bind of a row's value; a model may well have a column `v0`.

    >>> value_name(2)
    'portero_v2'
    """
    return f"portero_v{place}"


def bound(row: Sequence[Any]) -> dict[str, Any]:
    """Give the values of a row by the names of their binds."""
    return {value_name(place): value for place, value in enumerate(row)}


@kept("insert_statements", 512)
def insert_rows(rules: InsertRules, columns: tuple[Column, ...], sql: Sql) -> sa.Insert:
    """Write the insert of rows with these columns; values are bound by `value_name`. It gives back the row keys."""
    marks = [] if rules.conflict is None else _is_new(rules.model.table, sql)
    return inserting(rules, columns, sql).returning(*rules.model.row_key, *marks)


def inserting(rules: InsertRules, columns: tuple[Column, ...], sql: Sql) -> sa.Insert:
    """Write the insert like `insert_rows`, without what it gives back."""
    table = rules.model.table
    values: dict[Any, Any] = {
        column.column: sa.bindparam(value_name(place), type_=column.wire.bind_type)
        for place, column in enumerate(columns)
    }
    values.update({_column(rules.model, name): value for name, value in rules.fill.items()})
    # Said out loud, because SQLAlchemy warns of a key that nobody gives; the database then refuses the NULL.
    values.update({column: sa.null() for column in table.primary_key if column not in values and not _is_made(column)})
    if not values and rules.conflict is not None and sql.name == "sqlite":
        # SQLite takes no ON CONFLICT after DEFAULT VALUES.
        target = [_column(rules.model, name) for name in rules.conflict.columns]
        values = {column: default_of(column) for column in target if column.default is None}
    statement: sa.Insert = insert_into(table, sql.name)
    if values:
        statement = statement.values(values)
    return statement if rules.conflict is None else _resolved(statement, rules.conflict, columns, rules.model)


def _is_new(table: sa.Table, sql: Sql) -> list[Clause]:
    """PostgreSQL marks a row that an upsert updated: its xmax is the transaction's."""
    if sql.name != "postgresql":
        return []
    name = sql.compiler.identifier_preparer.format_table(table)
    return [sa.literal_column(f"({name}.xmax = 0)", sa.Boolean()).label(IS_NEW)]


def _is_made(column: sa.Column[Any]) -> bool:
    has_default = column.default is not None or column.server_default is not None
    return has_default or column.identity is not None or column is column.table._autoincrement_column


def _column(model: Model, name: str) -> sa.Column[Any]:
    return next(column for column in model.table.columns if column.name == name)


class OfTheRow(Grouping[Any]):
    """A condition on the row that is there already, in an insert.

    SQLAlchemy ties a subquery to no table of an INSERT: there it would ask whether any row of the table passes.
    """

    inherit_cache = True


@compiles(OfTheRow)
def _of_the_row(element: OfTheRow, compiler: Any, **options: Any) -> str:
    entry = compiler.stack[-1]
    tied = {entry["selectable"].table}
    compiler.stack.append({**entry, "correlate_froms": tied, "asfrom_froms": tied})
    try:
        text: str = compiler.visit_grouping(element, **options)
        return text
    finally:
        compiler.stack.pop()


class OfTheTables(Grouping[Any]):
    """An expression that RETURNING gives, with its columns named by their tables.

    SQLAlchemy names them there by themselves, in a subquery too, where more than one table may have a column `id`.
    """

    inherit_cache = True


@compiles(OfTheTables)
def _of_the_tables(element: OfTheTables, compiler: Any, **options: Any) -> str:
    text: str = compiler.visit_grouping(element, **options | {"include_table": True})
    return text


def _resolved(statement: Any, conflict: Conflict, columns: Sequence[Column], model: Model) -> Any:
    target = [_column(model, name) for name in conflict.columns]
    if not conflict.merges or not columns:
        return statement.on_conflict_do_nothing(index_elements=target)
    merged = {column.column: statement.excluded[column.column.key] for column in columns}
    rows = None if conflict.rows is None else OfTheRow(_beside_the_values(conflict.rows))
    return statement.on_conflict_do_update(index_elements=target, set_=merged, where=rows)


def beside_the_values(fact: str) -> str:
    """Name the bind of a caller's fact where it stands behind the values of an insert.

    SQLAlchemy repeats the values for many rows, and takes every bind of a name in them for a part of them.
    """
    return f"{fact}_there"


def _beside_the_values(policy: Clause) -> Clause:
    def instead(element: Any, **_: Any) -> Any:
        if isinstance(element, sa.BindParameter) and element.key in (ME_ID, ME_ROLE):
            return sa.bindparam(beside_the_values(element.key), type_=element.type)
        return None

    replaced: Clause = visitors.replacement_traverse(policy, {}, instead)
    return replaced


def conflicting_rows(model: Model, conflict: Conflict, sql: Sql) -> sa.Select[Any]:
    """Select which of an upsert's rows meet one that is there; their conflict columns are the bound keys."""
    return keys.places([_column(model, name) for name in conflict.columns], model.table, sql)


def update_rows(plan: UpdatePlan, sql: Sql) -> sa.Update:
    """Write an update with its values; it gives back the row keys as they are afterwards."""
    values: dict[Any, Any] = {
        column.column: _default_of(column, sql) if value is DEFAULT else sa.literal(value, column.wire.bind_type)
        for column, value in plan.values
    }
    return _updating(plan.model, plan.rows.condition, values)


def update_of_columns(model: Model, rows: Clause, columns: Sequence[Column]) -> sa.Update:
    """Write an update of these columns like `update_rows`; the new values are bound by `value_name`."""
    values = {
        column.column: sa.bindparam(value_name(place), type_=column.wire.bind_type)
        for place, column in enumerate(columns)
    }
    return _updating(model, rows, values)


def _updating(model: Model, rows: Clause, values: dict[Any, Any]) -> sa.Update:
    return sa.update(model.table).where(rows).values(values).returning(*model.row_key)


def _default_of(column: Column, sql: Sql) -> Any:
    """The column's default where a statement sets it; SQLite has no DEFAULT keyword."""
    own = column.column
    if sql.name == "postgresql" and own.server_default is not None and not isinstance(own.default, sa.ColumnDefault):
        return sa.literal_column("DEFAULT")
    return default_of(own)


def default_of(column: sa.Column[Any]) -> Any:
    """Give a column's default as a value or an expression; NULL for what only the database makes."""
    own, server = column.default, column.server_default
    if isinstance(own, sa.ColumnDefault):
        return own.arg(None) if own.is_callable else own.arg
    text: Any = getattr(server, "arg", None)
    if text is None:
        return sa.null()
    if isinstance(text, sa.TextClause):
        return sa.literal_column(f"({text.text})")
    return text if isinstance(text, sa.ColumnElement) else sa.literal(text, sa.Text())


def delete_rows(model: Model, rows: Clause) -> sa.Delete:
    """Write a deletion."""
    return sa.delete(model.table).where(rows)


def delete_keyed(model: Model, rows: Clause, sql: Sql) -> sa.Delete:
    """Write the deletion of those of the rows that have the bound keys."""
    return delete_rows(model, rows).where(keys.among(model.row_key, sql))


def rows_to_lock(model: Model, rows: Clause) -> sa.Select[Any]:
    """Select, and on PostgreSQL lock, the row keys of rows that are to be changed or deleted after a look at them."""
    table = model.table
    return sa.select(*model.row_key).select_from(table).where(rows).with_for_update(of=table)


def passing(model: Model, check: Clause, sql: Sql) -> sa.Select[Any]:
    """Count the rows with the bound keys that pass a policy as they are stored."""
    rows = keys.joined_by(model.row_key, model.table, sql)
    return sa.select(sa.func.count()).select_from(rows).where(keys.judged_only(check, sql))
