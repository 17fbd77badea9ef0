"""Time zones by the names of `Prefer: timezone=`, and instants shown in them. It reads no clock."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from portero.figures import kept

_LONGEST = 64
#: Where the offset of an instant begins; of old it has seconds.
_OFFSET = re.compile(r"(?=[+-][0-9:]+$)")
_HOURS = re.compile(r"[+-]?[0-9]{1,2}")


@kept("zones", 64)
def zone_of(name: str) -> tzinfo:
    """Find a zone by its name, or by its hours east of Greenwich as PostgreSQL takes them.

    >>> zone_of("-4").utcoffset(None)
    datetime.timedelta(days=-1, seconds=72000)

    Raises:
        ValueError: there is none of this name.
    """
    if _HOURS.fullmatch(name):
        hours = int(name)
        if abs(hours) > 15:
            raise ValueError(name[:_LONGEST])
        return timezone(timedelta(hours=hours))
    if len(name) > _LONGEST:
        raise ValueError(name[:_LONGEST])
    try:
        return ZoneInfo(name)
    except (KeyError, OSError):
        raise ValueError(name) from None


def in_zone(text: Any, name: Any) -> Any:
    """Show an instant, as JSON or as PostgreSQL's text has it, in a zone.

    >>> in_zone("2023-10-18T12:37:59.611+00:00", "America/Los_Angeles")
    '2023-10-18T05:37:59.611-07:00'
    >>> in_zone("2023-10-18 12:00:00+00", "Asia/Kolkata"), in_zone(None, "UTC")
    ('2023-10-18 17:30:00+05:30', None)

    Where the year would be 0 or 10000 there, the instant stays as it is: one such row must not spoil every page.

    >>> in_zone("9999-12-31T23:59:59+00:00", "Asia/Tokyo")
    '9999-12-31T23:59:59+00:00'
    >>> in_zone("1800-01-01T00:00:00.5+00:00", "America/New_York")
    '1799-12-31T19:03:58.5-04:56:02'

    Raises:
        ValueError: the text is no instant.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text).astimezone(zone_of(name))
    except OverflowError:
        return text
    shown = moment.isoformat(sep=text[10])
    clock, offset = _OFFSET.split(shown)[:2]
    if "." in clock:
        clock = clock.rstrip("0")
    is_json = text[10] == "T"
    return clock + (offset if is_json else offset.removesuffix(":00"))
