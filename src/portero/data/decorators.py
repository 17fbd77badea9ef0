"""What a TypeDecorator that converts values in Python says of itself: its Python type, its two conversions.

It calls nothing of a developer's but `process_bind_param` and `process_result_value`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from portero.data.json_forms import json_form
from portero.errors import DataError

IN_PYTHON: Final = frozenset({"process_bind_param", "process_result_value"})
IN_SQL_OR_DRIVER: Final = frozenset({"bind_expression", "column_expression", "bind_processor", "result_processor"})
_SPOKEN: Final[dict[type, TypeEngine[Any]]] = {
    str: sa.Text(),
    int: sa.BigInteger(),
    float: sa.Double(),
    Decimal: sa.Numeric(),
    bool: sa.Boolean(),
    datetime: sa.DateTime(timezone=True),
    date: sa.Date(),
    time: sa.Time(),
    UUID: sa.Uuid(),
    bytes: sa.LargeBinary(),
    dict: sa.JSON(),
    list: sa.JSON(),
}
_REFUSALS: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)


def overrides(type_: sa.TypeDecorator[Any], names: frozenset[str]) -> bool:
    """Say whether a decorator has any of these methods of its own."""
    return any(getattr(type(type_), name) is not getattr(sa.TypeDecorator, name) for name in names)


def spoken_type(type_: sa.TypeDecorator[Any]) -> TypeEngine[Any]:
    """Give the type of a decorator's values in Python: its own `python_type`, else its implementation's, else text."""
    for one in (type_, type_.impl_instance):
        try:
            found = _SPOKEN.get(one.python_type)
        except NotImplementedError:
            continue
        if found is not None:
            return found
    return sa.Text()


def check_of(type_: sa.TypeDecorator[Any], name: str, dialect: str) -> Callable[[Any], Any]:
    """Make the function that gives a value back if the decorator can store it, else raises DataError (22P02)."""
    engine = _engine(dialect)
    converts = overrides(type_, frozenset({"process_bind_param"}))

    def check(value: Any) -> Any:
        try:
            if converts:
                type_.process_bind_param(value, engine)
        except _REFUSALS:
            raise DataError(400, "22P02", f"invalid input syntax for type {name}") from None
        return value

    return check


def result_of(type_: sa.TypeDecorator[Any], read: Callable[[Any], Any], dialect: str) -> Callable[[Any], Any] | None:
    """Make the function from the stored value's JSON to the answer's; None where the decorator only converts inwards.

    Args:
        type_: the decorator.
        read: the JSON of its implementation's type → that type's Python value.
        dialect: `sqlite` or `postgresql`.
    """
    if not overrides(type_, frozenset({"process_result_value"})):
        return None
    engine = _engine(dialect)

    def result(value: Any) -> Any:
        return json_form(type_.process_result_value(None if value is None else read(value), engine))

    return result


def _engine(dialect: str) -> sa.Dialect:
    return sa.make_url("sqlite://" if dialect == "sqlite" else "postgresql+psycopg://").get_dialect()()
