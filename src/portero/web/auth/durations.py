"""Durations as the contract writes them: Go's, such as "24h", "1h30m" or "300ms" (auth.md §6 `ban_duration`)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from portero.errors import AuthError

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(ns|us|µs|μs|ms|s|m|h)")
_WHOLE: Final = re.compile(rf"\+?(?:{_PART.pattern}){{1,8}}")


def go_duration(text: str) -> timedelta:
    """Read a duration, which is longer than nothing.

    >>> go_duration("1h30m"), go_duration("300ms")
    (datetime.timedelta(seconds=5400), datetime.timedelta(microseconds=300000))

    Raises:
        AuthError: 400 validation_failed.
    """
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if _WHOLE.fullmatch(text) is None or not 1e-6 <= seconds < 1e11:
        raise AuthError(400, "validation_failed", f"invalid format for ban duration: {text[:64]!r}")
    return timedelta(seconds=seconds)
