"""JSON and arrays as the texts that PostgreSQL gives them: for casts to text and CSV on SQLite.

They run inside SQL statements: no I/O, no state. A text that is no JSON passes as it is.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_PLAIN: Final = re.compile(r"[^\s{}\",\\\\]+")


class Number(str):
    """A JSON number, letter for letter."""

    __slots__ = ()


def json_text(document: Any) -> Any:
    """Write JSON as a jsonb's text: a blank after each comma and colon.

    >>> json_text('{"a":[1,1.50,"x"]}'), json_text('"x"'), json_text(None)
    ('{"a": [1, 1.50, "x"]}', '"x"', None)
    """
    found = _read(document)
    return document if found is None else spaced(found[0])


def spaced(value: Any) -> str:
    """Write a JSON value with blanks."""
    match value:
        case Number():
            return str(value)
        case dict():
            return "{" + ", ".join(f"{_quoted(name)}: {spaced(member)}" for name, member in value.items()) + "}"
        case list():
            return "[" + ", ".join(spaced(each) for each in value) + "]"
        case str():
            return _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def array_text(document: Any) -> Any:
    """Write an array, kept as JSON, as PostgreSQL's literal.

    >>> array_text('["a","b c",null,[1,true]]'), array_text("[]"), array_text(None)
    ('{a,"b c",NULL,{1,t}}', '{}', None)
    """
    found = _read(document)
    return document if found is None or not isinstance(found[0], list) else literal(found[0])


def literal(value: Any) -> str:
    """Write one element, or an array of them."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "t" if value else "f"
        case Number():
            return str(value)
        case list():
            return "{" + ",".join(literal(each) for each in value) + "}"
        case str():
            is_plain = _PLAIN.fullmatch(value) and value.upper() != "NULL"
            return value if is_plain else '"' + re.sub(r'(["\\\\])', r"\\\1", value) + '"'
        case dict():
            return literal(spaced(value))
    return str(value)


def _read(document: Any) -> tuple[Any] | None:
    """Read a document; None for what is none."""
    if not isinstance(document, str | bytes):
        return None
    try:
        return (json.loads(document, parse_float=Number, parse_int=Number),)
    except (ValueError, RecursionError):
        return None
