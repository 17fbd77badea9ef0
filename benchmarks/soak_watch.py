"""What a soak looks at while it runs: sizes of tables and files, memory of the workers; and the sweep, now and then."""

from __future__ import annotations

import contextlib
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import psutil
import sqlalchemy as sa

from portero.store.engine import Database

TABLES = ("portero_sessions", "portero_counters", "portero_audit")
_MIB = 1024 * 1024
#: A worker holds more MiB; what helps it to start does not.
_SMALLEST = 40


class Watch:
    """Looks every few seconds, from a thread, while its block runs.

    Args:
        url: the database.
        port: of the server.
        look_every, sweep_every: seconds.
        sweep: does it, and gives how many rows of what went.
    """

    def __init__(
        self, url: str, port: int, look_every: float, sweep_every: float, sweep: Callable[[], dict[str, int]]
    ) -> None:
        self._database = Database.open(url)
        self._url = sa.make_url(url)
        self._port = port
        self._look_every, self._sweep_every, self._sweep = look_every, sweep_every, sweep
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._look_on, self._sweep_on)]
        self.samples: list[dict[str, Any]] = []
        self.faults: list[str] = []

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._look()
        self._database.close()

    def _look_on(self) -> None:
        while not self._stopped.is_set():
            self._look()
            self._stopped.wait(self._look_every)

    def _sweep_on(self) -> None:
        while not self._stopped.wait(self._sweep_every):
            try:
                self._sweep()
            except Exception as error:  # the edge of this thread: what went wrong is told at the end
                self.faults.append(f"the sweep failed: {error}")

    def _look(self) -> None:
        sizes: dict[str, Any] = {"second": round(time.monotonic() - self._started)}
        for table in TABLES:
            (row,) = self._database.fetch_all(f"SELECT count(*) FROM {table}", ())
            sizes[table.removeprefix("portero_")] = row[0]
        sizes |= self._files()
        sizes["memory"] = self._memory()
        self.samples.append(sizes)

    def _files(self) -> dict[str, float]:
        """Give MiB on the disk: the database, and on SQLite its log."""
        if self._database.dialect_name == "postgresql":
            (row,) = self._database.fetch_all("SELECT pg_database_size(current_database())", ())
            return {"database": round(row[0] / _MIB, 1)}
        path = pathlib.Path(self._url.database or "")
        log = path.with_name(path.name + "-wal")
        return {
            "database": round(path.stat().st_size / _MIB, 1),
            "log": round(log.stat().st_size / _MIB, 1) if log.exists() else 0.0,
        }

    def _memory(self) -> list[int]:
        """Give MiB of each worker: the children of who was started with this port."""
        found = []
        for leader in psutil.Process().children():
            # Others come and go meanwhile: who sweeps, and who plays.
            with contextlib.suppress(psutil.NoSuchProcess):
                if str(self._port) in leader.cmdline():
                    found += [child.memory_info().rss for child in leader.children(recursive=True)]
        return [round(each / _MIB) for each in found if each > _SMALLEST * _MIB]
