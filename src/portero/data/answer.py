"""From what the database said to the answer: status, headers, body (contract data.md §4.5, §4.8, §4.10).

It never asks the database anything and knows no models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from portero.data.conversions import read_exactly, written_exactly
from portero.data.execute import NO_FORMS, ResultSet
from portero.data.json_texts import Number, literal, spaced
from portero.data.nodes import DataAnswer, Media, Preferences
from portero.data.request import bad_range
from portero.errors import DataError
from portero.records import new_tuple

Headers = list[tuple[str, str]]
JSON_TYPE: Final = "application/json; charset=utf-8"
VARY: Final = ("Vary", "Accept, Prefer, Range")
_DECODER: Final = json.JSONDecoder(parse_float=Number, parse_int=Number)
Cells = dict[type, Callable[[Any], str]]
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
#: What PostgreSQL quotes in the text of a row.
_QUOTED: Final = re.compile(r'[\s",()\\]')


def read_answer(result: ResultSet, media: Media, static: Sequence[tuple[str, str]]) -> DataAnswer:
    """Answer a read.

    Args:
        result: what the statement gave.
        media: what the body looks like.
        static: the headers that depend on the request alone.

    Raises:
        DataError: PGRST103 (416) an offset past the end; PGRST116 (406) not exactly one row.
    """
    count, offset, total = result.size, result.offset, result.total
    status = 200
    if total is None:
        content_range = f"{offset}-{offset + count - 1}/*" if count else "*/*"
    else:
        if offset > total and result.is_exact:
            details = f"An offset of {offset} was requested, but there are only {total} rows."
            raise bad_range(details, total=total)
        content_range = f"{offset}-{offset + count - 1}/{total}" if count else f"*/{total}"
        status = 206 if count < total else 200
    body = result.body if media.kind == "array" and not media.nulls_stripped else body_of(result, media)
    return new_tuple(
        DataAnswer, (status, [("Content-Type", media.name), ("Content-Range", content_range), *static], body)
    )


def body_of(result: ResultSet, media: Media) -> bytes:
    """Write the rows as the media type wants them.

    Raises:
        DataError: PGRST116 (406) not exactly one row for a single object.
    """
    body = result.body
    if media.kind == "object":
        if result.size != 1:
            raise not_single(result.size)
        body = body.strip()[1:-1].strip()
    if media.kind == "csv":
        return write_csv(body, result.keys, result.forms)
    return written_exactly(_without_nulls(read_exactly(body))) if media.nulls_stripped else body


def not_single(count: int) -> DataError:
    """Make the PGRST116 refusal."""
    message = "Cannot coerce the result to a single JSON object"
    return DataError(406, "PGRST116", message, details=f"The result contains {count} rows")


def check_affected(count: int, preferences: Preferences) -> None:
    """Refuse more rows than `max-affected` allows; without strict handling it allows any number.

    Raises:
        DataError: PGRST124 (400).
    """
    most = preferences.max_affected if preferences.handling == "strict" else None
    if most is not None and count > most:
        message = "Query result exceeds max-affected preference constraint"
        raise DataError(400, "PGRST124", message, details=f"The query affects {count} rows")


def write_csv(body: bytes, keys: Sequence[str], forms: Mapping[str, str] = NO_FORMS) -> bytes:
    """Write a JSON array of objects as CSV: values as PostgreSQL's text, LF, no last newline (RFC 4180).

    A text that a spreadsheet would compute gets an apostrophe. NULL is nothing, an empty text is `""`.

    >>> write_csv(b'[{"k":"x,y","n":1.50},{"k":null,"n":2}]', ("k", "n")).decode()
    'k,n\\n"x,y",1.50\\n,2'
    >>> print(write_csv(b'[{"k":"=1+1","at":"2026-01-01T10:00:00+00:00"}]', ("k", "at"), {"at": "moment"}).decode())
    k,at
    '=1+1,"2026-01-01 10:00:00+00"

    Args:
        body: the rows.
        keys: the columns, in order.
        forms: `array` and `moment`, of the columns whose JSON does not show their type.
    """
    lines = [",".join(_text(key) if key else "" for key in keys)]
    columns = [(key, _CELLS_OF.get(forms.get(key, ""), _CELLS)) for key in keys]
    lines += [
        ",".join([cells[type(value := row.get(key))](value) for key, cells in columns])
        for row in _objects(body.decode())
    ]
    return "\n".join(lines).encode()


def _objects(array: str) -> Iterator[dict[str, Any]]:
    """Read the objects of an array one after the other: all at once, they take three times the memory of the text."""
    scan, at = _DECODER.scan_once, array.find("{")  # type: ignore[attr-defined]
    while at >= 0:
        row, end = scan(array, at)
        yield row
        at = array.find("{", end)


def _text(text: str) -> str:
    return _quoted("'" + text if text.startswith(_FORMULA_STARTS) else text)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if not text or _QUOTED.search(text) else text


def _moment(text: str) -> str:
    """Write an instant; PostgreSQL's text of an offset has no minutes where there are none."""
    has_minutes = text[-6:-5] not in {"+", "-"} or not text.endswith(":00")
    return _quoted((text if has_minutes else text[:-3]).replace("T", " ", 1))


#: How a cell shows a value of each type that JSON has here; and where the column's form says more.
_CELLS: Final[Cells] = {
    type(None): lambda _: "",
    bool: lambda value: "t" if value else "f",
    Number: str,
    str: _text,
    list: lambda value: _quoted(spaced(value)),
    dict: lambda value: _quoted(spaced(value)),
}
_CELLS_OF: Final[Mapping[str, Cells]] = {
    "array": _CELLS | dict.fromkeys((list, dict), lambda value: _quoted(literal(value))),
    "moment": _CELLS | {str: _moment},
}


def _without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_nulls(member) for name, member in value.items() if member is not None}
        case list():
            return [_without_nulls(member) for member in value]
    return value


def error_answer(error: DataError, errors: str = "full") -> DataAnswer:
    """Answer a refusal: always the four keys (with `minimal` errors two), and `Proxy-Status`.

    >>> error_answer(DataError(404, "PGRST125", "Invalid path specified in request URL")).body
    b'{"code":"PGRST125","message":"Invalid path specified in request URL","details":null,"hint":null}'
    """
    members = {"code": error.code, "message": error.message, "details": error.details, "hint": error.hint}
    if errors == "minimal":
        del members["details"], members["hint"]
    headers = [("Content-Type", JSON_TYPE), ("Proxy-Status", f"PostgREST; error={error.code}"), *error.headers]
    return DataAnswer(error.status, headers, orjson.dumps(members, default=list))
