"""From a plan to one SQL statement, whose single row is the JSON body, the number of rows, and what else was asked.

The page and the counts are made of the same parts (`read_sql`), so they speak of the same rows. Nothing here decides
who sees what. Obeys contract data.md §4.5 and docs/explanation/speed.md.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from portero.data.read_plan import PlannedNode, ReadPlan, is_grouped
from portero.data.read_sql import ReadSql
from portero.data.sources import Source
from portero.data.visible_share import counted_first, found_by_share, is_sorted

Clause = sa.ColumnElement[Any]


def statement_of(writer: ReadSql, plan: ReadPlan, standing: Clause | None) -> sa.Select[Any]:
    """Write the statement: columns body, page rows, and as asked total and standing.

    Args:
        writer: of this statement, and of no other.
        plan: what to read.
        standing: an expression that is 1 while the caller's session stands, or None for callers without one.
    """
    page, total = _page_and_total(writer, plan)
    array, rows = writer.array(plan.root, page)
    columns: list[Clause] = [writer.sql.whole_body(array).label("body"), sa.func.count().label("page")]
    if total is not None:
        columns.append(total.label("total"))
    if standing is not None:
        columns.append(standing.label("standing"))
    return sa.select(*columns).select_from(rows)


def rows_to_estimate(writer: ReadSql, node: PlannedNode) -> sa.Select[Any]:
    """Write the rows of a node without its page, for the planner to estimate."""
    source = writer.top(node)
    return sa.select(sa.literal_column("1").label("one")).select_from(source.rows).where(*writer.where(node, source))


def _page_and_total(writer: ReadSql, plan: ReadPlan) -> tuple[Source, Clause | None]:
    """Give the page, and the count if it is asked for; where the count helps to find the page it is made first."""
    node, shape = plan.root, plan.shape
    total = None if shape.count is None else _counted(writer, plan)
    if total is None or shape.is_keyed or node.origin is not None or writer.sql.name != "sqlite":
        return writer.page(node, is_keyed=shape.is_keyed), total
    policy = writer.sought(node)
    is_helpful = policy is not node.policy and not is_grouped(node) and is_sorted(node)
    counted = counted_first(total, node, writer.alias("n")) if is_helpful else None
    if counted is None:
        return writer.page(node), total
    source = found_by_share(node, policy, counted, writer.alias("t"))
    page = writer.page_of(node, source, source.rows, writer.where(node, source))
    return page, sa.select(counted.c.total).scalar_subquery()


def _counted(writer: ReadSql, plan: ReadPlan) -> Clause:
    """Count as it was asked; SQLite keeps no figures to plan with, so it counts."""
    if plan.shape.count == "exact" or writer.sql.name == "sqlite":
        return _total(writer, plan.root)
    if plan.shape.count == "planned":
        return sa.null()
    most: Clause = sa.literal_column(str(plan.root.most + 1))
    some = rows_to_estimate(writer, plan.root).limit(most).subquery(writer.alias("e"))
    return sa.select(sa.func.count()).select_from(some).scalar_subquery()


def _total(writer: ReadSql, node: PlannedNode) -> Clause:
    """Count the rows of a node without its page."""
    source = writer.top(node)
    counted = sa.select(sa.func.count()).select_from(source.rows).where(*writer.where(node, source))
    return counted.scalar_subquery()
