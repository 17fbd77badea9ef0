"""Intervals as PostgreSQL writes and reads them, for SQLite, where SQLAlchemy keeps them as instants. Pure."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from portero.errors import DataError

_UNITS: Final = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "min": 60, "second": 1, "sec": 1}
_AMOUNT: Final = re.compile(r"([+-]?[0-9]{1,9}(?:\.[0-9]{1,6})?) *(weeks?|days?|hours?|minutes?|mins?|seconds?|secs?)")
_CLOCK: Final = re.compile(r"([+-]?)([0-9]{1,7}):([0-9]{2})(?::([0-9]{2}(?:\.[0-9]{1,6})?))?")
_ISO: Final = re.compile(
    r"P(?=.)(?:([0-9]{1,7})W)?(?:([0-9]{1,7})D)?(?:T(?=.)(?:([0-9]{1,7})H)?(?:([0-9]{1,7})M)?(?:([0-9]{1,7}(?:\.[0-9]{1,6})?)S)?)?"
)


def interval_text(value: timedelta) -> str:
    """Write an interval.

    >>> interval_text(timedelta(days=1, hours=2)), interval_text(timedelta(0)), interval_text(timedelta(hours=-1))
    ('1 day 02:00:00', '00:00:00', '-1 days +23:00:00')
    """
    days, seconds, fraction = value.days, value.seconds, value.microseconds
    parts = [f"{days} day{'' if days == 1 else 's'}"] if days else []
    if seconds or fraction or not days:
        clock = f"{seconds // 3600:02}:{seconds % 3600 // 60:02}:{seconds % 60:02}"
        shown = f"{clock}.{fraction:06}".rstrip("0") if fraction else clock
        parts.append(f"+{shown}" if days < 0 else shown)
    return " ".join(parts)


def read_interval(text: str) -> timedelta:
    """Read an interval: days and a clock, amounts with units, or ISO 8601; months have no length and are refused.

    >>> read_interval("1 day 02:00:00") == read_interval("26 hours") == read_interval("P1DT2H")
    True

    Raises:
        DataError: 22007 (400) it is none; 22008 (400) too long.
    """
    try:
        return timedelta(seconds=_seconds(text.strip()))
    except OverflowError:
        raise DataError(400, "22008", f'interval out of range: "{text[:80]}"') from None


def _seconds(text: str) -> float:
    iso = _ISO.fullmatch(text)
    if iso is not None:
        sizes = (604_800, 86_400, 3_600, 60, 1)
        return sum(float(amount) * size for amount, size in zip(iso.groups(), sizes, strict=True) if amount)
    total, at = 0.0, 0
    while at < len(text):
        found = _AMOUNT.match(text, at) or _CLOCK.match(text, at)
        if found is None:
            raise DataError(400, "22007", f'invalid input syntax for type interval: "{text[:80]}"')
        total += _amount(found)
        at = found.end()
        while text[at : at + 1] == " ":
            at += 1
    if not text:
        raise DataError(400, "22007", 'invalid input syntax for type interval: ""')
    return total


def _amount(found: re.Match[str]) -> float:
    if found.re is _AMOUNT:
        return float(found[1]) * _UNITS[found[2].removesuffix("s")]
    seconds = int(found[2]) * 3_600 + int(found[3]) * 60 + float(found[4] or 0)
    return -seconds if found[1] == "-" else seconds
