"""A thread beside the requests, in each process that serves: it works when it is woken, and from time to time.

A process that was forked has no thread until it is woken there. Whatever goes wrong is logged, and the thread goes on.
It never keeps a process alive.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

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
        self._process = 0

    def start(self) -> None:
        """Start the thread, if this process has none."""
        with self._lock:
            if self._stopped.is_set() or self._process == os.getpid():
                return
            # Threads do not survive a fork, and neither do the locks they held.
            self._process, self._wake = os.getpid(), threading.Event()
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
            thread = self._thread if self._process == os.getpid() else None
        self._wake.set()
        if thread is not None:
            thread.join(_PATIENCE)

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
