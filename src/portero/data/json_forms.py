"""Python values in the form that the database's own JSON gives them. Pure."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from portero.data.intervals import interval_text


def json_form(value: Any) -> Any:
    """Give a Python value the form it has in JSON from the database.

    >>> json_form(datetime(2026, 1, 2, 3, 4, 5, 500000)), json_form(b"a"), json_form([UUID(int=1)])
    ('2026-01-02T03:04:05.5', '\\\\x61', ['00000000-0000-0000-0000-000000000001'])

    Raises:
        TypeError: it has none; the type says its wire form itself then (`portero_wire_type`).
    """
    match value:
        case None | bool() | int() | float() | str() | Decimal():
            return value.value if isinstance(value, Enum) else value
        case datetime() | time():
            return _moment(value)
        case date() | UUID():
            return str(value)
        case timedelta():
            return interval_text(value)
        case bytes():
            return "\\x" + value.hex()
        case Enum():
            return value.name
        case dict():
            return {str(name): json_form(member) for name, member in value.items()}
        case list() | tuple():
            return [json_form(member) for member in value]
    raise TypeError(f"{type(value).__name__} has no JSON form: give its type a portero_wire_type")


def _moment(value: datetime | time) -> str:
    text = value.isoformat()
    clock, mark, offset = text.partition("+")
    return (clock.rstrip("0") if "." in clock else clock) + mark + offset
