"""Prints a request's tree as the query string it is parsed from: the grammar, read backwards.

What is printed parses back to the same tree and values; a test proves it of generated requests. It knows no models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from portero.data.nodes import (
    STAR,
    ColumnItem,
    Condition,
    EmbedItem,
    Expression,
    Field,
    Item,
    OrderTerm,
    Path,
    ReadShape,
    StarItem,
)

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset({"select", "columns", "on_conflict", "order", "limit", "offset", "and", "or", "not"})


def print_query(shape: ReadShape, values: Sequence[str]) -> str:
    """Write the query string of a read.

    >>> print_query(ReadShape("films", (ColumnItem(Field("id")),)), ())
    'select=id'

    Args:
        shape: what is asked.
        values: the texts of its slots.
    """
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in _parameters(shape, values))


def _parameters(shape: ReadShape, values: Sequence[str]) -> Iterator[tuple[str, str]]:
    if shape.items != STAR:
        yield "select", print_select(shape.items)
    for one in shape.filters:
        yield _filter(one.path, one.expression, values)
    for order in shape.orders:
        yield ".".join([*map(print_name, order.path), "order"]), ",".join(map(print_order, order.terms))
    for page in shape.pages:
        for word, slot in (("limit", page.limit), ("offset", page.offset)):
            if slot is not None:
                yield ".".join([*map(print_name, page.path), word]), values[slot]


def print_select(items: Sequence[Item]) -> str:
    """Write the value of `select`.

    >>> print_select((StarItem(), EmbedItem("directors", (ColumnItem(Field("name"), "who"),), hint="fk", join="inner")))
    '*,directors!fk!inner(who:name)'
    """
    return ",".join(map(_item, items))


def _item(item: Item) -> str:
    match item:
        case StarItem():
            return "*"
        case ColumnItem():
            return _column(item)
        case EmbedItem():
            hints = ("" if item.hint is None else "!" + print_name(item.hint)) + (
                "!inner" if item.join == "inner" else ""
            )
            name = "..." if item.is_spread else _alias(item.alias)
            return f"{name}{print_name(item.name)}{hints}({print_select(item.items)})"


def _column(item: ColumnItem) -> str:
    cast = "" if item.cast is None else "::" + item.cast
    after = "" if item.aggregate_cast is None else "::" + item.aggregate_cast
    if item.field == Field("*") and item.cast is None and item.aggregate == "count":
        return f"{_alias(item.alias)}count(){after}"
    aggregate = "" if item.aggregate is None else f".{item.aggregate}()"
    return f"{_alias(item.alias)}{print_field(item.field)}{cast}{aggregate}{after}"


def _alias(alias: str | None) -> str:
    return "" if alias is None else print_name(alias) + ":"


def print_field(field: Field) -> str:
    """Write a column and its path.

    >>> from portero.data.nodes import JsonStep
    >>> print_field(Field("info", (JsonStep("a b", False), JsonStep(-1, True))))
    'info->"a b"->>-1'
    """
    steps = [
        ("->>" if step.as_text else "->") + (str(step.key) if isinstance(step.key, int) else print_name(step.key))
        for step in field.steps
    ]
    return print_name(field.name) + "".join(steps)


def print_name(name: str) -> str:
    r"""Write a name, quoted unless it is plain.

    >>> print_name("films"), print_name("Full Title"), print_name('a "b"'), print_name("order")
    ('films', '"Full Title"', '"a \\"b\\""', '"order"')
    """
    return name if _PLAIN.fullmatch(name) and name not in _RESERVED else _quoted(name)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def print_order(term: OrderTerm) -> str:
    """Write one term of an order.

    >>> print_order(OrderTerm(Field("name"), "directors", True, False))
    'directors(name).desc.nullslast'
    """
    field = print_field(term.field)
    target = field if term.relation is None else f"{print_name(term.relation)}({field})"
    nulls = {None: "", True: ".nullsfirst", False: ".nullslast"}[term.nulls_first]
    return target + (".desc" if term.is_descending else "") + nulls


def _filter(path: Path, expression: Expression, values: Sequence[str]) -> tuple[str, str]:
    names = [print_name(name) for name in path]
    if isinstance(expression, Condition):
        return ".".join([*names, print_field(expression.field)]), _operation(expression, _value(expression, values))
    negation = ["not"] if expression.is_negated else []
    return ".".join([*names, *negation, expression.joiner]), _operands(expression.operands, values)


def _operands(operands: Sequence[Expression], values: Sequence[str]) -> str:
    return "(" + ",".join(_operand(one, values) for one in operands) + ")"


def _operand(one: Expression, values: Sequence[str]) -> str:
    if not isinstance(one, Condition):
        return ("not." if one.is_negated else "") + one.joiner + _operands(one.operands, values)
    value = _value(one, values)
    # Inside a tree a comma or a bracket would end a bare value; a list ends itself.
    shown = value if one.operator in ("in", "is") else _quoted(value)
    return f"{print_field(one.field)}.{_operation(one, shown)}"


def _operation(condition: Condition, value: str) -> str:
    modifier = "" if condition.modifier is None else f"({condition.modifier})"
    return f"{'not.' if condition.is_negated else ''}{condition.operator}{modifier}.{value}"


def _value(condition: Condition, values: Sequence[str]) -> str:
    return str(condition.word) if condition.slot is None else values[condition.slot]
