"""The targets: what Portero has to reach, each a ratio within one round or a figure of its own."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Rounds = Sequence[Mapping[str, Any]]
FULL_PEERS = ("flask", "fastapi", "fastify")


#: What is judged of benchmarks/flood.py.
FLOODED = (
    "new shapes",
    "new shapes, without a token",
    "bad signatures, HS256",
    "bad signatures, ES256",
    "unknown kids",
)


class NotMeasured(Exception):
    """One of the two sides is not there; the text names it."""


class NotAsked(Exception):
    """Its workload was left out of this run."""


@dataclass(frozen=True, slots=True)
class Target:
    """One row of the report.

    Attributes:
        name: what is measured, against what.
        bound: the least, or the most, allowed.
        unit: how figures are written: × or /s, s, MB, ms.
        is_most: `bound` is the most.
        of: gives the figure of one round.
    """

    name: str
    bound: float
    unit: str
    of: Callable[[Mapping[str, Any]], float]
    is_most: bool = False

    def judged(self, rounds: Rounds) -> dict[str, Any]:
        """Give the median of the rounds, their range, and whether it is good enough; None where it was not measured.

        Raises:
            NotAsked: the run left its workload out.
        """
        row: dict[str, Any] = {"name": self.name, "bound": self.bound, "unit": self.unit, "is_most": self.is_most}
        try:
            figures = [self.of(each) for each in rounds]
        except NotMeasured as error:
            return row | {"value": None, "met": None, "why": str(error)}
        found = statistics.median(figures)
        row |= {"value": found, "range": (min(figures), max(figures))}
        return row | {"met": found <= self.bound if self.is_most else found >= self.bound}


def rate(measured: Mapping[str, Any], workload: str, column: str, key: str = "rate") -> float:
    """Give one figure of a round.

    Raises:
        NotMeasured: it has none.
        NotAsked: nobody has one.
    """
    if workload not in measured:
        raise NotAsked(workload)
    if column not in measured[workload]:
        raise NotMeasured(f"{column} was not measured")
    return float(measured[workload][column][key])


def _ratio(workload: str, other: str, bound: float, name: str) -> Target:
    def of(measured: Mapping[str, Any]) -> float:
        return rate(measured, workload, "portero") / rate(measured, workload, other)

    return Target(f"{workload} / {name}", bound, "×", of)


def _against_itself(workload: str, bound: float) -> Target:
    def of(measured: Mapping[str, Any]) -> float:
        return rate(measured, workload, "portero") / rate(measured, "W2", "portero")

    return Target(f"{workload} / W2", bound, "×", of)


def _against_the_best(workload: str) -> Target:
    def of(measured: Mapping[str, Any]) -> float:
        # Each peer must be there: the best of those that happen to be installed would be another target.
        return rate(measured, workload, "portero") / max(rate(measured, workload, peer) for peer in FULL_PEERS)

    return Target(f"{workload} / the best peer at synchronous=FULL", 2.0, "×", of)


def _tail(workload: str) -> Target:
    def of(measured: Mapping[str, Any]) -> float:
        return rate(measured, workload, "portero, two workers", "p99_ms")

    return Target(f"{workload}, p99 with two workers", 20.0, "ms", of, is_most=True)


def _on_postgresql(workload: str) -> Target:
    def of(measured: Mapping[str, Any]) -> float:
        return rate(measured, workload, "portero, PostgreSQL") / rate(measured, workload, "psycopg alone")

    return Target(f"{workload} on PostgreSQL / psycopg alone, the same statement", 0.8, "×", of)


def _kept(name: str) -> Target:
    def of(measured: Mapping[str, Any]) -> float:
        if "flood" not in measured:
            raise NotAsked("flood")
        found = measured["flood"][name]
        return float(found["rate"]) / float(found["quiet"])

    return Target(f"others' speed kept under a flood of {name}", 0.5, "×", of)


def _side(kind: str, side: str, key: str | None = None) -> Callable[[Mapping[str, Any]], float]:
    def of(measured: Mapping[str, Any]) -> float:
        if side not in measured.get(kind, {}):
            raise NotAsked(side)
        found = measured[kind][side]
        return float(found if key is None else found[key])

    return of


TARGETS = (
    _ratio("W1", "fastify", 1.4, "Fastify by hand"),
    _ratio("W2", "fastify", 1.5, "Fastify by hand"),
    _ratio("W5", "fastify", 1.6, "Fastify by hand"),
    *(_ratio(workload, "flask", 10.0, "Flask tutorial") for workload in ("W1", "W2", "W5")),
    *(_ratio(workload, "fastapi", 15.0, "FastAPI tutorial") for workload in ("W1", "W2", "W5")),
    _ratio("W0t", "flask", 3.0, "Flask tutorial"),
    _against_itself("W9", 0.75),
    _against_itself("W2c", 0.6),
    _against_the_best("W3"),
    _against_the_best("W10"),
    _tail("W3"),
    _tail("W10"),
    _ratio("W4", "bare hash", 0.95, "the bare hash"),
    Target("W6, refreshes", 1_500.0, "/s", lambda measured: rate(measured, "W6", "portero")),
    Target("start to the first answer", 1.0, "s", _side("start", "portero"), is_most=True),
    Target("memory of two workers (PSS)", 150.0, "MB", _side("memory", "portero-two", "pss_mb"), is_most=True),
    *(_on_postgresql(workload) for workload in ("W1", "W2", "W5")),
    *(_kept(name) for name in FLOODED),
)
