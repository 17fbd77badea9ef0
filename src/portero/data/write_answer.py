"""From what was written to the answer: status, headers, body (contract data.md §4.6, §4.7). It asks no database."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from portero.data.answer import VARY, Headers, body_of
from portero.data.catalogue import Model
from portero.data.nodes import DataAnswer, DataRequest
from portero.data.prefer import applied
from portero.data.wire_types import as_text
from portero.data.writes import Written


def write_answer(
    request: DataRequest, model: Model, written: Written, members: Sequence[str], *, overrides: bool = False
) -> DataAnswer:
    """Answer a write.

    Args:
        members: the keys of a row given back (the header line of CSV).
        overrides: the server lets requests choose their transaction's end.
    """
    upserts = bool(model.primary_key) or request.on_conflict is not None
    headers: Headers = [VARY]
    content_range = _content_range(request, written)
    if content_range:
        headers.append(("Content-Range", content_range))
    followed = applied(request.preferences, method=request.method, upserts=upserts, overrides_transaction=overrides)
    if followed:
        headers.append(("Preference-Applied", followed))
    if request.method == "POST" and request.preferences.returns == "headers-only" and written.key is not None:
        headers.append(("Location", _location(model, written.key)))
    status = _status(request, written)
    if written.rows is None:
        return DataAnswer(status, headers)
    media = request.shape.media
    return DataAnswer(status, [("Content-Type", media.name), *headers], body_of(written.rows, media, members))


def _status(request: DataRequest, written: Written) -> int:
    if request.method == "POST":
        merges = request.preferences.resolution == "merge-duplicates"
        return 200 if merges and written.inserted == 0 else 201
    if written.rows is None:
        return 204
    return 201 if request.method == "PUT" and written.inserted else 200


def _content_range(request: DataRequest, written: Written) -> str | None:
    total = "*" if request.preferences.count is None else str(written.affected)
    if request.method == "PUT":
        return None
    if request.method == "PATCH" and written.affected:
        return f"0-{written.affected - 1}/{total}"
    return f"*/{total}"


def _location(model: Model, key: Sequence[object]) -> str:
    """Name a new row by its key; a hidden key column is not told."""
    pairs = [
        f"{quote(name)}=eq.{quote(as_text(value) if isinstance(value, int | str) else str(value), safe='')}"
        for name, value in zip(model.primary_key, key, strict=True)
        if name in model.columns
    ]
    return f"/{quote(model.name)}?{'&'.join(pairs)}"
