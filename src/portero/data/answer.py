"""From what the database said to the answer: status, headers, body (contract data.md §4.5, §4.8, §4.10).

It never asks the database anything and knows no models.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Final

import orjson

from portero.data.execute import ResultSet
from portero.data.nodes import DataAnswer, Media, Preferences
from portero.data.request import bad_range
from portero.errors import DataError

Headers = list[tuple[str, str]]
JSON_TYPE: Final = "application/json; charset=utf-8"
VARY: Final = ("Vary", "Accept, Prefer, Range")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


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
    return DataAnswer(status, [("Content-Type", media.name), ("Content-Range", content_range), *static], body)


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
        return write_csv(body, result.keys)
    return orjson.dumps(_without_nulls(orjson.loads(body))) if media.nulls_stripped else body


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


def write_csv(body: bytes, keys: Sequence[str]) -> bytes:
    """Write a JSON array of objects as CSV: LF, no last newline, and no cell that a spreadsheet would compute.

    >>> write_csv(b'[{"k":"x,y","n":1.50},{"k":null,"n":2}]', ("k", "n")).decode()
    'k,n\\n"x,y",1.50\\n,2'
    >>> write_csv(b'[{"k":"=1+1"}]', ("k",)).decode()
    "k\\n'=1+1"
    """
    rows = json.loads(body, parse_float=_Number, parse_int=_Number)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_cell(key) for key in keys])
    writer.writerows([_cell(row.get(key)) for key in keys] for row in rows)
    return out.getvalue().removesuffix("\n").encode()


class _Number(str):
    """A JSON number, letter for letter; a negative one is no formula."""

    __slots__ = ()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "t" if value else "f"
        case _Number():
            return str(value)
        case str():
            return "'" + value if value.startswith(_FORMULA_STARTS) else value
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """Give nested numbers their JSON form back."""
    match value:
        case _Number():
            return float(value) if any(mark in value for mark in ".eE") else int(value)
        case dict():
            return {name: _plain(member) for name, member in value.items()}
        case list():
            return [_plain(member) for member in value]
    return value


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
