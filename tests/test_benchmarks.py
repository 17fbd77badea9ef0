"""What the benchmark reports is what it measured: medians, targets, who was missing. No timing is judged here."""

from __future__ import annotations

import doctest
import itertools
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from benchmarks import data, load, profiled, report, rounds
from benchmarks.curves import catalogue
from benchmarks.report import as_markdown, into_readme, summarize
from benchmarks.targets import TARGETS

ROOT = Path(__file__).resolve().parents[1]
PEERS = ("fastify", "flask", "fastapi")


def one_round(portero: float, peer: float = 1_000.0, peers: tuple[str, ...] = PEERS) -> dict[str, Any]:
    rates = {"portero": portero} | dict.fromkeys(peers, peer)
    columns = {name: {"rate": rate, "p50_ms": 1.0, "p99_ms": 5.0} for name, rate in rates.items()}
    start, memory = {"portero": 0.5}, {"portero": {"pss_mb": 100.0, "rss_mb": 120.0}}
    return {"W1": columns, "W2": columns, "W3": columns, "start": start, "memory": memory}


def results_of(*rounds: dict[str, Any], missing: dict[str, str] | None = None) -> dict[str, Any]:
    machine = {"processor": "a processor", "system": "a system, a kernel", "python": "3.11.7"}
    about = {"rounds": len(rounds), "seconds": 8, "missing": missing or {}, "machine": machine}
    return summarize(rounds) | about | {"measured_at": "2026-01-01"}


def target(results: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in results["targets"] if row["name"] == name)


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    results = results_of(one_round(2_000), one_round(9_000, peer=9_000), one_round(1_500))
    assert 1.5 == target(results, "W1 / Fastify by hand")["value"]
    assert "| W1 / Fastify by hand | ≥ 1.40 × | 1.50 × (1.00–2.00) | met |" in as_markdown(results)


def test_a_target_is_met_at_its_bound_and_missed_below_it() -> None:
    assert target(results_of(one_round(1_400)), "W1 / Fastify by hand")["met"] is True
    assert target(results_of(one_round(1_399)), "W1 / Fastify by hand")["met"] is False


def test_a_figure_that_must_be_small_is_missed_above_its_bound() -> None:
    slow = one_round(1_000)
    slow["start"]["portero"] = 1.1
    assert target(results_of(slow), "start to the first answer")["met"] is False


def test_a_peer_that_was_not_set_up_is_named_with_the_reason_and_meets_no_target() -> None:
    results = results_of(one_round(9_000, peers=("flask", "fastapi")), missing={"fastify": "no registry"})
    assert "Fastify could not be set up and was not measured**: no registry" in as_markdown(results)
    assert target(results, "W1 / Fastify by hand")["met"] is None
    assert target(results, "W3 / the best peer at synchronous=FULL")["met"] is None


def test_a_workload_that_was_not_asked_for_has_no_target() -> None:
    names = [row["name"] for row in results_of(one_round(1_000))["targets"]]
    assert "W6, refreshes" not in names
    assert len(names) < len(TARGETS)


def test_the_sides_of_a_workload_alternate_forth_and_back_and_each_keeps_what_its_turns_found() -> None:
    clock = itertools.count(1)
    found = rounds.in_turns(dict.fromkeys("abc", partial(next, clock)), 3)
    assert {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]} == found


def test_percentiles_are_those_of_all_slices_together_and_the_rate_is_of_all_their_seconds() -> None:
    """One slice has 98 quick answers in a second, the other two slow ones in two."""
    quick = {"requests": 98, "seconds": 1.0, "bytes": 980, "errors": 0, "latency": {"1000.0": 90, "2000.0": 8}}
    slow = {"requests": 2, "seconds": 2.0, "bytes": 20, "errors": 1, "latency": {"2000.0": 1, "90000.0": 1}}
    result = load.merged([quick, slow])
    assert (100, 3.0, 1_000, 1) == tuple(result[key] for key in ("requests", "seconds", "bytes", "errors"))
    assert 100 / 3 == result["rate"]
    assert (1.0, 2.0) == (result["p50_ms"], result["p99_ms"])
    assert 90.0 == load.percentile(result["latency"], 99.5) / 1000


@pytest.mark.parametrize(
    ("name", "comma"),
    [("README.md", ","), ("README.es.md", "\N{NO-BREAK SPACE}")],
)
def test_the_table_goes_between_the_marks_of_each_readme_and_changes_nothing_else(name: str, comma: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    once = into_readme(text, name, results_of(one_round(7_654)))
    assert "| 7,654 | 1,000 | 1,000 | 1,000 |".replace(",", comma) in once
    assert into_readme(once, name, results_of(one_round(7_654))) == once
    begin, end = "<!-- make bench: begin -->", "<!-- make bench: end -->"
    assert text.partition(begin)[0] == once.partition(begin)[0]
    assert text.partition(end)[2] == once.partition(end)[2]


@pytest.mark.parametrize(
    "module", [data, load, report, rounds, profiled, catalogue], ids=lambda module: module.__name__
)
def test_the_examples_in_the_benchmarks_are_true(module: ModuleType) -> None:
    assert 0 == doctest.testmod(module).failed < doctest.testmod(module).attempted
