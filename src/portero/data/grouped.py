"""Aggregates as SQL: one row for each group of the members that are not aggregates (contract data.md §4.2).

Three levels: the rows of the source, already filtered by its policy, each member as one value; the groups; the JSON.
Members of a to-one spread are lifted into the rows of its parent before they are grouped. Limits and orders count
groups. Nothing here decides whether aggregates are allowed: `read_plan` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import sqlalchemy as sa

from portero.data.casts import cast_json, cast_value, kind_of
from portero.data.dialects import Sql
from portero.data.read_errors import no_function
from portero.data.read_plan import (
    PlannedAggregate,
    PlannedColumn,
    PlannedEmbed,
    PlannedNode,
    PlannedOrder,
    keys_of,
)
from portero.data.sources import Clause, Source
from portero.data.wire_types import Kind, WireType
from portero.errors import DataError
from portero.records import dataclass

_NUMBERS: Final = frozenset({Kind.NUMBER, Kind.OTHER})
_ORDERED: Final = frozenset({Kind.NUMBER, Kind.TEXT, Kind.MOMENT, Kind.OTHER})
_TAKES: Final = {"sum": _NUMBERS, "avg": _NUMBERS, "min": _ORDERED, "max": _ORDERED}


class Writer(Protocol):
    """What a group asks of the writer of the statement, `read_sql.ReadSql`."""

    sql: Sql

    def only(self, embed: PlannedEmbed, parent: Source, value: Callable[[Source], Clause]) -> Clause: ...
    def embedded(self, embed: PlannedEmbed, parent: Source) -> Clause: ...
    def spread(self, embed: PlannedEmbed, parent: Source, key: str) -> Clause: ...
    def shown(self, wire: WireType, held: Clause) -> Clause: ...
    def directed(self, term: PlannedOrder, held: Clause) -> Clause: ...
    def window(self, query: sa.Select[Any], node: PlannedNode) -> sa.Select[Any]: ...
    def paged(self, query: sa.Select[Any], callers: frozenset[str] = frozenset()) -> Source: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Leaf:
    """One member of a grouped row.

    Attributes:
        held: its value in the ungrouped rows.
        finish: the group's value → the JSON.
        function: the aggregate, or None for a member that makes the groups.
        embed: the to-one spread it was lifted from, None for the node's own.
        column: what an order can name it by.
    """

    key: str
    held: Clause
    finish: Callable[[Clause], Clause]
    function: str | None = None
    embed: PlannedEmbed | None = None
    column: PlannedColumn | None = None


def grouped_page(
    writer: Writer, node: PlannedNode, source: Source, query: Callable[[Sequence[Clause]], sa.Select[Any]]
) -> Source:
    """Group the rows of a node.

    Args:
        writer: the writer of the statement.
        node: a node with an aggregate.
        source: its rows.
        query: the columns wanted → the SELECT of its filtered rows.

    Raises:
        DataError: 42803 (400) an order by what makes no group; 42883 (404) an aggregate that the type does not have.
    """
    leaves: dict[str, _Leaf] = {}
    for leaf in _leaves(writer, node, source, ()):
        leaves[leaf.key] = leaf
    found = list(leaves.values())
    rows = writer.paged(query([leaf.held.label(f"m{place}") for place, leaf in enumerate(found)]))
    held = [rows.columns[f"m{place}"] for place in range(len(found))]
    wanted = [
        (one if leaf.function is None else getattr(sa.func, leaf.function)(one)).label(f"g{place}")
        for place, (leaf, one) in enumerate(zip(found, held, strict=True))
    ]
    groups = [one for leaf, one in zip(found, held, strict=True) if leaf.function is None]
    select = sa.select(*wanted).select_from(rows.rows).group_by(*groups)
    select = select.order_by(*[writer.directed(term, _place(node, term, found, held, writer)) for term in node.orders])
    page = writer.paged(writer.window(select, node))
    members = {leaf.key: leaf.finish(page.columns[f"g{place}"]) for place, leaf in enumerate(found)}
    return Source(page.rows, page.columns, members)


def _leaves(writer: Writer, node: PlannedNode, source: Source, path: tuple[PlannedEmbed, ...]) -> Iterator[_Leaf]:
    """Give the members of a node's rows; `path` are the spreads on the way down from the rows that are grouped."""
    for item in sorted(node.items, key=lambda item: isinstance(item, PlannedEmbed)):
        if isinstance(item, PlannedAggregate):
            yield _aggregate(writer, item, source, path)
        elif isinstance(item, PlannedColumn):
            yield _column(writer, item, source, path)
        elif item.is_spread and item.relation.to_one:
            yield from _leaves(writer, item.node, source, (*path, item))
        elif item.is_spread:
            for key in keys_of(item.node):
                yield _document(writer, key, source, path, _spread_of(writer, item, key))
        elif keys_of(item.node):
            yield _document(writer, item.key, source, path, _embed_of(writer, item))


