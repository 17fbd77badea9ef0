"""The parts of a read's statement in SQL: a node's rows and page, its conditions, the JSON of its rows, its embeds.

`read_statement` makes one statement of them. Every row source is `(SELECT … FROM model WHERE policy)`: filters, orders,
embeds, counts stand outside of it and see only rows that the policy lets through. Identifiers come from the catalogue;
aliases of a request are bound. The text is made once for a shape and a role, then kept: see `execute`. Obeys contract
data.md §4.2–4.5, §4.15 and docs/explanation/speed.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from portero.data import wire_sql
from portero.data.binds import Binds
from portero.data.caller import ME_TEXT
from portero.data.casts import INSTANT, cast_json, is_instant
from portero.data.catalogue import Model
from portero.data.dialects import Sql
from portero.data.grouped import grouped_page
from portero.data.keys import KeysFirst, judged_only
from portero.data.operators import Limits, condition_sql
from portero.data.policy import held_to_caller
from portero.data.read_plan import (
    PlannedColumn,
    PlannedCondition,
    PlannedEmbed,
    PlannedExpression,
    PlannedItem,
    PlannedNode,
    PlannedNullTest,
    PlannedOrder,
    is_grouped,
    keys_of,
    known_keys,
    members_of,
)
from portero.data.request import limit_up_to, read_offset
from portero.data.semi_joins import caller_first, callers_collected
from portero.data.sources import POSITION, ROW, Source, rows_of, shared_rows, source_of
from portero.data.wire_types import Kind, WireType
from portero.errors import DataError
from portero.records import dataclass

Clause = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Link:
    """The rows related to a parent's row: what stands in FROM, the child's source, and the conditions."""

    rows: sa.FromClause
    child: Source
    conditions: list[Clause]


class ReadSql:
    """Writes the sources, conditions and values of one statement; `binds` holds its slots afterwards.

    Args:
        sql: what the databases write differently.
        limits: of sources, lists and patterns.
        binds: what gives the binds of slots; default: new ones.
        zone: the time zone that instants are shown in.
        counts: the exact count is asked for, so every row is looked at.
    """

    def __init__(
        self, sql: Sql, limits: Limits, binds: Binds | None = None, *, zone: str | None = None, counts: bool = False
    ) -> None:
        self.sql = sql
        self.limits = limits
        self.binds = binds or Binds()
        self.zone = zone
        self._counts = counts
        self._made = 0

    def source(self, model: Model, policy: Clause, *, also: Sequence[Clause] = ()) -> Source:
        """Give the rows of a model that the policy lets through; `also` are expressions over its table.

        Raises:
            DataError: 54001 (400): too many sources for one statement.
        """
        if self._made >= self.limits.most_sources:
            # A filter on an embed is written wherever the embed is asked for: a short request can name thousands, and
            # SQLAlchemy takes about two milliseconds for each.
            raise DataError(400, "54001", "the request is too complex", hint="Ask for fewer embeds in one request.")
        return rows_of(model, policy, self.alias("t"), also) if also else shared_rows(model, policy, self.alias("t"))

    def page(self, node: PlannedNode, *, is_keyed: bool = False) -> Source:
        """Give the filtered, ordered, limited rows at the top."""
        if is_keyed:
            return self._keyed_page(node)
        source = self.top(node)
        return self.page_of(node, source, source.rows, self.where(node, source))

    def top(self, node: PlannedNode) -> Source:
        """Give the rows at the top: those of the model, or of them those that a function's statement picks."""
        if node.origin is None:
            return self.source(node.model, self.sought(node))
        return source_of(node.origin.subquery(self.alias("t")))

    def sought(self, node: PlannedNode) -> Clause:
        """Say the policy at the top so that it is quick; a row known by its key is looked at, not looked for."""
        is_sqlite = self.sql.name == "sqlite"
        is_said_anew = (is_sqlite or self._counts) and not _names_rows(node)
        quick = caller_first if is_sqlite else callers_collected
        return quick(node.policy, node.model.table) if is_said_anew else node.policy

    def _keyed_page(self, node: PlannedNode) -> Source:
        """Pick rows by key, in the order of the keys; a page and an order of the request do not count."""
        row_key = node.model.row_key
        source = self.source(node.model, judged_only(node.policy, self.sql), also=row_key)
        source = replace(source, callers=held_to_caller(node.policy))
        keys, key_columns, place = self.sql.keys([key.type for key in row_key])
        matches = [source.columns[f"{ROW}_{at}"] == key for at, key in enumerate(key_columns)]
        rows = KeysFirst(keys, source.rows, sa.and_(*matches))
        if is_grouped(node):
            return self.page_of(node, source, rows, self.where(node, source))
        query = sa.select(*self._columns_of(node, source)).select_from(rows).where(*self.where(node, source))
        return self.paged(query.order_by(*[self._order(term, source) for term in node.orders], place), source.callers)

    def page_of(
        self, node: PlannedNode, source: Source, rows: sa.FromClause, where: list[Clause], parent: Source | None = None
    ) -> Source:
        """Give the page of a node's rows, or of its groups."""

        def query(columns: Sequence[Clause]) -> sa.Select[Any]:
            selected = sa.select(*columns).select_from(rows).where(*where)
            return selected if parent is None else selected.correlate(parent.rows)

        if is_grouped(node):
            return grouped_page(self, node, source, query)
        orders = [self._order(term, source) for term in node.orders]
        if not orders and POSITION in source.columns:
            orders = [source.columns[POSITION]]
        ordered = query(self._columns_of(node, source)).order_by(*orders)
        return self.paged(self.window(ordered, node), source.callers)

    def where(self, node: PlannedNode, source: Source) -> list[Clause]:
        """Write a node's filters, and that its inner embeds have rows."""
        clauses = [self.expression(one, source) for one in node.filters]
        clauses.extend(self.exists(embed, source) for embed in node.embeds if embed.is_inner)
        return clauses

    def expression(self, one: PlannedExpression, source: Source) -> Clause:
        """Write a condition, a null test, or a tree."""
        if isinstance(one, PlannedCondition):
            held = source.columns[one.column.name]
            return condition_sql(one.column, held, one.condition, self.sql, self.binds, self.limits, source.columns)
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
        known = known_keys(node)
        return self.sql.json_object([(_key(key, known), value) for key, value in self._members(node, source).items()])

    def _members(self, node: PlannedNode, source: Source) -> dict[str, Clause]:
        if source.members is not None:
            return {key: source.members[key] for key in keys_of(node)}
        return {key: self._member(item, source, key) for key, item in members_of(node).items()}

    def array(self, node: PlannedNode, page: Source) -> tuple[Clause, sa.FromClause]:
        """Collect the JSON objects of a page's rows; give the array, and what it is selected from."""
        members = self._members(node, page)
        if members.keys() <= known_keys(node) and self.sql.names_members(members):
            columns = [value.label(key) for key, value in members.items()]
            rows = sa.select(*columns).select_from(page.rows).subquery(self.alias("r"))
            # With `.*` it is the row, even where a column has the name of these rows.
            return self.sql.json_array(sa.literal_column(f"{rows.name}.*")), rows
        return self.sql.json_array(self.row(node, page)), page.rows

    def member(self, node: PlannedNode, source: Source, key: str) -> Clause:
        """Write the value of one member of a node's rows."""
        if source.members is not None:
            return source.members[key]
        return self._member(members_of(node)[key], source, key)

    def _member(self, item: PlannedItem, source: Source, key: str) -> Clause:
        if isinstance(item, PlannedEmbed):
            return self.spread(item, source, key) if item.is_spread else self.embedded(item, source)
        assert isinstance(item, PlannedColumn)  # rows with aggregates are grouped, and have their members in the source
        return self._value(item, source)

    def embedded(self, embed: PlannedEmbed, parent: Source) -> Clause:
        """Write an embed as a subquery: an object or NULL, or an array."""
        if embed.relation.to_one and not is_grouped(embed.node):
            return self.only(embed, parent, lambda child: self.row(embed.node, child))
        page = self.children(embed, parent)
        if embed.relation.to_one:
            first = sa.select(self.row(embed.node, page)).select_from(page.rows).limit(sa.literal_column("1"))
            return first.scalar_subquery()
        array, rows = self.array(embed.node, page)
        return sa.select(array).select_from(rows).scalar_subquery()

    def spread(self, embed: PlannedEmbed, parent: Source, key: str) -> Clause:
        """Lift one member of an embed into the parent's row: a to-one child's value, a to-many one's array.

        A subquery a member, not a join: a join may lose the order of the parents' rows.
        """
        if embed.relation.to_one:
            return self.only(embed, parent, lambda child: self.member(embed.node, child, key))
        page = self.children(embed, parent)
        array = self.sql.json_array(self.member(embed.node, page, key))
        return sa.select(array).select_from(page.rows).scalar_subquery()

    def only(self, embed: PlannedEmbed, parent: Source, value: Callable[[Source], Clause]) -> Clause:
        """Write a value of the one related row, or NULL."""
        link = self.link(embed, parent)
        clauses = [*link.conditions, *self.where(embed.node, link.child)]
        query = sa.select(value(link.child).label("one")).select_from(link.rows).where(*clauses)
        node = embed.node
        if node.limit is None and node.offset is None:
            return query.limit(sa.literal_column("1")).correlate(parent.rows).scalar_subquery()
        return self.window(query, node, most=1).correlate(parent.rows).scalar_subquery()

    def children(self, embed: PlannedEmbed, parent: Source) -> Source:
        """Give the page of related rows of one parent's row."""
        link = self.link(embed, parent)
        where = [*link.conditions, *self.where(embed.node, link.child)]
        return self.page_of(embed.node, link.child, link.rows, where, parent)

    def _columns_of(self, node: PlannedNode, source: Source) -> list[Clause]:
        """Name what the outer query needs: the items' columns, and those that embeds are linked by."""
        names = dict.fromkeys(column.column.name for column in node.columns)
        for embed in node.embeds:
            relation = embed.relation
            pairs = relation.pairs if relation.junction is None else relation.junction.source_pairs
            names.update(dict.fromkeys(column.name for column, _ in pairs))
        return [source.columns[name].label(name) for name in names] or [sa.literal_column("1").label("one")]

    def window(self, query: sa.Select[Any], node: PlannedNode, most: int | None = None) -> sa.Select[Any]:
        """Cut the rows down to the page that was asked for, or to the largest there is."""
        most = node.most if most is None else most
        if node.limit is None:
            query = query.limit(sa.literal_column(str(most)))
        else:
            query = query.limit(self.sql.page_number(node.limit, limit_up_to(most), self.binds))
        if node.offset is not None:
            query = query.offset(self.sql.page_number(node.offset, read_offset, self.binds))
        return query

    def _order(self, term: PlannedOrder, source: Source) -> Clause:
        if term.embed is not None:
            held = self.only(term.embed, source, lambda child: self._ordered(term, child))
        else:
            held = self._ordered(term, source)
        return self.directed(term, held)

    def directed(self, term: PlannedOrder, held: Clause) -> Clause:
        """Order by a value: its direction, and where NULL goes."""
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
            is_caller = item.column.name in source.callers
            return ME_AS_TEXT if is_caller and wire.json_sql is wire_sql.uuid else self.shown(wire, held)
        made = cast_json(item, held, self.sql)
        return self.sql.in_zone(made, self.zone) if self.zone and is_instant(item) else made

    def shown(self, wire: WireType, held: Clause) -> Clause:
        """Write a stored value as JSON, an instant in the caller's time zone."""
        value = wire.json_sql(held)
        return self.sql.in_zone(value, self.zone) if self.zone and wire.name == INSTANT else value

    def paged(self, query: sa.Select[Any], callers: frozenset[str] = frozenset()) -> Source:
        """Name a query's rows; `callers` are the columns that are the caller's id in each."""
        return source_of(query.subquery(self.alias("q")), callers)

    def alias(self, letter: str) -> str:
        """Give a name that no other source of the statement has."""
        self._made += 1
        return f"{letter}{self._made}"


#: What a UUID column holds that is the caller's id in every row: written once, not put together for each row.
ME_AS_TEXT = sa.bindparam(ME_TEXT, type_=sa.Text())


def _names_rows(node: PlannedNode) -> bool:
    """Say whether a node's filters hold values of a unique column."""
    return any(
        isinstance(one, PlannedCondition)
        and one.condition.operator in ("eq", "in")
        and not (one.condition.is_negated or one.condition.modifier or one.condition.field.steps)
        and frozenset({one.column.name}) in node.model.unique_keys
        for one in node.filters
    )


def _key(key: str, known: Collection[str]) -> Clause:
    """A key that the catalogue knows is a literal; any other is the caller's text, and is bound."""
    if key in known:
        return sa.literal_column("'" + key.replace("'", "''") + "'", sa.Text())
    return sa.literal(key, sa.Text())


def _equal(pairs: Sequence[tuple[sa.Column[Any], sa.Column[Any]]], left: Source, right: Source) -> list[Clause]:
    return [left.linked(one, other) == right.columns[other.name] for one, other in pairs]


def _is_text(term: PlannedOrder) -> bool:
    return term.steps[-1].as_text if term.steps else term.column.wire.kind is Kind.TEXT
