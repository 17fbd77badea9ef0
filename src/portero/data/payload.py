"""The body of a write, read strictly into rows: objects of uniform keys, each value still as JSON has it.

JSON, and for clients of PostgREST also CSV and one urlencoded row. Columns and types are not known here.

Obeys contract data.md §4.7; RFC 8259 as `strict_json` reads it; RFC 4180.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from portero import strict_json
from portero.errors import DataError
from portero.records import new_tuple

_JSON = "application/json"


class Payload(NamedTuple):
    """Rows to write.

    Attributes:
        columns: the keys to take, in order of the first row (or of `columns=`).
        rows: the objects; a key of `columns` may be missing in a row only if `columns=` was given.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]


def read_payload(
    body: bytes, content_type: str, columns: Sequence[str] | None, most: int, deepest: int = 32
) -> Payload:
    """Read the body of POST, PATCH or PUT.

    Args:
        content_type: the header; without one the body is JSON.
        most: most rows that will be taken; of CSV one more is read and then no further.
        deepest: how deep JSON may be nested.
        columns: the names of `columns=`; None without it. An empty list (supabase-py with no rows) takes all.

    >>> read_payload(b'{"title": "Heat", "year": 1995}', "", None, 500).columns
    ('title', 'year')

    Raises:
        DataError: PGRST102 (400): not JSON, uneven keys, uneven lines, another content type.
    """
    media = content_type if content_type == _JSON else content_type.partition(";")[0].strip().lower()
    match media:
        case "" | "application/json":
            value = _json(body, deepest)
        case "text/csv":
            value = _csv(_text(body), most)
        case "application/x-www-form-urlencoded":
            value = _form(_text(body))
        case _:
            raise _bad(f"Content-Type not acceptable: {media[:100]}")
    if isinstance(value, dict):
        return new_tuple(Payload, (tuple(dict.fromkeys(columns)) if columns else tuple(value), (value,)))
    rows = value if isinstance(value, list) else []
    if not all(isinstance(row, dict) for row in rows):
        raise _bad("All object keys must match")
    if columns:
        return Payload(tuple(dict.fromkeys(columns)), tuple(rows))
    keys = tuple(rows[0]) if rows else ()
    if any(row.keys() != rows[0].keys() for row in rows):
        raise _bad("All object keys must match")
    return Payload(keys, tuple(rows))


def _json(body: bytes, deepest: int) -> Any:
    try:
        return strict_json.parse(body, max_depth=deepest, exact=True)
    except ValueError as error:
        raise _bad("Empty or invalid json", str(error)) from None


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("The body is not valid UTF-8") from None


def _form(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise _bad("The body is not valid UTF-8") from None


def _csv(text: str, most: int) -> list[dict[str, str | None]]:
    """A header line and rows; the word NULL is null. A small body can have very many lines: not all become rows."""
    try:
        lines = list(islice(filter(None, csv.reader(io.StringIO(text), strict=True)), most + 2))
    except csv.Error as error:
        raise _bad("Invalid CSV", str(error)) from None
    header, *rows = lines or [[]]
    if any(len(row) != len(header) for row in rows):
        raise _bad("All lines must have same number of fields")
    if len(set(header)) != len(header):
        raise _bad("A CSV column stands twice")
    return [{name: None if cell == "NULL" else cell for name, cell in zip(header, row, strict=True)} for row in rows]


def _bad(message: str, details: str | None = None) -> DataError:
    return DataError(400, "PGRST102", message, details=details)
