"""What a new migration says of full-text indexes, which Alembic's autogenerate does not see.

SQLite only; a migration on PostgreSQL says nothing of them. It writes text into a migration and runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations import ops

from portero.data import search_index
from portero.records import dataclass


class CreateSearch(ops.MigrateOperation):
    """`create_search(op, table, columns, key)` in a migration."""

    def __init__(self, table: str, columns: list[str], key: str) -> None:
        self.table, self.columns, self.key = table, columns, key


class DropSearch(ops.MigrateOperation):
    """`drop_search(op, table)` in a migration."""

    def __init__(self, table: str) -> None:
        self.table = table


@renderers.dispatch_for(CreateSearch)
def _create(context: AutogenContext, made: CreateSearch) -> str:
    context.imports.add("from portero.alembic import create_search")
    return f"create_search(op, {made.table!r}, {made.columns!r}, {made.key!r})"


@renderers.dispatch_for(DropSearch)
def _drop(context: AutogenContext, dropped: DropSearch) -> str:
    context.imports.add("from portero.alembic import drop_search")
    return f"drop_search(op, {dropped.table!r})"


@dataclass(frozen=True, slots=True)
class _Changes:
    """What a migration does to tables: those it drops, and those it alters, with the columns that it adds to them."""

    dropped: frozenset[str]
    altered: dict[str, set[str]]

    def before(self, table: sa.Table) -> set[str]:
        """Give the columns of a table that it had before, too."""
        return {*table.columns.keys()} - self.altered.get(str(table.name), set())

    @classmethod
    def of(cls, script: ops.MigrationScript) -> _Changes:
        steps = [] if script.upgrade_ops is None else script.upgrade_ops.ops
        dropped = frozenset(step.table_name for step in steps if isinstance(step, ops.DropTableOp))
        modified = [step for step in steps if isinstance(step, ops.ModifyTableOps)]
        altered: dict[str, set[str]] = {step.table_name: set() for step in modified}
        for step in modified:
            columns = {str(each.column.name) for each in step.ops if isinstance(each, ops.AddColumnOp)}
            altered[step.table_name] |= columns
        return cls(dropped, altered)


def add_searches(script: ops.MigrationScript, tables: Iterable[sa.Table], connection: sa.Connection) -> None:
    """Add to a migration what its tables' full-text indexes need.

    An index that is declared and missing is made at the end, and dropped first on the way back. One whose table or
    whose columns change is made anew at the end of both ways: SQLite may copy the table, and its triggers go. One that
    is declared no longer is dropped, and so is first of all one over a column that goes.

    Args:
        script: what autogenerate found; changed in place.
        tables: those of the models.
        connection: to the database that was compared.

    Raises:
        ConfigurationError: a table that is to be searched has no key of whole numbers.
    """
    if connection.dialect.name != "sqlite" or script.upgrade_ops is None or script.downgrade_ops is None:
        return
    changes = _Changes.of(script)
    up, down = script.upgrade_ops.ops, script.downgrade_ops.ops
    up[:0] = [DropSearch(name) for name in sorted(changes.dropped) if search_index.held(name, connection)]
    for table in tables:
        name, columns = str(table.name), search_index.declared(table)
        if search_index.fits(table, connection) and (not columns or name not in changes.altered):
            continue
        there = search_index.held(name, connection)
        if not columns or (there and not {*there.columns, there.key} <= {*table.columns.keys()}):
            up.insert(0, DropSearch(name))
        if columns:
            up.append(CreateSearch(name, columns, search_index.key_of(table)))
        if there is None or not {*columns} <= changes.before(table):
            down.insert(0, DropSearch(name))
        if there is not None:
            down.append(CreateSearch(name, there.columns, there.key))
