"""From what the database said to the answer: status, headers, body (contract data.md §4.5, §4.8, §4.10).

It never asks the database anything and knows no models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
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
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
#: What PostgreSQL quotes in the text of a row.
_QUOTED: Final = re.compile(r'[\s",()\\]')
#: PostgreSQL's text of an offset has no minutes where there are none.
_MINUTES: Final = re.compile(r"([+-][0-9]{2}):00$")


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
    rows = json.loads(body, parse_float=Number, parse_int=Number)
    lines = [",".join(_quoted(key) if key else "" for key in map(_safe, keys))]
    lines += [",".join([_cell(row.get(key), forms.get(key)) for key in keys]) for row in rows]
    return "\n".join(lines).encode()


def _cell(value: Any, form: str | None) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "t" if value else "f"
        case Number():
            return str(value)
        case str() if form == "moment":
            return _quoted(_MINUTES.sub(r"\1", value.replace("T", " ", 1)))
        case str():
            return _quoted(_safe(value))
    return _quoted(literal(value) if form == "array" else spaced(value))


def _safe(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if not text or _QUOTED.search(text) else text


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
