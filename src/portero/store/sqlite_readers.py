"""The connections that plain reads share: few, because each keeps pages and programs of its own.

A read is short and asks for no connection in particular, so threads that mostly wait for the disk need none each.
The one given back last is taken first: what it keeps is what the processor's caches hold. Whoever finds none free waits
for one; where all of them are at long reads, one more is opened. It knows nothing of SQL, and never gives one
connection to two threads.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from portero.records import dataclass

#: Connections that are opened without a wait before.
_USUAL: Final = 4
#: Seconds: a read that takes more is a long one.
_MOMENT: Final = 0.05
#: Moments after which one more is opened, whatever the others do: on a lock nobody's turn is sure to come.
_MOST_MOMENTS: Final = 10


class Clock:
    """When the work of one connection began and how long it may take; SQLite asks it every so many steps."""

    __slots__ = ("limit", "started")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.started = time.monotonic()

    def is_over(self) -> bool:
        """Tell whether it took too long."""
        return time.monotonic() - self.started > self.limit


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """A read-only connection with its one kept cursor, and the clock that bounds what runs on it."""

    clock: Clock
    connection: Any
    cursor: Any


class Readers:
    """Readers that are free, and all there are; `connect` opens one.

    Attributes:
        free: those that nobody reads on, the last one first; taking one is one step under the interpreter's lock.
        waiting: how many threads wait for one.
    """

    def __init__(self, connect: Callable[[], Reader]) -> None:
        self.free: list[Reader] = []
        self.waiting = 0
        self._connect = connect
        self._opened: list[Reader] = []
        self._places = 0
        self._guard = threading.Lock()
        self._given_back = threading.Condition()

    def another(self) -> Reader:
        """Give a reader where none was free: one that is given back soon, or a new one.

        Raises:
            Exception: what `connect` raises.
        """
        if not self._take_place(_USUAL):
            found = self._awaited()
            if found is not None:
                return found
            self._take_place(sys.maxsize)
        try:
            reader = self._connect()
        except BaseException:
            with self._guard:
                self._places -= 1
            raise
        self._opened.append(reader)
        return reader

    def give_back(self, reader: Reader) -> None:
        """Let others read on it."""
        self.free.append(reader)
        if self.waiting:
            with self._given_back:
                self._given_back.notify()

    def _awaited(self) -> Reader | None:
        """Wait for one that is given back; None where all are at long reads."""
        with self._given_back:
            # Counted before the list is looked at: who gives one back looks here after it put it there.
            self.waiting += 1
            try:
                return self._given_back_soon()
            finally:
                self.waiting -= 1

    def _given_back_soon(self) -> Reader | None:
        for _ in range(_MOST_MOMENTS):
            found = self._given_back.wait_for(self._free, _MOMENT)
            if found is not None or _are_long(self._opened):
                return found
        return None

    def _free(self) -> Reader | None:
        try:
            return self.free.pop()
        except IndexError:
            return None

    def _take_place(self, most: int) -> bool:
        """Count one that is to be opened, if there are not so many: a process's first requests come all at once."""
        with self._guard:
            is_room = self._places < most
            self._places += is_room
            return is_room

    def is_any_taken(self) -> bool:
        """Tell whether somebody reads now."""
        return len(self.free) < len(self._opened)

    def close(self) -> None:
        """Close all, free or not."""
        for reader in self._opened:
            reader.connection.close()


def _are_long(readers: Iterable[Reader]) -> bool:
    now = time.monotonic()
    return all(now - reader.clock.started > _MOMENT for reader in readers)
