"""How large a parsed request may be: items, embeds, conditions, paths. Each bound is a setting, and a refusal names it.

Texts are bounded by the server before they come here, and reading one costs no more than its length; what is bounded
here costs the planner and the database more. It knows no models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portero.data.nodes import ColumnItem, EmbedItem, Expression, Field, Filter, Item, OrderTerm, Tree
from portero.errors import DataError
from portero.settings import Settings


def check_size(
    items: Sequence[Item], filters: Sequence[Filter], orders: Sequence[Sequence[OrderTerm]], settings: Settings
) -> None:
    """Refuse a request that asks for too much at once.

    Raises:
        DataError: PGRST100 (400).
    """
    every = list(_items(items))
    conditions = list(_expressions(filters))
    terms = [term for order in orders for term in order]
    _check(len(every), settings.max_select, "items in select")
    _check(sum(isinstance(each, EmbedItem) for each in every), settings.max_embeds, "embeds in one request")
    _check(len(conditions) + len(terms), settings.max_conditions, "conditions and order terms in one request")
    fields = [each.field for each in (*every, *conditions, *terms) if not isinstance(each, EmbedItem | Tree)]
    longest = max((len(each.steps) for each in fields if isinstance(each, Field)), default=0)
    _check(longest, settings.max_json_path, "arrows in one JSON path")


def _check(count: int, most: int, what: str) -> None:
    if count > most:
        raise DataError(400, "PGRST100", f"more than {most} {what}", hint="Ask for less in one request.")


def _items(items: Sequence[Item]) -> Iterator[ColumnItem | EmbedItem]:
    """Give every item but the stars, which have no field."""
    for item in items:
        if isinstance(item, EmbedItem):
            yield item
            yield from _items(item.items)
        elif isinstance(item, ColumnItem):
            yield item


def _expressions(filters: Sequence[Filter]) -> Iterator[Expression]:
    waiting: list[Expression] = [one.expression for one in filters]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, Tree):
            waiting.extend(one.operands)
