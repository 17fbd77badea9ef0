"""From what was written to the answer: status, headers, body (contract data.md §4.6, §4.7). It asks no database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from portero.data.answer import VARY, Headers, body_of
from portero.data.execute import ResultSet
from portero.data.nodes import DataAnswer, DataRequest
from portero.records import new_tuple


class Written(NamedTuple):
    """What a write did.

    Attributes:
        affected: rows inserted, updated or deleted.
        inserted: those of them that are new.
        rows: the rows as the caller may see them, if they were asked for.
        key: the readable primary key of the only new row, as texts, for `Location`.
    """

    affected: int
    inserted: int = 0
    rows: ResultSet | None = None
    key: Mapping[str, str] | None = None


def write_answer(request: DataRequest, written: Written, applied: str) -> DataAnswer:
    """Answer a write; `applied` is `Preference-Applied`, or ""."""
    rows, key, media = written.rows, written.key, request.shape.media
    headers: Headers = [VARY] if rows is None else [("Content-Type", media.name), VARY]
    if request.method != "PUT":
        headers.append(("Content-Range", _content_range(request, written.affected if rows is None else rows.size)))
    if applied:
        headers.append(("Preference-Applied", applied))
    if key and request.method == "POST":
        query = "&".join(f"{quote(name)}=eq.{quote(value, safe='')}" for name, value in key.items())
        headers.append(("Location", f"/{quote(request.model)}?{query}"))
    status = _status(request, written.inserted, is_shown=rows is not None)
    return new_tuple(DataAnswer, (status, headers, b"" if rows is None else body_of(rows, media)))


def _status(request: DataRequest, inserted: int, *, is_shown: bool) -> int:
    if request.method == "POST":
        merges = request.preferences.resolution == "merge-duplicates"
        return 200 if merges and inserted == 0 else 201
    if not is_shown:
        return 204
    return 201 if request.method == "PUT" and inserted else 200


def _content_range(request: DataRequest, affected: int) -> str:
    total = "*" if request.preferences.count is None else str(affected)
    return f"0-{affected - 1}/{total}" if request.method == "PATCH" and affected else f"*/{total}"
