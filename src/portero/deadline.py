"""Until when the request that this thread works on is to be answered (contract auth.md §1.0: 504 `request_timeout`).

A thread of Python cannot be stopped from outside. So whatever waits, or begins something new, asks here before it does:
transactions, waits for a turn or a hash, questions to foreign servers, and what follows a hook. Nothing that has begun
is cut off half way, and what must be done all the same (ending a session that nobody shall have) is done with the
deadline lifted. Outside a request of `/auth/v1` there is none, and nothing is ever refused here.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import Final

from portero.errors import DeadlinePassed

_ENDS_AT: Final[ContextVar[float | None]] = ContextVar("portero.deadline", default=None)


def begin(seconds: float) -> Token[float | None]:
    """Set the deadline of this thread's request; 0 sets none. What is returned is for `end`."""
    return _ENDS_AT.set(time.monotonic() + seconds if seconds else None)


def end(begun: Token[float | None]) -> None:
    """Forget the deadline that `begin` set."""
    _ENDS_AT.reset(begun)


class lifted(AbstractContextManager[None]):  # noqa: N801 - said like a function
    """Do what must be done however late it is; every commit is, and a generator's context would cost it thrice."""

    __slots__ = ("_begun",)

    def __enter__(self) -> None:
        self._begun = _ENDS_AT.set(None)

    def __exit__(self, *_: object) -> None:
        _ENDS_AT.reset(self._begun)


def left() -> float | None:
    """Return the seconds that are left, at least 0; None where there is no deadline."""
    ends_at = _ENDS_AT.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())


def check() -> None:
    """Refuse to go on with a request whose time is over.

    Raises:
        DeadlinePassed: it is.
    """
    ends_at = _ENDS_AT.get()
    if ends_at is not None and time.monotonic() >= ends_at:
        raise DeadlinePassed


def bounded(seconds: float) -> float:
    """Return how long something may take that takes at most `seconds`: no longer than the request has.

    Raises:
        DeadlinePassed: there is nothing left.
    """
    remaining = left()
    if remaining is None:
        return seconds
    check()
    return min(seconds, remaining)
