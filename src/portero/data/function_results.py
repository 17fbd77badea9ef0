"""What a function gave back, as rows and JSON: a statement over an exposed model, or plain values.

A statement is planned like any read: its own rows are first cut down to those that the model's policy lets through,
then the request's select, filters, order and page apply. Plain values are the developer's own words and are written as
they are; a mapped object is refused, because its hidden columns would go out with it. Obeys contract data.md §4.9.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.sql import visitors

from portero.data.catalogue import Catalogue, Model
from portero.data.execute import ResultSet
from portero.data.nodes import STAR, ColumnItem, DataRequest, Item
from portero.data.request import limit_up_to, read_offset
from portero.data.sources import POSITION
from portero.errors import DataError

_LARGEST: Final = 2**63
_MOST_DIGITS: Final = 1000


def picked(statement: sa.Select[Any], model: Model, policy: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Let a statement give every column of the model, of rows that the policy lets through, and their order."""
    statement = cast("sa.Select[Any]", visitors.replacement_traverse(statement, {}, _spelled_out))
    columns: list[Any] = [column.label(column.name) for column in model.table.columns]
    order = statement._order_by_clauses
    if order and not statement._distinct:
        columns.append(sa.func.row_number().over(order_by=order).label(POSITION))
    readable = _readable(model, policy)
    return statement.where(readable).with_only_columns(*columns, maintain_column_froms=True)


def _spelled_out(element: Any, **_: Any) -> Any:
    """A list of constants becomes a constant each: the statement is made once, with its parameters in their places."""
    if not isinstance(element, sa.BindParameter) or not element.expanding or not element.value:
        return None
    each = [sa.literal(value, element.type) for value in element.value]
    return sa.sql.elements.ClauseList(*each).self_group(against=sa.sql.operators.in_op)


def _readable(model: Model, policy: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Write the policy for a statement that may read other tables as well.

    A subquery in the policy would tie itself to a table that the statement joins, and ask something else: such a
    policy stands in a subquery of its own, beside the model's table alone.
    """
    if not any(isinstance(element, sa.sql.selectable.SelectBase) for element in visitors.iterate(policy)):
        return policy
    key = model.row_key
    rows = sa.select(*key).select_from(model.table).where(policy).correlate(None)
    return (key[0] if len(key) == 1 else sa.tuple_(*key)).in_(rows)


def model_of(statement: sa.Select[Any], catalogue: Catalogue, function: str) -> Model:
    """Find the exposed model whose rows a statement selects.

    Raises:
        TypeError: it selects something else; the developer is told.
    """
    raw = statement._raw_columns
    table = raw[0] if len(raw) == 1 and isinstance(raw[0], sa.Table) else None
    found = None if table is None else next((each for each in catalogue.models.values() if each.table == table), None)
    if found is None:
        raise TypeError(
            f"rpc {function!r} returned a select that is not over one exposed model (without alias): policies could "
            "not apply. Return sa.select(Model), or execute it and return the values."
        )
    return found


def shown(value: Any) -> Any:
    """Turn what a function returned into what `orjson` writes; numbers stay exact.

    >>> orjson.dumps(shown({"a": Decimal("1.10"), "b": (1, None)}))
    b'{"a":1.10,"b":[1,null]}'

    Raises:
        TypeError: it has no JSON form.
    """
    match value:
        case sa.Row():
            return shown(dict(value._mapping))
        case Mapping():
            return {str(name): shown(member) for name, member in value.items()}
        case Decimal():
            if not value.is_finite():
                return str(value)
            # A few characters can stand for a number of very many digits: such a one keeps its exponent.
            return orjson.Fragment(f"{value:f}" if abs(value.adjusted()) < _MOST_DIGITS else str(value))
        case int() if not -_LARGEST <= value < _LARGEST:
            return orjson.Fragment(str(value))
        case bytes():
            return "\\x" + value.hex()
    if is_set(value):
        return [shown(each) for each in value]
    if sa.inspect(value, raiseerr=False) is not None and not isinstance(value, type):
        name = type(value).__name__
        raise TypeError(f"a {name} object was returned: return sa.select({name}).where(…), or the values to show")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return shown(dataclasses.asdict(value))
    return value


def is_set(value: Any) -> bool:
    """Say whether a value is many: its length is counted and limited."""
    return isinstance(value, list | tuple | set | frozenset) and not isinstance(value, sa.Row)


def rows_of(values: Any, request: DataRequest, most: int) -> ResultSet:
    """Give the page of many plain values.

    Raises:
        DataError: PGRST127 filters, an order, an embed: for those a function returns a select; 42703 no such member.
    """
    shape = request.shape
    if shape.filters or shape.orders or any(page.path for page in shape.pages):
        details = "Filters, order and embeds apply to functions that return a select."
        raise DataError(400, "PGRST127", "Feature not implemented", details=details)
    every = [shown(each) for each in values]
    page = next(iter(shape.pages), None)
    limit, offset = most, 0
    if page is not None and page.limit is not None:
        limit = limit_up_to(most)(request.values[page.limit])
    if page is not None and page.offset is not None:
        offset = read_offset(request.values[page.offset])
    rows = [_narrowed(each, shape.items) for each in every[offset : offset + limit]]
    keys = tuple(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row))
    total = None if shape.count is None else len(every)
    return ResultSet(orjson.dumps(rows), len(rows), total, offset, keys)


def one_of(value: Any, request: DataRequest) -> Any:
    """Give one plain value, with the members that were selected."""
    return _narrowed(shown(value), request.shape.items)


def _narrowed(row: Any, items: Sequence[Item]) -> Any:
    if items == STAR or not isinstance(row, dict):
        return row
    narrowed: dict[str, Any] = {}
    for item in items:
        if not isinstance(item, ColumnItem) or item.field.steps or item.cast or item.aggregate:
            details = "Of plain values only members can be selected; for more a function returns a select."
            raise DataError(400, "PGRST127", "Feature not implemented", details=details)
        if item.field.name not in row:
            raise DataError(400, "42703", f"column {item.field.name} does not exist")
        narrowed[item.alias or item.field.name] = row[item.field.name]
    return narrowed
