"""The arguments of a function: which types its annotations may name, and how values come in from the wire.

Values are read by the rules of the wire types, as a column's would be: `"7"` is an `int` too, and what does not fit is
22P02. Nothing here calls anything. Obeys contract data.md §4.9.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from portero.data import literals
from portero.data.wire_types import as_text, read_document, wire_type
from portero.errors import ConfigurationError, DataError
from portero.records import dataclass

_SCALARS: Final[Mapping[Any, sa.types.TypeEngine[Any]]] = {
    int: sa.BigInteger(),
    str: sa.Text(),
    bool: sa.Boolean(),
    float: sa.Float(),
    date: sa.Date(),
    datetime: sa.DateTime(timezone=True),
    time: sa.Time(),
    UUID: sa.Uuid(),
    bytes: sa.LargeBinary(),
}


@dataclass(frozen=True, slots=True, eq=False)
class ArgumentType:
    """How one annotation's values are read.

    Attributes:
        name: PostgreSQL's word for it.
        parse: text (of a query or a form) → value.
        parse_json: a JSON value, never None → value.
        schema: its JSON schema.
        parse_elements: of a list, the elements of a text (texts, None, lists of them) → value; None for any other type.
    """

    name: str
    parse: Callable[[str], Any]
    parse_json: Callable[[Any], Any]
    schema: Mapping[str, Any]
    allows_null: bool = False
    parse_elements: Callable[[list[Any]], Any] | None = None


def argument_type(annotation: Any) -> ArgumentType | None:
    """Give the type of an annotation, or None for one that has no form on the wire.

    >>> argument_type(int).parse("12"), argument_type(list[int]).parse("{1,2}"), argument_type(complex)
    (12, [1, 2], None)
    """
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType) and type(None) in parts and len(parts) == 2:
        found = argument_type(next(each for each in parts if each is not type(None)))
        return found and replace(found, allows_null=True)
    if annotation in _SCALARS:
        wire = wire_type(_SCALARS[annotation], "postgresql")
        return ArgumentType(wire.name, wire.parse, wire.parse_json, _SCHEMAS[annotation])
    if annotation is Decimal:
        return ArgumentType("numeric", literals.read_numeric, _decimal, _SCHEMAS[Decimal])
    if annotation is dict or origin is dict:
        return ArgumentType("jsonb", partial(_document, dict), partial(_of_kind, dict), {"type": "object"})
    if annotation is list:
        return ArgumentType("jsonb", partial(_document, list), partial(_of_kind, list), {"type": "array"})
    if origin is list:
        return _list(argument_type(parts[0]))
    return _ANY if annotation is Any else None


def _decimal(value: Any) -> Decimal:
    return literals.read_numeric(as_text(value))


def _list(element: ArgumentType | None) -> ArgumentType | None:
    if element is None:
        return None

    def read_element(value: Any) -> Any:
        if not isinstance(value, list):
            return None if value is None else element.parse(value)
        if element.parse_elements is None:
            raise DataError(400, "22P02", f"an array stands where a value of type {element.name} is wanted")
        return element.parse_elements(value)

    def read_elements(values: list[Any]) -> list[Any]:
        return [read_element(each) for each in values]

    def read(text: str) -> list[Any]:
        return read_elements(literals.read_array(text))

    def read_json(value: Any) -> list[Any]:
        if isinstance(value, str):
            return read(value)
        return [None if each is None else element.parse_json(each) for each in _of_kind(list, value)]

    schema = {"type": "array", "items": element.schema}
    return ArgumentType(f"{element.name}[]", read, read_json, schema, parse_elements=read_elements)


def _document(kind: type, text: str) -> Any:
    return _of_kind(kind, literals.read_json(text, type_name="jsonb"))


def _of_kind(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        word = "object" if kind is dict else "array"
        raise DataError(400, "22P02", f"expected JSON {word}")
    return read_document(value)


def _anything(text: str) -> Any:
    return literals.read_json(text, type_name="jsonb")


_ANY: Final = ArgumentType("jsonb", _anything, read_document, {})
_SCHEMAS: Final[Mapping[Any, Mapping[str, Any]]] = {
    int: {"type": "integer", "format": "int64"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    Decimal: {"type": "number"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    time: {"type": "string"},
    UUID: {"type": "string", "format": "uuid"},
    bytes: {"type": "string"},
}


def wanted_type(annotation: Any, where: str) -> ArgumentType:
    """Give the type of an annotation.

    Raises:
        ConfigurationError: it has no form on the wire; `where` names the argument.
    """
    found = argument_type(annotation)
    if found is None:
        raise ConfigurationError(
            f"{where} is annotated with {annotation!r}: an argument is an int, str, bool, float, Decimal, date, "
            "datetime, time, UUID, bytes, dict, list, a list of these, or one of them or None."
        )
    return found
