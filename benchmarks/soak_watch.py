"""What a soak looks at while it runs: sizes of tables and files, memory of the workers, and what waits to be swept."""

from __future__ import annotations

import contextlib
import pathlib
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import psutil
import sqlalchemy as sa

from portero.store.engine import Database
from portero.store.tables import AUDIT, COUNTERS, Session

_MIB = 1024 * 1024
#: A worker holds more MiB; what helps it to start does not.
_SMALLEST = 40
#: Seconds that a sweep may take, and wait for its turn, where everything is busy.
_PATIENCE = 20


@dataclass(frozen=True, slots=True)
class Kept:
    """How long a session and an entry of the audit are kept, and how often it is swept, in seconds."""

    sessions: float
    audit: float
    sweep_every: float


class Watch:
    """Looks every few seconds, from a thread, while its block runs.

    Args:
        url: the database.
        port: of the server.
        look_every: seconds.
        kept: how long what is kept.
    """

    def __init__(self, url: str, port: int, look_every: float, kept: Kept) -> None:
        self._database = Database.open(url)
        self._path = pathlib.Path(sa.make_url(url).database or "")
        self._port = port
        self._look_every, self._kept = look_every, kept
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self.samples: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._look()
        self._database.close()

    def faults(self) -> list[str]:
        """Say what waited too long to be swept: a row is to go with the next sweep but one."""
        longest = 2 * self._kept.sweep_every + _PATIENCE
        found = [(name, each["second"], rest) for each in self.samples for name, rest in each["overdue"].items()]
        late = [f"{name}: a row {rest} s overdue at second {second}" for name, second, rest in found if rest > longest]
        return late[:5]

    def _look_on(self) -> None:
        while not self._stopped.is_set():
            self._look()
            self._stopped.wait(self._look_every)

    def _look(self) -> None:
        session, counter, entry = Session.__table__.c, COUNTERS.c, AUDIT.c
        oldest = {
            "sessions": (session.created_at, self._kept.sessions),
            "counters": (counter.window_ends_at, 0),
            "audit": (entry.at, self._kept.audit),
        }
        sizes: dict[str, Any] = {"second": round(time.monotonic() - self._started), "overdue": {}}
        with self._database.reading() as connection:
            for name, (column, kept) in oldest.items():
                query = sa.select(sa.func.count(), sa.func.min(column, type_=column.type))
                rows, first = connection.execute(query.select_from(column.table)).one()
                sizes[name] = rows
                over = datetime.now(UTC) - (first or datetime.now(UTC)) - timedelta(seconds=kept)
                sizes["overdue"][name] = max(0, round(over.total_seconds()))
        self.samples.append(sizes | self._files() | {"memory": self._memory()})

    def _files(self) -> dict[str, float]:
        """Give MiB on the disk: the database, and on SQLite its log."""
        if self._database.dialect_name == "postgresql":
            (row,) = self._database.fetch_all("SELECT pg_database_size(current_database())", ())
            return {"database": round(row[0] / _MIB, 1)}
        log = self._path.with_name(self._path.name + "-wal")
        return {
            "database": round(self._path.stat().st_size / _MIB, 1),
            "log": round(log.stat().st_size / _MIB, 1) if log.exists() else 0.0,
        }

    def _memory(self) -> list[int]:
        """Give MiB of each worker: the children of who was started with this port."""
        found = []
        for leader in psutil.Process().children():
            # Others come and go meanwhile.
            with contextlib.suppress(psutil.NoSuchProcess):
                if str(self._port) in leader.cmdline():
                    found += [child.memory_info().rss for child in leader.children(recursive=True)]
        return [round(each / _MIB) for each in found if each > _SMALLEST * _MIB]
