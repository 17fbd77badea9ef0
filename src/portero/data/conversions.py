"""Columns whose type converts values in Python: the answer's JSON passes through Python, column by column.

The statement is the same as any other; its body is read, the stored values at the known places become what the type
makes of them, and the body is written again, numbers digit for digit. Only such requests pay for it. Nothing here knows
types or databases.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from portero.data.read_plan import PlannedAggregate, PlannedColumn, PlannedEmbed, PlannedNode, members_of
from portero.data.wire_types import Kind

EACH: Final = None
"""In a place: every element of an array."""
Place = tuple[str | None, ...]
Process = Callable[[Any], Any]
_LONGEST_INTEGER: Final = 18


def conversions_of(node: PlannedNode, above: Place = (EACH,)) -> Iterator[tuple[Place, Process]]:
    """Give the places of a node's rows whose values are converted."""
    members = members_of(node)
    for key, item in members.items():
        if isinstance(item, PlannedColumn) and item.column.wire.result is not None:
            yield (*above, key), item.column.wire.result
    for embed in node.embeds:
        if embed.is_spread:
            found = _spread(embed, above)
            yield from (each for each in found if members[str(each[0][len(above)])] is embed)
        elif members.get(embed.key) is embed:
            yield from conversions_of(embed.node, (*above, embed.key, *_each(embed)))


def forms_of(node: PlannedNode) -> dict[str, str]:
    """Give the members of a node's rows whose JSON does not show their type, for CSV: arrays and timestamps."""
    found: dict[str, str] = {}
    for key, item in members_of(node).items():
        column = item.operand if isinstance(item, PlannedAggregate) and item.function in ("min", "max") else item
        if isinstance(item, PlannedEmbed):
            if item.is_spread and item.relation.to_one:
                found |= {each: form for each, form in forms_of(item.node).items() if each == key}
        elif isinstance(column, PlannedColumn) and not column.steps and column.cast is None:
            wire = column.column.wire
            if wire.kind is Kind.ARRAY:
                found[key] = "array"
            elif wire.name.startswith("timestamp"):
                found[key] = "moment"
    return found


def _spread(embed: PlannedEmbed, above: Place) -> Iterator[tuple[Place, Process]]:
    """Lift the places of a spread: each member of a to-many one is an array."""
    for (key, *rest), process in conversions_of(embed.node, ()):
        yield (*above, key, *_each(embed), *rest), process


def _each(embed: PlannedEmbed) -> Place:
    return () if embed.relation.to_one else (EACH,)


def converted(body: bytes, conversions: Sequence[tuple[Place, Process]]) -> bytes:
    """Convert the values of a body.

    >>> converted(b'[{"a":"x","n":1.50},{"a":null,"n":2}]', [((EACH, "a"), lambda value: value and value.upper())])
    b'[{"a":"X","n":1.50},{"a":null,"n":2}]'
    """
    document = read_exactly(body)
    for place, process in conversions:
        document = _at(document, place, process)
    return written_exactly(document)


def read_exactly(body: bytes) -> Any:
    """Read a document so that `written_exactly` writes its numbers digit for digit, also those that no double holds."""
    return json.loads(body, parse_float=Decimal, parse_int=_whole)


def written_exactly(document: Any) -> bytes:
    """Write a document that `read_exactly` gave.

    >>> written_exactly(read_exactly(b'[1.50, 12345678901234567890.0123456789, 1e400]'))
    b'[1.50,12345678901234567890.0123456789,1E+400]'
    """
    return orjson.dumps(document, default=_number)


def _whole(digits: str) -> int | Decimal:
    """Integers beyond 64 bits are written as they were read, too."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else Decimal(digits)


def _number(value: Any) -> orjson.Fragment:
    if not isinstance(value, Decimal):
        raise TypeError(f"a converted value is {type(value).__name__}, which has no JSON form")
    return orjson.Fragment(str(value))


def _at(value: Any, place: Sequence[str | None], process: Process) -> Any:
    if not place:
        return process(value)
    step, rest = place[0], place[1:]
    if isinstance(value, list) and step is EACH:
        return [_at(each, rest, process) for each in value]
    if isinstance(value, dict) and step in value:
        value[step] = _at(value[step], rest, process)
    return value
