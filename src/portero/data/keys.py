"""Rows known by their keys: a list of keys bound as one parameter, whatever its length.

One statement serves one key and ten thousand, and no database's limit on parameters is met. Keys are JSON text in the
form in which the database keeps the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeEngine

from portero.data.dialects import Sql

Clause = sa.ColumnElement[Any]


def key_text(rows: Sequence[Sequence[Any]], types: Sequence[TypeEngine[Any]], sql: Sql) -> str:
    """Write keys (values as SQLAlchemy has them) as the text that `Sql.keys` reads."""
    processes = [type_._cached_bind_processor(sql.compiler) for type_ in types]
    if any(processes):
        kept = [
            [value if process is None else process(value) for value, process in zip(row, processes, strict=True)]
            for row in rows
        ]
    else:
        kept = [list(row) for row in rows]
    return orjson.dumps(kept, default=str).decode()


class KeysFirst(sa.Join):
    """A join whose left side is read first.

    SQLite may prefer the index of a policy's column and walk all rows of their owner for each key; CROSS JOIN is its
    way to say that the order is meant.
    """

    inherit_cache = True


@compiles(KeysFirst)
def _joined(element: KeysFirst, compiler: Any, **options: Any) -> str:
    text: str = compiler.visit_join(element, **options)
    return text


@compiles(KeysFirst, "sqlite")
def _cross_joined(element: KeysFirst, compiler: Any, **options: Any) -> str:
    # The first JOIN of the text is this one: on its left is a table-valued function with one bind.
    text: str = compiler.visit_join(element, **options)
    return text.replace(" JOIN ", " CROSS JOIN ", 1)


def joined_by(columns: Sequence[Clause], table: sa.Table, sql: Sql) -> sa.FromClause:
    """Give the rows of a table whose `columns` are among the bound keys, as a FROM clause."""
    return _joined_by(columns, table, sql)[0]


def places(columns: Sequence[Clause], table: sa.Table, sql: Sql) -> sa.Select[Any]:
    """Select which of the bound keys, counted from 0 on SQLite, the `columns` of rows of a table are among."""
    rows, place = _joined_by(columns, table, sql)
    return sa.select(place).select_from(rows)


def _joined_by(columns: Sequence[Clause], table: sa.Table, sql: Sql) -> tuple[sa.FromClause, Clause]:
    keys, parts, place = sql.keys([column.type for column in columns])
    matches = [column == part for column, part in zip(columns, parts, strict=True)]
    return KeysFirst(keys, table, sa.and_(*matches)), place


def judged_only(condition: Clause, sql: Sql) -> Clause:
    """Say a condition on rows found by their keys so that PostgreSQL looks no rows up by it.

    Of a table it knows no figures of yet, it may walk all rows of an owner for each key. `… IS TRUE` lets the same rows
    through in a WHERE, and no index serves it; on SQLite the order is `KeysFirst`'s.
    """
    if sql.name != "postgresql" or isinstance(condition, sa.True_):
        return condition
    return sa.type_coerce(condition.self_group(), sa.Boolean()).is_(sa.true())


def among(columns: Sequence[Clause], sql: Sql) -> Clause:
    """Say that a row's `columns` are among the bound keys."""
    _, parts, _ = sql.keys([column.type for column in columns])
    if len(columns) == 1:
        return columns[0].in_(sa.select(parts[0]))
    return sa.tuple_(*columns).in_(sa.select(*parts))
