"""From a plan to one SQL statement, whose single row is the JSON body, the number of rows, and what else was asked.

Every row source is `(SELECT … FROM model WHERE policy)`: filters, orders, embeds, counts stand outside of it and see
only rows that the policy lets through. Identifiers come from the catalogue; aliases of a request are bound. The text is
made once for a shape and a role, then kept: see `execute`. Obeys contract data.md §4.2–4.5, §4.15 and
design hot-path.md §4.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from portero.data.binds import Binds, ValueBinds
from portero.data.casts import cast_json
from portero.data.catalogue import Model
from portero.data.dialects import Sql
from portero.data.keys import KeysFirst
from portero.data.operators import Limits, condition_sql
from portero.data.policy import readable_rows
from portero.data.read_plan import (
    PlannedColumn,
    PlannedCondition,
    PlannedEmbed,
    PlannedExpression,
    PlannedNode,
    PlannedNullTest,
    PlannedOrder,
    ReadPlan,
)
from portero.data.request import read_limit, read_offset
from portero.data.wire_types import Kind

Clause = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A row source in a FROM clause, and its columns by name."""

    rows: sa.FromClause
    columns: Mapping[str, Clause]


@dataclass(frozen=True, slots=True, eq=False)
class _Link:
    """The rows related to a parent's row: what stands in FROM, the child's source, and the conditions."""

    rows: sa.FromClause
    child: Source
    conditions: list[Clause]


