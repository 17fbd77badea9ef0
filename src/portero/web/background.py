"""A thread beside the requests, in each process that serves: it works when it is woken, and from time to time.

A process that was forked has no thread until it is started or woken there. Whatever goes wrong is logged, and the
thread goes on.
It never keeps a process alive.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from portero.store import forking

_PATIENCE: Final = 5.0


class Background:
    """One piece of work, done again and again in one thread of each process.

    Args:
        name: of the thread, and of the log's lines.
        work: what to do.
        pause: gives the seconds until it is done again unasked.
        begins_with_pause: whether the first time comes after a pause.
    """

    def __init__(
        self, name: str, work: Callable[[], object], pause: Callable[[], float], *, begins_with_pause: bool = False
    ) -> None:
        self._name = name
        self._work = work
        self._pause = pause
        self._begins_with_pause = begins_with_pause
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        forking.watch(self)

    def start(self) -> None:
        """Start the thread, if this process has none."""
        with self._lock:
            if self._stopped.is_set() or self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Let the thread work at once; start it if this process has none."""
        self.start()
        self._wake.set()

    def stop(self) -> None:
        """End the thread, after what it is doing."""
        with self._lock:
            self._stopped.set()
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(_PATIENCE)

    def before_fork(self) -> None:
        """Go on: the thread stays with the parent."""

    def after_fork(self) -> None:
        """Forget the thread, which did not come along, and locks that another one may have held at that moment."""
        was_stopped = self._stopped.is_set()
        self._lock, self._wake, self._stopped = threading.Lock(), threading.Event(), threading.Event()
        self._thread = None
        if was_stopped:
            self._stopped.set()

    def _run(self) -> None:
        if self._begins_with_pause:
            self._wake.wait(self._pause())
        while not self._stopped.is_set():
            self._wake.clear()
            try:
                self._work()
            except Exception:
                # The edge of this thread: if it ended, nothing would be done until the next start.
                logging.getLogger(self._name.replace("-", ".")).exception("the background work failed")
            self._wake.wait(self._pause())
