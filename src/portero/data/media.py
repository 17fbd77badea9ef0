"""The `Accept` header of the data API (contract data.md §4.8): the first acceptable type wins, q-values do not rank."""

from __future__ import annotations

from typing import Final

from portero.data.nodes import Media
from portero.errors import DataError

JSON: Final = Media()
CSV: Final = Media("csv", name="text/csv; charset=utf-8")
_OBJECT = Media("object", name="application/vnd.pgrst.object+json; charset=utf-8")
_OBJECT_STRIPPED = Media("object", True, "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8")
_ARRAY_STRIPPED = Media("array", True, "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8")
_OBJECT_NAMES = ("application/vnd.pgrst.object+json", "application/vnd.pgrst.object")
_ARRAY_NAMES = ("application/vnd.pgrst.array+json", "application/vnd.pgrst.array")


def choose_media(accept: str) -> Media:
    """Choose what the body looks like.

    >>> choose_media("text/unknown, */*").kind
    'array'
    >>> choose_media("application/vnd.pgrst.object+json; nulls=stripped").nulls_stripped
    True
    >>> choose_media("text/unknowntype")
    Traceback (most recent call last):
    ...
    portero.errors.DataError: PGRST107: None of these media types are available: text/unknowntype

    Raises:
        DataError: PGRST107 (406).
    """
    if not accept.strip():
        return JSON
    for part in accept.split(","):
        name, _, parameters = part.strip().lower().partition(";")
        found = _media(name.strip(), "nulls=stripped" in parameters.replace(" ", "").split(";"))
        if found is not None:
            return found
    raise DataError(406, "PGRST107", f"None of these media types are available: {accept[:200]}")


def _media(name: str, is_stripped: bool) -> Media | None:
    if name in ("*/*", "application/*", "application/json"):
        return JSON
    if name in _OBJECT_NAMES:
        return _OBJECT_STRIPPED if is_stripped else _OBJECT
    if name in _ARRAY_NAMES:
        return _ARRAY_STRIPPED if is_stripped else JSON
    return CSV if name in ("text/csv", "text/*") else None