class ReadSql:
    """Writes one statement; `binds` holds its slots afterwards."""

    def __init__(self, sql: Sql, limits: Limits, binds: Binds | None = None) -> None:
        self.sql = sql
        self.limits = limits
        self.binds = binds or Binds()
        self._made = 0

    def statement(self, plan: ReadPlan, standing: Clause | None) -> sa.Select[Any]:
        """Write the statement: columns body, page rows, and as asked total and standing.

        Args:
            plan: what to read.
            standing: an expression that is 1 while the caller's session stands, or None for callers without one.
        """
        page = self.page(plan.root, is_keyed=plan.shape.is_keyed)
        array = self.sql.json_array(self.row(plan.root, page))
        columns: list[Clause] = [self.sql.body(array).label("body"), sa.func.count().label("page")]
        if plan.shape.is_counted:
            columns.append(self.total(plan.root).label("total"))
        if standing is not None:
            columns.append(standing.label("standing"))
        return sa.select(*columns).select_from(page.rows)

    def total(self, node: PlannedNode) -> Clause:
        """Count the rows of a node without its page."""
        source = self.source(node.model, node.policy)
        counted = sa.select(sa.func.count()).select_from(source.rows).where(*self.where(node, source))
        return counted.scalar_subquery()

    def source(self, model: Model, policy: Clause, *, also: Sequence[Clause] = ()) -> Source:
        """Give the rows of a model that the policy lets through; `also` are expressions over its table."""
        columns: list[Any] = [column.label(column.name) for column in model.table.columns]
        columns += [one.label(f"{ROW}_{at}") for at, one in enumerate(also)]
        rows = readable_rows(model.table, columns, policy, self._name("t"))
        return Source(rows, {column.name: column for column in rows.columns})

    def page(self, node: PlannedNode, *, is_keyed: bool = False) -> Source:
        """Give the filtered, ordered, limited rows at the top."""
        if is_keyed:
            return self._keyed_page(node)
        source = self.source(node.model, node.policy)
        query = self._columns_of(node, source).select_from(source.rows).where(*self.where(node, source))
        return self._paged(self._window(query, node, source))

    def _keyed_page(self, node: PlannedNode) -> Source:
        """Pick rows by key, in the order of the keys; a page and an order of the request do not count."""
        row_key = node.model.row_key
        source = self.source(node.model, node.policy, also=row_key)
        keys, key_columns, place = self.sql.keys([key.type for key in row_key])
        matches = [source.columns[f"{ROW}_{at}"] == key for at, key in enumerate(key_columns)]
        query = self._columns_of(node, source).select_from(KeysFirst(keys, source.rows, sa.and_(*matches)))
        return self._paged(query.where(*self.where(node, source)).order_by(place))

    def where(self, node: PlannedNode, source: Source) -> list[Clause]:
        """Write a node's filters, and that its inner embeds have rows."""
        clauses = [self.expression(one, source) for one in node.filters]
        clauses.extend(self.exists(embed, source) for embed in node.embeds if embed.is_inner)
        return clauses

    def expression(self, one: PlannedExpression, source: Source) -> Clause:
        """Write a condition, a null test, or a tree."""
        if isinstance(one, PlannedCondition):
            held = source.columns[one.column.name]
            return condition_sql(one.column, held, one.condition, self.sql, self.binds, self.limits)
        if isinstance(one, PlannedNullTest):
            found = self.exists(one.embed, source)
            return sa.not_(found) if one.is_null else found
        parts = [self.expression(operand, source) for operand in one.operands]
        joined: Clause = (sa.and_ if one.joiner == "and" else sa.or_)(*parts).self_group()
        return sa.not_(joined) if one.is_negated else joined

    def exists(self, embed: PlannedEmbed, parent: Source) -> Clause:
        """Say whether a parent's row has related rows that pass the embed's own filters."""
        link = self.link(embed, parent)
        clauses = [*link.conditions, *self.where(embed.node, link.child)]
        query: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(link.rows).where(*clauses)
        return query.correlate(parent.rows).exists()

    def link(self, embed: PlannedEmbed, parent: Source) -> _Link:
        """Relate the child's rows to a parent's row, through the junction's if there is one."""
        child = self.source(embed.node.model, embed.node.policy)
        junction = embed.relation.junction
        if junction is None:
            return _Link(child.rows, child, _equal(embed.relation.pairs, parent, child))
        assert embed.junction is not None
        assert embed.junction_policy is not None
        between = self.source(embed.junction, embed.junction_policy)
        on = sa.and_(*_equal(junction.target_pairs, between, child))
        rows = sa.join(between.rows, child.rows, on)
        return _Link(rows, child, _equal(junction.source_pairs, parent, between))

    def row(self, node: PlannedNode, source: Source) -> Clause:
        """Write the JSON object of one row of a node."""
        known = {*node.model.columns, *(embed.relation.target for embed in node.embeds)}
        return self.sql.json_object([(_key(key, known), self.member(node, source, key)) for key in keys_of(node)])

    def member(self, node: PlannedNode, source: Source, key: str) -> Clause:
        """Write the value of one member of a node's rows; of equal keys the first counts."""
        for item in node.items:
            if isinstance(item, PlannedColumn):
                if item.key == key:
                    return self._value(item, source)
            elif item.is_spread:
                if key in keys_of(item.node):
                    return self.spread(item, source, key)
            elif item.key == key and keys_of(item.node):
                return self.embedded(item, source)
        raise AssertionError(key)

    def embedded(self, embed: PlannedEmbed, parent: Source) -> Clause:
        """Write an embed as a subquery: an object or NULL, or an array."""
        if embed.relation.to_one:
            return self._only(embed, parent, lambda child: self.row(embed.node, child))
        page = self.children(embed, parent)
        array = self.sql.json_array(self.row(embed.node, page))
        return sa.select(array).select_from(page.rows).scalar_subquery()

    def spread(self, embed: PlannedEmbed, parent: Source, key: str) -> Clause:
        """Lift one member of an embed into the parent's row: a to-one child's value, a to-many one's array.

        A subquery a member, not a join: a join may lose the order of the parents' rows.
        """
        if embed.relation.to_one:
            return self._only(embed, parent, lambda child: self.member(embed.node, child, key))
        page = self.children(embed, parent)
        array = self.sql.json_array(self.member(embed.node, page, key))
        return sa.select(array).select_from(page.rows).scalar_subquery()

    def _only(self, embed: PlannedEmbed, parent: Source, value: Callable[[Source], Clause]) -> Clause:
        """Write a value of the one related row, or NULL."""
        link = self.link(embed, parent)
        clauses = [*link.conditions, *self.where(embed.node, link.child)]
        query = sa.select(value(link.child).label("one")).select_from(link.rows).where(*clauses)
        return query.limit(sa.literal_column("1")).correlate(parent.rows).scalar_subquery()

    def children(self, embed: PlannedEmbed, parent: Source) -> Source:
        """Give the page of related rows of one parent's row."""
        link = self.link(embed, parent)
        query = self._columns_of(embed.node, link.child).select_from(link.rows)
        query = query.where(*link.conditions, *self.where(embed.node, link.child)).correlate(parent.rows)
        return self._paged(self._window(query, embed.node, link.child))

    def _columns_of(self, node: PlannedNode, source: Source) -> sa.Select[Any]:
        """Select what the outer query needs: the items' columns, and those that embeds are linked by."""
        names = dict.fromkeys(column.column.name for column in node.columns)
        for embed in node.embeds:
            relation = embed.relation
            pairs = relation.pairs if relation.junction is None else relation.junction.source_pairs
            names.update(dict.fromkeys(column.name for column, _ in pairs))
        if not names:
            return sa.select(sa.literal_column("1").label("one"))
        return sa.select(*[source.columns[name].label(name) for name in names])

    def _window(self, query: sa.Select[Any], node: PlannedNode, source: Source) -> sa.Select[Any]:
        query = query.order_by(*[self._order(term, source) for term in node.orders])
        if node.limit is None:
            query = query.limit(sa.literal_column(str(node.most)))
        else:
            query = query.limit(self.binds.slot(node.limit, _limit_up_to(node.most), sa.BigInteger()))
        if node.offset is not None:
            query = query.offset(self.binds.slot(node.offset, read_offset, sa.BigInteger()))
        return query

    def _order(self, term: PlannedOrder, source: Source) -> Clause:
        if term.embed is not None:
            held = self._only(term.embed, source, lambda child: self._ordered(term, child))
        else:
            held = self._ordered(term, source)
        ordered: Clause = held.desc() if term.is_descending else held.asc()
        if term.column.nullable or term.steps or term.embed is not None:
            ordered = ordered.nulls_first() if term.nulls_first else ordered.nulls_last()
        return ordered

    def _ordered(self, term: PlannedOrder, source: Source) -> Clause:
        held = source.columns[term.column.name]
        if term.steps:
            held = (self.sql.json_at if term.steps[-1].as_text else self.sql.json_comparable)(held, term.steps)
        return self.sql.bytewise(held) if _is_text(term) else held

    def _value(self, item: PlannedColumn, source: Source) -> Clause:
        held, wire = source.columns[item.column.name], item.column.wire
        if not item.steps and item.cast is None:
            return wire.json_sql(held)
        return cast_json(item, held, self.sql)

    def _paged(self, query: sa.Select[Any]) -> Source:
        rows = query.subquery(self._name("q"))
        return Source(rows, {column.name: column for column in rows.columns})

    def _name(self, letter: str) -> str:
        self._made += 1
        return f"{letter}{self._made}"


