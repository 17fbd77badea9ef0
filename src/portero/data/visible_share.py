"""A counted page of SQLite whose order no index has: how much the caller sees decides how its rows are found.

By the index of a policy's column each row costs a look into the table, wherever it lies there; where a third of the
table is visible, going through it from end to end takes two thirds of that. SQLite cannot know beforehand, but the
exact count is asked for anyway: it is made first, and one of two ways to the same rows is gone; the other finds no row
to begin with. Both ways have the same policy. Nothing here decides who sees what, or how many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from portero.data.keys import KeysFirst
from portero.data.policy import held_to_caller
from portero.data.read_plan import PlannedNode
from portero.data.semi_joins import leading_columns
from portero.data.sources import Source, source_of

Clause = sa.ColumnElement[Any]

#: From one row in so many on, the whole table is gone through.
_SHARE = sa.literal_column("3", sa.Integer())
#: SQLite's own word: the table's rows as they lie there.
AS_THEY_LIE = "NOT INDEXED"


def is_sorted(node: PlannedNode) -> bool:
    """Say whether the page can only be had by looking at every visible row: no index begins with its order."""
    if not node.orders:
        return False
    first = node.orders[0]
    return bool(first.embed or first.steps) or node.model.table.columns[first.column.name] not in leading_columns(
        node.model.table
    )


def counted_first(total: Clause, node: PlannedNode, name: str) -> sa.CTE | None:
    """Give one row: the count as `total`, and about how many rows the table has; None where that is not known."""
    keys = list(node.model.table.primary_key)
    if len(keys) != 1 or not isinstance(keys[0].type, sa.Integer):
        return None
    # Numbers are given one after another; where they are not, the index is used: only time depends on it. A key may be
    # NULL on SQLite, and must not make both ways vanish.
    rows = sa.select(sa.func.coalesce(sa.func.max(keys[0]), sa.literal_column("0"))).scalar_subquery()
    return sa.select(total.label("total"), rows.label("rows")).cte(name).prefix_with("MATERIALIZED")


def found_by_share(node: PlannedNode, policy: Clause, counted: sa.CTE, name: str) -> Source:
    """Give the rows that the policy lets through, found in the way that costs less for this caller."""
    table = node.model.table
    columns: Sequence[Any] = [column.label(column.name) for column in table.columns]
    is_large: Clause = counted.c.total * _SHARE > counted.c.rows
    few = sa.select(*columns).select_from(KeysFirst(counted, table, sa.not_(is_large))).where(policy)
    many = sa.select(*columns).select_from(KeysFirst(counted, table, is_large)).where(policy)
    rows = sa.union_all(few, many.with_hint(table, AS_THEY_LIE, "sqlite")).subquery(name)
    return source_of(rows, held_to_caller(policy))
