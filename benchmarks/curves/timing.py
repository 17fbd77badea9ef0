"""What a request costs: the least of several turns, each turn on every table in its place: drift hits all alike.

It is the processor's time, which the rest of the machine does not change: of this process, and on PostgreSQL of the
processes that answer it too. A wait for the disk is not in it.
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import psycopg

Key = TypeVar("Key")
_LOOK = 5
_PROCESSES = pathlib.Path("/proc")


@dataclass(frozen=True, slots=True)
class Turns:
    """How it is measured.

    Args:
        rounds: turns of each, after one that warms up.
        seconds: of a turn.
        postmaster: the process whose children answer, or None for SQLite.
    """

    rounds: int
    seconds: float
    postmaster: int | None = None

    def micro(self, works: Mapping[Key, Callable[[], object]]) -> dict[Key, float]:
        """Give microseconds of one call of each."""
        least: dict[Key, float] = {}
        for turn in range(self.rounds + 1):
            for key, work in works.items():
                took = self._turn(work)
                if turn:
                    least[key] = min(took, least.get(key, took))
        return {key: round(seconds * 1e6, 2) for key, seconds in least.items()}

    def _turn(self, work: Callable[[], object]) -> float:
        work()  # so that the connection is there, if it had gone
        answering = [] if self.postmaster is None else _answering(self.postmaster)
        calls, began = 0, _used(answering)
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            for _ in range(_LOOK):
                work()
            calls += _LOOK
        return (_used(answering) - began) / calls


def postmaster_of(uri: str) -> int:
    """Give the process id of the PostgreSQL on this machine."""
    with psycopg.connect(uri) as connection:
        row = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
        assert row is not None
        return int(row[0].split()[0])


def _answering(postmaster: int) -> list[pathlib.Path]:
    """Give the processes that serve connections of this machine."""
    children = (_PROCESSES / f"{postmaster}/task/{postmaster}/children").read_text(encoding="ascii").split()
    folders = [_PROCESSES / child for child in children]
    return [folder for folder in folders if b"[local]" in (folder / "cmdline").read_bytes()]


def _used(answering: list[pathlib.Path]) -> float:
    """Give the processor's seconds used up to now."""
    nanoseconds = sum(int((folder / "schedstat").read_text(encoding="ascii").split()[0]) for folder in answering)
    return time.process_time() + nanoseconds / 1e9
