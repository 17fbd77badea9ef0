"""The connections that plain reads share: few, because each keeps pages and programs of its own.

A read is short and asks for no connection in particular, so threads that mostly wait for the disk need none each.
The one given back last is taken first: what it keeps is what the processor's caches hold. Whoever finds none free waits
for one. Where all of them are at long reads, one more is opened; where they are short and somebody still found none for
half a second, a few more. It knows nothing of SQL, never gives one connection to two threads, and closes none that
somebody reads on.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from portero.records import dataclass

#: Connections that are opened without a wait before, and all that short reads get.
_USUAL, _CROWD = 4, 8
#: Seconds: a read that takes more is a long one.
_MOMENT: Final = 0.05
#: Moments after which a crowd gets one more: who comes later may take what was given back before who waits wakes up.
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
        is_watched: somebody waits for one, or all are to be closed: what is given back is looked at.
    """

    def __init__(self, connect: Callable[[], Reader]) -> None:
        self.free: list[Reader] = []
        self.is_watched = False
        self._connect = connect
        self._opened: list[Reader] = []
        self._places = 0
        self._waiting = 0
        self._is_closed = False
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
        if self.is_watched:
            self._note_given_back()

    def close(self) -> None:
        """Close all that are free, and the others when they are given back."""
        with self._given_back:
            self._is_closed = self.is_watched = True
        _close(self._all_free())

    def close_if_idle(self) -> bool:
        """Close all and begin anew, if nobody reads now; else change nothing. Give whether it was done."""
        with self._guard:  # nobody opens one meanwhile
            found = self._all_free()
            is_idle = len(found) == self._places
            if is_idle:
                _close(found)
                self._opened, self._places = [], 0
        if not is_idle:
            for reader in reversed(found):
                self.give_back(reader)
        return is_idle

    def _all_free(self) -> list[Reader]:
        found = []
        with suppress(IndexError):
            while True:
                found.append(self.free.pop())
        return found

    def _note_given_back(self) -> None:
        with self._given_back:
            if not self._is_closed:
                self._given_back.notify()
                return
        _close(self._all_free())

    def _awaited(self) -> Reader | None:
        """Wait for one that is given back; None where there is a place for one more, which is taken."""
        with self._given_back:
            # Said before the list is looked at: who gives one back looks here after it put it there.
            self._waiting, self.is_watched = self._waiting + 1, True
            try:
                return self._given_back_in_time()
            finally:
                self._waiting -= 1
                self.is_watched = self._is_closed or self._waiting > 0

    def _given_back_in_time(self) -> Reader | None:
        moments = 0
        while True:
            found = self._given_back.wait_for(self._free, _MOMENT)
            moments += 1
            if found is not None or self._take_place(self._most(moments)):
                return found

    def _most(self, moments: int) -> int:
        """How many there may be after a wait of so many moments."""
        if _are_long(self._opened):
            return sys.maxsize
        return _USUAL if moments < _MOST_MOMENTS else _CROWD

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


def _close(readers: Iterable[Reader]) -> None:
    for reader in readers:
        reader.connection.close()


def _are_long(readers: Iterable[Reader]) -> bool:
    now = time.monotonic()
    return all(now - reader.clock.started > _MOMENT for reader in readers)
