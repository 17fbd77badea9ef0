"""The `Prefer` header (RFC 7240; contract data.md §4.6): what was asked, and what was followed.

It never decides what a preference does.
"""

from __future__ import annotations

from typing import Final

from portero.data.nodes import Preferences
from portero.data.zones import zone_of
from portero.errors import DataError

_CHOICES: Final[dict[str, dict[str, str]]] = {
    "return": {"minimal": "returns", "headers-only": "returns", "representation": "returns"},
    "count": {"exact": "count", "planned": "count", "estimated": "count", "none": "count"},
    "resolution": {"merge-duplicates": "resolution", "ignore-duplicates": "resolution"},
    "missing": {"default": "missing", "null": "missing"},
    "handling": {"strict": "handling", "lenient": "handling"},
    "tx": {"commit": "transaction", "rollback": "transaction"},
}
_LONGEST_ZONE = 64


def parse_prefer(text: str) -> Preferences:
    """Read every `Prefer` header, joined by commas; the first use of a token wins.

    >>> parse_prefer("return=representation, count=exact,count=planned").count
    'exact'
    >>> parse_prefer("handling=lenient, anything").unknown
    ('anything',)
    >>> parse_prefer("handling=strict, anything, else")
    Traceback (most recent call last):
    ...
    portero.errors.DataError: PGRST122: Invalid preferences given with handling=strict

    Raises:
        DataError: PGRST122 (400) unknown preferences with handling=strict; 22023 (400) an unknown time zone.
    """
    if not text:
        return NO_PREFERENCES
    found: dict[str, str] = {}
    unknown = []
    for part in text.split(","):
        token = part.strip()
        name, _, value = token.partition("=")
        if not _note(found, name.strip(), value.strip()) and token:
            unknown.append(token)
    if unknown and found.get("handling") == "strict":
        details = f"Invalid preferences: {', '.join(unknown)}"
        raise DataError(400, "PGRST122", "Invalid preferences given with handling=strict", details=details)
    limit = found.pop("max_affected", None)
    if found.get("count") == "none":
        del found["count"]
    return Preferences(**found, max_affected=None if limit is None else int(limit), unknown=tuple(unknown))


def _note(found: dict[str, str], name: str, value: str) -> bool:
    """Keep one preference; False if nobody here knows it."""
    if name == "timezone":
        _check_zone(value)
        found.setdefault("timezone", value)
        return True
    if name == "max-affected":
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            return False
        found.setdefault("max_affected", value)
        return True
    key = _CHOICES.get(name, {}).get(value)
    if key is None:
        return False
    found.setdefault(key, value)
    return True


def _check_zone(name: str) -> None:
    try:
        zone_of(name)
    except ValueError:
        raise DataError(400, "22023", f'invalid value for parameter "TimeZone": "{name[:_LONGEST_ZONE]}"') from None


NO_PREFERENCES: Final = Preferences()


def applied(
    preferences: Preferences, *, method: str, upserts: bool = False, overrides_transaction: bool = False
) -> str:
    """Write `Preference-Applied`, or "" when nothing was followed.

    >>> applied(parse_prefer("count=exact, return=minimal, missing=default"), method="PATCH")
    'missing=default, return=minimal, count=exact'
    >>> applied(parse_prefer("return=minimal"), method="GET")
    ''

    Args:
        preferences: what was asked.
        method: the HTTP method.
        upserts: the insert could meet duplicates (it names a conflict target or the table has a key).
        overrides_transaction: the server lets requests choose their transaction's end.
    """
    is_write = method in ("POST", "PATCH", "DELETE", "PUT")
    asked = (
        ("resolution", preferences.resolution if method == "POST" and upserts else None),
        ("missing", preferences.missing if method in ("POST", "PATCH") else None),
        ("return", preferences.returns if is_write else None),
        ("count", preferences.count),
        ("tx", preferences.transaction if overrides_transaction else None),
        ("handling", preferences.handling),
        ("timezone", preferences.timezone),
        ("max-affected", preferences.max_affected if preferences.handling == "strict" and is_write else None),
    )
    return ", ".join(f"{name}={value}" for name, value in asked if value is not None)