ROW = "portero_row"
"""The names of a row's key inside a keyed read begin so."""


def where_of(
    model: Model, expressions: Iterable[PlannedExpression], values: Sequence[str], sql: Sql, limits: Limits
) -> Clause | None:
    """Write a write's filters over the model's own table, with their values; None without filters.

    Raises:
        DataError: a value that is none of its column's type; an operator that is not served.
    """
    writer = ReadSql(sql, limits, ValueBinds(values))
    source = Source(model.table, {column.name: column for column in model.table.columns})
    clauses = [writer.expression(one, source) for one in expressions]
    return sa.and_(*clauses) if clauses else None


def keys_of(node: PlannedNode) -> tuple[str, ...]:
    """Give the members of a node's rows, in order; an embed of empty embeds only filters and gives none."""
    found: dict[str, None] = {}
    for item in node.items:
        if isinstance(item, PlannedColumn):
            found.setdefault(item.key)
        elif item.is_spread:
            found.update(dict.fromkeys(key for key in keys_of(item.node) if key not in found))
        elif keys_of(item.node):
            found.setdefault(item.key)
    return tuple(found)


def _limit_up_to(most: int) -> Any:
    def codec(text: str) -> int:
        return min(read_limit(text), most)

    return codec


def _key(key: str, known: Collection[str]) -> Clause:
    """A key that the catalogue knows is a literal; any other is the caller's text, and is bound."""
    if key in known:
        return sa.literal_column("'" + key.replace("'", "''") + "'", sa.Text())
    return sa.literal(key, sa.Text())


def _equal(pairs: Sequence[tuple[sa.Column[Any], sa.Column[Any]]], left: Source, right: Source) -> list[Clause]:
    return [left.columns[one.name] == right.columns[other.name] for one, other in pairs]


def _is_text(term: PlannedOrder) -> bool:
    return term.steps[-1].as_text if term.steps else term.column.wire.kind is Kind.TEXT
