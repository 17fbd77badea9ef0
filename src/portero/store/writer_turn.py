"""Whose turn it is to write to one SQLite file, among processes: `flock` on the file `<database>.writer`.

SQLite's own busy wait sleeps and starves (tails of a second were measured); the kernel wakes the next waiter at once,
and takes the turn back from a process that dies. A wait is bounded although `flock` is not: a thread waits in it, and
gives back at once what it gets too late.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from portero.errors import DatabaseUnavailable

if sys.platform != "win32":
    import fcntl


class WriterTurn:
    """The turn of this process; its threads take it one after the other (the caller holds a mutex)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._waiter: _Waiter | None = None

    def take(self, seconds: float) -> None:
        """Take the turn, waiting at most so long.

        Raises:
            DatabaseUnavailable: another process kept it.
        """
        if sys.platform == "win32":
            return  # BEGIN IMMEDIATE and its busy timeout are what is left
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait(self._descriptor, seconds)

    def give_back(self) -> None:
        """Let the next process write."""
        if sys.platform != "win32" and self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Forget the file; the turn must not be held."""
        descriptor, self._descriptor = self._descriptor, None
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.leave()
        elif descriptor is not None:
            os.close(descriptor)

    def after_fork(self) -> None:
        """Let go of the inherited descriptor: it would share the parent's turn."""
        descriptor, self._descriptor = self._descriptor, None
        self._waiter = None
        if descriptor is not None:
            os.close(descriptor)

    def _wait(self, descriptor: int, seconds: float) -> None:
        if self._waiter is None:
            self._waiter = _Waiter(descriptor)
            self._waiter.start()
        try:
            if not self._waiter.wait(seconds):
                raise DatabaseUnavailable("another process kept writing for too long")
        except BaseException:
            # The descriptor stays with the thread that still waits: on one descriptor, what it unlocks when its
            # turn comes too late would be the turn of somebody else.
            self._waiter.leave()
            self._waiter = None
            self._descriptor = None
            raise


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


class _Waiter(threading.Thread):
    """Waits in `flock`, one wait at a time, as long as nobody leaves it."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(name="portero-writer-turn", daemon=True)
        self._descriptor = descriptor
        # Plain locks, not semaphores, which are Python: meanwhile the turn is held, and nothing is written.
        self._asked = _locked()
        self._granted = _locked()
        self._guard = threading.Lock()
        self._left = False

    def wait(self, seconds: float) -> bool:
        self._asked.release()
        return self._granted.acquire(timeout=max(seconds, 0))

    def leave(self) -> None:
        """Let it end wherever it stands, and give back what it has or gets."""
        with self._guard:
            self._left = True
            if self._asked.locked():
                self._asked.release()

    def run(self) -> None:
        while True:
            self._asked.acquire()
            if sys.platform != "win32" and not self._left:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            with self._guard:
                if self._left:
                    os.close(self._descriptor)  # closing gives the turn back
                    return
                self._granted.release()