def _spread_of(writer: Writer, item: PlannedEmbed, key: str) -> Callable[[Source], Clause]:
    return lambda child: writer.spread(item, child, key)


def _embed_of(writer: Writer, item: PlannedEmbed) -> Callable[[Source], Clause]:
    return lambda child: writer.embedded(item, child)


def _document(
    writer: Writer, key: str, source: Source, path: tuple[PlannedEmbed, ...], value: Callable[[Source], Clause]
) -> _Leaf:
    """JSON is grouped by its text: PostgreSQL cannot compare json."""
    held = _down(writer, path, source, lambda child: sa.cast(value(child), sa.Text()))
    return _Leaf(key, held, writer.sql.as_json)


def _column(writer: Writer, item: PlannedColumn, source: Source, path: tuple[PlannedEmbed, ...]) -> _Leaf:
    embed, wire = (path[-1] if path else None), item.column.wire
    kind, _ = kind_of(item)
    is_made = bool(item.steps) or item.cast is not None
    if item.cast is not None and _groups_by_itself(item):
        held = _down(writer, path, source, lambda child: child.columns[item.column.name])
        return _Leaf(item.key, held, lambda value: cast_json(item, value, writer.sql), None, embed, item)

    def value(child: Source) -> Clause:
        held = child.columns[item.column.name]
        return cast_json(item, held, writer.sql) if is_made else held

    finish: Callable[[Clause], Clause] = _as_it_is if is_made else lambda held: writer.shown(wire, held)
    if kind is Kind.JSON or (is_made and kind is Kind.BOOLEAN):
        is_text = not is_made and writer.sql.name == "sqlite"
        if not is_text:
            plain = value
            held = _down(writer, path, source, lambda child: sa.cast(plain(child), sa.Text()))
            return _Leaf(item.key, held, writer.sql.as_json, None, embed, item)
    return _Leaf(item.key, _down(writer, path, source, value), finish, None, embed, item)


def _groups_by_itself(item: PlannedColumn) -> bool:
    """Without an alias PostgREST groups by a column, not by its cast: an order may name it then."""
    return not item.steps and item.key == item.column.name and item.column.wire.kind is not Kind.JSON


def _aggregate(writer: Writer, item: PlannedAggregate, source: Source, path: tuple[PlannedEmbed, ...]) -> _Leaf:
    if item.operand is None:
        held = _down(writer, path, source, lambda child: sa.literal_column("1", sa.Integer()))
        return _Leaf(item.key, held, lambda value: _cast_to(item, value, writer), "count")
    operand = item.operand
    kind, name = kind_of(operand)
    if kind not in _TAKES.get(item.function, frozenset(Kind)):
        raise no_function(item.function, name)
    is_made = bool(operand.steps) or operand.cast is not None

    def value(child: Source) -> Clause:
        held = child.columns[operand.column.name]
        made = cast_json(operand, held, writer.sql) if is_made else held
        return writer.sql.bytewise(made) if kind is Kind.TEXT and item.function != "count" else made

    wire = operand.column.wire

    def finish(value: Clause) -> Clause:
        if not is_made and wire.scale is not None and item.function == "avg":
            mean = value.op("/")(sa.literal_column(f"{10**wire.scale}.0"))
            return _cast_to(item, mean, writer)
        shows_units = not is_made and wire.scale is not None and item.function != "count"
        if item.cast is None and not is_made and (item.function in ("min", "max") or shows_units):
            return writer.shown(wire, value)
        return _cast_to(item, wire.text_sql(value) if shows_units else value, writer)

    return _Leaf(item.key, _down(writer, path, source, value), finish, item.function)


def _cast_to(item: PlannedAggregate, value: Clause, writer: Writer) -> Clause:
    return value if item.cast is None else cast_value(value, item.cast, writer.sql)


def _down(writer: Writer, path: tuple[PlannedEmbed, ...], source: Source, value: Callable[[Source], Clause]) -> Clause:
    """Give a value of the related row at the end of a path of to-one spreads; NULL where there is none."""
    if not path:
        return value(source)
    return writer.only(path[0], source, lambda child: _down(writer, path[1:], child, value))


def _place(
    node: PlannedNode, term: PlannedOrder, leaves: Sequence[_Leaf], held: Sequence[Clause], writer: Writer
) -> Clause:
    """Find the member that an order means: only what makes the groups has one value in each."""
    for leaf, one in zip(leaves, held, strict=True):
        item = leaf.column
        if item is None or leaf.embed is not term.embed or item.column is not term.column:
            continue
        if item.steps == term.steps and (item.cast is None or _groups_by_itself(item)):
            kind = kind_of(item)[0] if item.steps else item.column.wire.kind
            return writer.sql.bytewise(one) if kind is Kind.TEXT else one
    model = node.model if term.embed is None else term.embed.node.model
    name = f"{model.name}.{term.column.name}"
    raise DataError(
        400, "42803", f'column "{name}" must appear in the GROUP BY clause or be used in an aggregate function'
    )


def _as_it_is(value: Clause) -> Clause:
    return value
