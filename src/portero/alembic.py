"""For a developer's `migrations/env.py`: keep Alembic's autogenerate away from Portero's own tables.

They are in the same database but not in the developer's metadata, so autogenerate would drop them. In `env.py`:

    from portero.alembic import include_object

    context.configure(connection=connection, target_metadata=target_metadata, include_object=include_object)

With `render_item=render_item` a migration also writes Portero's own column types as `portero.Decimal(…)`.

A migration that adds `expose(search=[…])`, or that copies a table which has it (Alembic's batch mode on SQLite), ends
with `create_search(op, "notes", ["title"])`.

`portero db upgrade` migrates Portero's tables; the developer's history never mentions them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from portero.data import search_index
from portero.data.decimals import Decimal
from portero.store.tables import PREFIX


def include_object(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Tell Alembic whether it should compare this object: everything but Portero's own tables and what is on them.

    >>> include_object(None, "portero_users", "table", True, None)
    False
    >>> include_object(None, "notes", "table", True, None)
    True
    """
    table = name if kind == "table" else getattr(getattr(item, "table", None), "name", None)
    return not (table or "").startswith(PREFIX)


def render_item(kind: str, item: Any, context: Any) -> str | Literal[False]:
    """Write a column type of Portero's into a migration, and import what it needs; False leaves it to Alembic.

    >>> class Context:
    ...     imports: set[str] = set()
    >>> render_item("type", Decimal(10, 2), Context), Context.imports, render_item("table", None, Context)
    ('portero.Decimal(10, 2)', {'import portero'}, False)
    """
    if kind != "type" or not isinstance(item, Decimal):
        return False
    context.imports.add("import portero")
    return f"portero.Decimal({item.precision}, {item.scale})"


def create_search(op: Any, table: str, columns: Sequence[str], key: str = "id") -> None:
    """Make the full-text index of a table anew, and fill it: for `expose(search=[…])` on SQLite; elsewhere nothing.

    Args:
        op: Alembic's operations.
        table: the table's name.
        columns: the columns that `search` names, in the same order.
        key: the column of its primary key, a whole number.
    """
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for statement in search_index.statements(table, columns, key):
            connection.exec_driver_sql(statement)


def drop_search(op: Any, table: str) -> None:
    """Drop the full-text index of a table, if it is there."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for statement in search_index.drop_statements(table):
            connection.exec_driver_sql(statement)
