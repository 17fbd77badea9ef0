"""How many new kinds of request one caller may have planned: anybody can make shapes, and each costs a millisecond.

A known kind takes microseconds, a new one a hundred times as long. So each caller (a user, or the address of who is
nobody) has a budget of new kinds that fills again with time; an application's pages use a few dozen of them, once. It
is kept by each process for itself, and holds neither requests nor answers. Obeys
docs/decisions/0012-new-shapes.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable

from portero.errors import DataError
from portero.figures import CacheFigures

Payer = Callable[[], str]
"""Gives the caller whose budget pays for a new kind: the user, or the network address of who is none."""

#: Callers remembered; when there are more, the quarter that came first is forgotten.
_MOST_CALLERS = 10_000
_MOST_KINDS = 4096
#: Seconds that a full budget has been saved up for.
_SAVED = 5


class ShapeBudget:
    """Counts what is planned anew, by caller; shared by threads.

    Args:
        rate: new kinds a second, sustained; five times as many at once. 0 is no limit.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}
        self._known = self._unknown = 0

    def spend(self, caller: str, now: float | None = None) -> None:
        """Let a caller have one more kind planned.

        >>> budget = ShapeBudget(rate=1)
        >>> for _ in range(5): budget.spend("192.0.2.7", 0.0)
        >>> budget.spend("192.0.2.7", 0.0)
        Traceback (most recent call last):
        ...
        portero.errors.DataError: PORTERO429: Too many new kinds of request
        >>> budget.spend("192.0.2.7", 1.0), budget.spend("192.0.2.8", 0.0)
        (None, None)

        Args:
            caller: who asks: the id of a user, or an address.
            now: monotonic seconds.

        Raises:
            DataError: PORTERO429 (429): the budget is used up.
        """
        if not self._rate:
            return
        now = time.monotonic() if now is None else now
        full = float(self._rate * _SAVED)
        with self._lock:
            left, since = self._left.get(caller, (full, now))
            left = min(full, left + (now - since) * self._rate)
            if left < 1:
                raise _too_many()
            self._make_room(caller)
            self._left[caller] = (left - 1, now)

    def figures(self) -> CacheFigures:
        """Give of how many callers the budget was known, and of how many not."""
        return CacheFigures(self._known, self._unknown, len(self._left), _MOST_CALLERS)

    def _make_room(self, caller: str) -> None:
        if caller in self._left:
            self._known += 1
            return
        self._unknown += 1
        if len(self._left) >= _MOST_CALLERS:
            for one in list(self._left)[: _MOST_CALLERS // 4]:
                del self._left[one]


class KnownKinds:
    """Remembers which kinds were paid for, of those that no cache holds; bounded, and shared by threads.

    Args:
        most: kinds remembered; when there are more, all are forgotten.
    """

    def __init__(self, most: int = _MOST_KINDS) -> None:
        self._most = most
        self._hashes: set[int] = set()
        self._known = self._new = 0

    def has_new(self, kind: Hashable) -> bool:
        """Say whether this kind has not been paid for yet, or was forgotten since."""
        if hash(kind) in self._hashes:
            self._known += 1
            return False
        self._new += 1
        return True

    def add(self, kind: Hashable) -> None:
        """Remember that it has, by its hash: the kind itself may be as long as a request."""
        if len(self._hashes) >= self._most:
            self._hashes.clear()
        self._hashes.add(hash(kind))

    def figures(self) -> CacheFigures:
        """Give how often a kind was known."""
        return CacheFigures(self._known, self._new, len(self._hashes), self._most)


def _too_many() -> DataError:
    return DataError(
        429,
        "PORTERO429",
        "Too many new kinds of request",
        details="Requests that differ in more than their values are planned anew, and this caller sent too many.",
        hint="Wait a second, and send values as values: a list with in.(…) instead of many conditions.",
        headers=[("Retry-After", "1")],
    )
