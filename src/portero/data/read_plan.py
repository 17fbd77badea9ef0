"""From a request's shape to a plan: every name resolved against the catalogue, a policy on every node.

A node without a policy cannot be built: `PlannedNode` wants one, and `Policies.of` refuses a verb that has none.
Nothing here makes SQL or sees a value. Obeys contract data.md §4.2–4.5 and docs/explanation/policies.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from typing import Any, Literal

import sqlalchemy as sa

from portero.data.catalogue import Catalogue, Column, Model
from portero.data.fields import json_column, name_of
from portero.data.nodes import (
    ColumnItem,
    Condition,
    EmbedItem,
    Expression,
    Field,
    Item,
    JsonStep,
    OrderTerm,
    Path,
    ReadShape,
    StarItem,
)
from portero.data.policy import Verb
from portero.data.relations import Relation
from portero.errors import DataError
from portero.records import dataclass

Steps = tuple[JsonStep, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PlannedColumn:
    """One column of an answer; `key` is its name there."""

    key: str
    column: Column
    steps: Steps = ()
    cast: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PlannedAggregate:
    """One aggregate; `operand` is None for the bare `count()`, `cast` comes after the aggregate."""

    key: str
    function: str
    operand: PlannedColumn | None
    cast: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PlannedEmbed:
    """One embed; `junction_policy` guards the rows in between of a many-to-many relation."""

    key: str
    name: str
    relation: Relation
    node: PlannedNode
    is_inner: bool
    is_spread: bool
    junction: Model | None = None
    junction_policy: sa.ColumnElement[bool] | None = None


PlannedItem = PlannedColumn | PlannedAggregate | PlannedEmbed


@dataclass(frozen=True, slots=True, eq=False)
class PlannedCondition:
    """One comparison of a column with the value in a slot."""

    column: Column
    condition: Condition


@dataclass(frozen=True, slots=True, eq=False)
class PlannedNullTest:
    """`embed=is.null` or `embed=not.is.null`: no, or some, related row."""

    embed: PlannedEmbed
    is_null: bool


@dataclass(frozen=True, slots=True, eq=False)
class PlannedTree:
    """Conditions joined by and/or."""

    joiner: Literal["and", "or"]
    operands: tuple[PlannedExpression, ...]
    is_negated: bool


PlannedExpression = PlannedCondition | PlannedNullTest | PlannedTree


@dataclass(frozen=True, slots=True, eq=False)
class PlannedOrder:
    """One term of an order; with `embed`, by a to-one child's column."""

    column: Column
    steps: Steps
    is_descending: bool
    nulls_first: bool
    embed: PlannedEmbed | None = None


