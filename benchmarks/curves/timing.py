"""What a request costs: the least of several turns, each turn on every table in its place: drift hits all alike.

On SQLite it is the processor's time of this process, which the rest of the machine does not change and which holds the
database's work, but not a wait for the disk. On PostgreSQL another process works, so it is the clock's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key")
_LOOK = 5


@dataclass(frozen=True, slots=True)
class Turns:
    """How it is measured.

    Args:
        kind: `sqlite` or `postgresql`.
        rounds: turns of each, after one that warms up.
        seconds: of a turn.
    """

    kind: str
    rounds: int
    seconds: float

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
        clock = time.process_time if self.kind == "sqlite" else time.perf_counter
        calls, began = 0, clock()
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            for _ in range(_LOOK):
                work()
            calls += _LOOK
        return (clock() - began) / calls
