"""How many new kinds of request one caller may have planned: anybody can make shapes, and each costs a millisecond.

A known kind takes microseconds, a new one a hundred times as long. So each caller (a user, or the address of who is
nobody) has a budget of new kinds that fills again with time; an application's pages use a few dozen of them, once. It
is kept by each process for itself, and holds neither requests nor answers. Obeys design hot-path.md §2.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable

from portero.errors import DataError

#: Callers remembered; when there are more, the quarter that came first is forgotten.
_MOST_CALLERS = 10_000
#: Kinds remembered; when there are more, all are forgotten.
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
            if caller not in self._left and len(self._left) >= _MOST_CALLERS:
                for one in list(self._left)[: _MOST_CALLERS // 4]:
                    del self._left[one]
            self._left[caller] = (left - 1, now)


class KnownKinds:
    """Remembers which kinds were paid for, of those that no cache holds; bounded, and shared by threads."""

    def __init__(self) -> None:
        self._known: set[int] = set()

    def has_new(self, kind: tuple[Hashable, ...]) -> bool:
        """Say whether this kind has not been paid for yet, or was forgotten since."""
        return hash(kind) not in self._known

    def add(self, kind: tuple[Hashable, ...]) -> None:
        """Remember that it has."""
        if len(self._known) >= _MOST_KINDS:
            self._known.clear()
        self._known.add(hash(kind))


def _too_many() -> DataError:
    return DataError(
        429,
        "PORTERO429",
        "Too many new kinds of request",
        details="Requests that differ in more than their values are planned anew, and this caller sent too many.",
        hint="Wait a second, and send values as values: a list with in.(…) instead of many conditions.",
        headers=[("Retry-After", "1")],
    )