@dataclass(slots=True, eq=False)
class PlannedNode:
    """The rows of one model at one place of the answer.

    Attributes:
        policy: what rows the caller may see at all; never absent.
        limit, offset: slots, or None.
        most: the largest page that is given at this place.
        origin: a function's statement whose rows these are, its own policy within; None for all rows of the model.
    """

    model: Model
    policy: sa.ColumnElement[bool]
    most: int
    columns: list[PlannedColumn] = field(default_factory=list)
    embeds: list[PlannedEmbed] = field(default_factory=list)
    items: list[PlannedItem] = field(default_factory=list)
    filters: list[PlannedExpression] = field(default_factory=list)
    orders: list[PlannedOrder] = field(default_factory=list)
    limit: int | None = None
    offset: int | None = None
    origin: sa.Select[Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReadPlan:
    """A read, resolved: the tree of nodes, and what else the statement gives.

    `shape.count` is `planned` or `estimated` only where every policy of the tree is TRUE (threat DA-06).
    """

    root: PlannedNode
    shape: ReadShape


@dataclass(frozen=True, slots=True, eq=False)
class Planner:
    """Plans reads for one role.

    Attributes:
        most: most rows of one page, where the model does not say.
        aggregates: aggregate functions are allowed, where the model does not say.
        by_alias: an embed with an alias goes by that name only.
    """

    catalogue: Catalogue
    role: str
    most: int
    aggregates: bool = False
    by_alias: bool = False

    def plan(self, shape: ReadShape) -> ReadPlan:
        """Resolve a shape.

        Raises:
            DataError: 42501, 42703, 42704, PGRST108, PGRST118, PGRST120, PGRST123, PGRST127, PGRST200, PGRST201,
                PGRST205.
        """
        root = self.node(self.catalogue.model(shape.model), shape.items)
        for one in shape.filters:
            node = self.descend(root, one.path)
            node.filters.append(self.expression(node, one.expression))
        for order in shape.orders:
            node = self.descend(root, order.path)
            node.orders = [self.order(node, term) for term in order.terms]
        for page in shape.pages:
            node = self.descend(root, page.path)
            node.limit, node.offset = page.limit, page.offset
        if shape.count is not None and not _is_all_open(root):
            # The planner's figures are of the whole table: they would tell how common a value is in hidden rows.
            shape = replace(shape, count="exact")
        return ReadPlan(root, shape)

    def conditions(self, model: Model, expressions: Iterable[Expression]) -> list[PlannedExpression]:
        """Resolve the filters of a write, in which embeds have no place.

        Raises:
            DataError: 42501, 42703, PGRST127.
        """
        node = self.node(model, ())
        return [self.expression(node, one) for one in expressions]

    def node(self, model: Model, items: Sequence[Item]) -> PlannedNode:
        """Resolve one model's items; its policy comes first, so that a stranger learns no names."""
        policy = model.policies.of(Verb.SELECT, self.role)
        node = PlannedNode(model, policy, self.most if model.max_rows is None else min(self.most, model.max_rows))
        # Embeds first: where both a relation and a column are unknown, PostgREST names the relation.
        node.embeds = [self.embed_item(model, item) for item in items if isinstance(item, EmbedItem)]
        embeds = iter(node.embeds)
        for item in items:
            if isinstance(item, EmbedItem):
                node.items.append(next(embeds))
                continue
            for planned in self.columns(model, item):
                node.items.append(planned)
                if isinstance(planned, PlannedColumn):
                    node.columns.append(planned)
        return node

    def columns(self, model: Model, item: StarItem | ColumnItem) -> Sequence[PlannedColumn | PlannedAggregate]:
        """Resolve one item; a star gives many."""
        if isinstance(item, StarItem):
            return [PlannedColumn(name, column) for name, column in model.columns.items()]
        return [self.column_item(model, item)]

    def column_item(self, model: Model, item: ColumnItem) -> PlannedColumn | PlannedAggregate:
        """Resolve `alias:field::cast`, or an aggregate; the bare `count` is one where no column is called so.

        Raises:
            DataError: PGRST123 aggregates are off; 42703, 42883 as `json_column`.
        """
        is_allowed = self.aggregates if model.aggregates is None else model.aggregates
        if item.aggregate is None and item.field == Field("count") and "count" not in model.columns:
            if not is_allowed:
                raise _aggregates_are_off()
            return PlannedAggregate(item.alias or "count", "count", None, item.cast)
        if item.aggregate is not None:
            if not is_allowed:
                raise _aggregates_are_off()
            key = item.alias or item.aggregate
            if item.field.name == "*":
                return PlannedAggregate(key, item.aggregate, None, item.aggregate_cast)
            column = json_column(model, item.field)
            operand = PlannedColumn(key, column, item.field.steps, item.cast)
            return PlannedAggregate(key, item.aggregate, operand, item.aggregate_cast)
        column = json_column(model, item.field)
        return PlannedColumn(item.alias or name_of(item.field), column, item.field.steps, item.cast)

    def embed_item(self, model: Model, item: EmbedItem) -> PlannedEmbed:
        """Resolve an embed: its relation, its target's policy, and the junction's.

        Raises:
            DataError: PGRST200, PGRST201 the relation; PGRST127 a spread of groups; 42501 no policy; as its items.
        """
        relation = self.catalogue.relation(model, item.name, item.hint)
        node = self.node(self.catalogue.model(relation.target), item.items)
        if item.is_spread and not relation.to_one and is_grouped(node):
            details = "Aggregates are not implemented for one-to-many or many-to-many spreads."
            raise DataError(400, "PGRST127", "Feature not implemented", details=details)
        junction = None if relation.junction is None else self.catalogue.model(relation.junction.model)
        return PlannedEmbed(
            key=item.key,
            name=item.name,
            relation=relation,
            node=node,
            is_inner=item.join == "inner",
            is_spread=item.is_spread,
            junction=junction,
            junction_policy=None if junction is None else junction.policies.of(Verb.SELECT, self.role),
        )

    def expression(self, node: PlannedNode, one: Expression) -> PlannedExpression:
        """Resolve a condition or a tree.

        Raises:
            DataError: PGRST120 another operator than `is` on an embed; 42703, 42883 as `json_column`.
        """
        if not isinstance(one, Condition):
            operands = tuple(self.expression(node, operand) for operand in one.operands)
            return PlannedTree(one.joiner, operands, one.is_negated)
        embed = self.find_embed(node, one.field.name) if not one.field.steps else None
        if embed is not None:
            if one.operator == "is" and one.word in ("null", "not_null"):
                return PlannedNullTest(embed, (one.word == "null") != one.is_negated)
            if one.field.name not in node.model.columns:
                what = "Only is null or not is null filters are allowed on embedded resources"
                raise DataError(400, "PGRST120", f"Bad operator on the '{embed.key}' embedded resource", details=what)
        return PlannedCondition(json_column(node.model, one.field), one)

    def order(self, node: PlannedNode, term: OrderTerm) -> PlannedOrder:
        """Resolve one term of an order; NULL stands where PostgreSQL puts it.

        Raises:
            DataError: PGRST108 no embed of this name; PGRST118 a to-many one; 42703, 42883 as `json_column`.
        """
        nulls_first = term.is_descending if term.nulls_first is None else term.nulls_first
        if term.relation is None:
            column = json_column(node.model, term.field)
            return PlannedOrder(column, term.field.steps, term.is_descending, nulls_first)
        embed = self.find_embed(node, term.relation)
        if embed is None:
            raise not_embedded(node, term.relation)
        if not embed.relation.to_one:
            message = f"A related order on '{embed.key}' is not possible"
            details = f"'{node.model.name}' and '{embed.key}' do not form a many-to-one or one-to-one relationship"
            raise DataError(400, "PGRST118", message, details=details)
        target = _unaliased(embed.node, term.field)
        column = json_column(embed.node.model, target)
        return PlannedOrder(column, target.steps, term.is_descending, nulls_first, embed)

    def descend(self, node: PlannedNode, path: Path) -> PlannedNode:
        """Walk down to the node at `path`.

        Raises:
            DataError: PGRST108: a name on the way is not embedded.
        """
        for name in path:
            embed = self.find_embed(node, name)
            if embed is None:
                raise not_embedded(node, name)
            node = embed.node
        return node

    def find_embed(self, node: PlannedNode, name: str) -> PlannedEmbed | None:
        """Find an embed by its key, else by the name it was asked by."""
        for embed in node.embeds:
            if embed.key == name:
                return embed
        if self.by_alias:
            return None
        return next((embed for embed in node.embeds if embed.name == name), None)


def not_embedded(node: PlannedNode, name: str) -> DataError:
    """Make the PGRST108 refusal; an embed that only goes by its alias is named."""
    message = f"'{name}' is not an embedded resource in this request"
    alias = next((embed.key for embed in node.embeds if embed.name == name), None)
    if alias is None:
        hint = f"Verify that '{name}' is included in the 'select' query parameter."
        return DataError(400, "PGRST108", message, hint=hint)
    details = "Target names are not allowed in filters if they have an alias"
    hint = f"Change '{name}' to '{alias}' in filters, orders or limits."
    return DataError(400, "PGRST108", message, details=details, hint=hint)


def _aggregates_are_off() -> DataError:
    hint = "PORTERO_AGGREGATES=yes allows them for every model, expose(aggregates=True) for one"
    return DataError(400, "PGRST123", "Use of aggregate functions is not allowed", hint=hint)


def is_grouped(node: PlannedNode) -> bool:
    """Say whether a node's rows are groups: it has an aggregate, or a to-one spread lifts one into it."""
    return any(
        isinstance(item, PlannedAggregate)
        or (isinstance(item, PlannedEmbed) and item.is_spread and item.relation.to_one and is_grouped(item.node))
        for item in node.items
    )


def _is_all_open(node: PlannedNode) -> bool:
    """Say whether no policy hides a row of this node or of what is embedded in it."""
    policies = [node.policy, *(each.junction_policy for each in node.embeds if each.junction_policy is not None)]
    return all(isinstance(one, sa.True_) for one in policies) and all(_is_all_open(each.node) for each in node.embeds)


def members_of(node: PlannedNode) -> dict[str, PlannedItem]:
    """Give the members of a node's rows, in order, and the item each comes from.

    Of equal keys the last counts, as a reader of JSON has it, and embeds come after columns, as PostgREST writes them.
    An embed of empty embeds only filters and gives none.
    """
    found: dict[str, PlannedItem] = {item.key: item for item in node.items if not isinstance(item, PlannedEmbed)}
    for item in node.embeds:
        if item.is_spread:
            found.update(dict.fromkeys(members_of(item.node), item))
        elif members_of(item.node):
            found[item.key] = item
    return found


def keys_of(node: PlannedNode) -> tuple[str, ...]:
    """Give the keys of a node's rows, in order."""
    return tuple(members_of(node))


def known_keys(node: PlannedNode) -> set[str]:
    """Give the keys that are the catalogue's own words and not the request's."""
    return {*node.model.columns, *(embed.relation.target for embed in node.embeds)}


def _unaliased(node: PlannedNode, target: Field) -> Field:
    """An order by an embed's member may name it as the answer does."""
    if target.name in node.model.columns or target.steps:
        return target
    named = (item for item in node.columns if item.key == target.name and item.cast is None)
    return next((Field(item.column.name, item.steps) for item in named), target)
