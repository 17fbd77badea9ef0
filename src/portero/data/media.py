"""The `Accept` header of the data API (contract data.md §4.8): of the acceptable types the most wanted wins.

Wanted most is what has the greatest q, then what names no wildcard, then what stands first (RFC 9110 §12.5.1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from portero.data.nodes import Media
from portero.errors import DataError

JSON: Final = Media()
CSV: Final = Media("csv", name="text/csv; charset=utf-8")
_OBJECT = Media("object", name="application/vnd.pgrst.object+json; charset=utf-8")
_OBJECT_STRIPPED = Media("object", True, "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8")
_ARRAY_STRIPPED = Media("array", True, "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8")
_OBJECT_NAMES = ("application/vnd.pgrst.object+json", "application/vnd.pgrst.object")
_QUALITY: Final = re.compile(r"[01](?:\.[0-9]{0,3})?")
_ARRAY_NAMES = ("application/vnd.pgrst.array+json", "application/vnd.pgrst.array")


def choose_media(accept: str) -> Media:
    """Choose what the body looks like.

    >>> choose_media("text/unknown, */*").kind, choose_media("text/csv;q=0.5, application/json").kind
    ('array', 'array')
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
    wanted = [media_range(part) for part in accept.lower().split(",")]
    for name, parameters in ranked(wanted):
        found = _media(name, "nulls=stripped" in parameters)
        if found is not None:
            return found
    raise unavailable(accept)


def unavailable(accept: str) -> DataError:
    """Make the PGRST107 refusal."""
    asked = ", ".join(part.strip() for part in accept[:200].split(","))
    return DataError(406, "PGRST107", f"None of these media types are available: {asked}")


Range = tuple[str, tuple[str, ...]]


def media_range(part: str) -> Range:
    """Take a media range apart: its name, and its parameters without blanks."""
    name, *parameters = part.replace(" ", "").split(";")
    return name, tuple(parameters)


def ranked(wanted: Sequence[Range]) -> list[Range]:
    """Order media ranges by how much they are wanted; what has q=0 is not wanted at all.

    >>> ranked([("*/*", ("q=0.1",)), ("text/csv", ()), ("text/plain", ("q=0",))])
    [('text/csv', ()), ('*/*', ('q=0.1',))]
    """
    if len(wanted) == 1:
        return list(wanted)
    weighed = [(_quality(parameters), -name.count("*"), (name, parameters)) for name, parameters in wanted]
    weighed.sort(key=lambda each: each[:2], reverse=True)
    return [one for quality, _, one in weighed if quality > 0]


def _quality(parameters: Sequence[str]) -> float:
    text = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    return float(text) if _QUALITY.fullmatch(text) else 1.0


def _media(name: str, is_stripped: bool) -> Media | None:
    if name in ("*/*", "application/*", "application/json"):
        return JSON
    if name in _OBJECT_NAMES:
        return _OBJECT_STRIPPED if is_stripped else _OBJECT
    if name in _ARRAY_NAMES:
        return _ARRAY_STRIPPED if is_stripped else JSON
    return CSV if name in ("text/csv", "text/*") else None
