"""From what was measured to the page docs/explanation/growth.md: plots, tables, what has not its shape, the machine."""

from __future__ import annotations

from typing import Any

from benchmarks.curves.at_once import BULK, MANY_ROWS
from benchmarks.curves.catalogue import BOUND, CURVES, Curve
from benchmarks.curves.databases import NAMES

SLOWEST, MOST_MEMORY = 50.0, 100.0
"""Answers a second with an exact count, at least; MB beyond what was held before, at most."""
COUNTED = {"teams": "documents of one's teams", "letters": "letters shared with one"}
BULKS = {"export": "CSV export", "bulk": "JSON bulk insert"}

_INTRODUCTION = f"""# How the cost grows

Made by `make bench-curves`. In one process, asked through WSGI without a server, unless it says otherwise: token,
session check, policy, statement, answer. What is told is the processor's time of that process, and on PostgreSQL of the
processes that answer it too, without waits for the disk: the least of several turns, each on all points in their order.

*Flat* means that the last point costs at most {BOUND} × the first. *Linear* means that what one more costs, counted
from the first point, is at the last point at most {BOUND} × what it is at the point before.
*By hand* is what a developer would write for the same rows, through the database's driver alone: no token, no session,
no policy but the owner's condition. What has not its shape falls short, unless the same by hand grows as fast.
"""
_COUNT = f"""## A page and its exact count under a policy that looks into another table

{MANY_ROWS:,} rows, EXISTS over a table of members or of shares; answers a second. With the exact count they are to be
at least {SLOWEST:.0f} for a caller who sees a part; the caller who sees half of the table is shown beside it.

| | rows | visible | by id, with count | newest, with count | newest, no count |
|---|---|---:|---:|---:|---:|"""
_BULK = f"""## {BULK:,} rows at once

`PORTERO_MAX_ROWS`, `PORTERO_MAX_BATCH` and `PORTERO_MAX_BODY` raised. Held is the most memory of the process beyond
what it held before, in MB, in one request and over all repetitions; to be at most {MOST_MEMORY:.0f}.

| | | seconds | body, MB | held, once | held, repeated |
|---|---|---:|---:|---:|---:|"""


def judged(measured: dict[str, dict[str, Any]]) -> list[str]:
    """Say what falls short; `measured` is case → database → what was found."""
    short = []
    for curve in CURVES:
        for database, found in measured.get(curve.name, {}).items():
            short += curve.faults(NAMES[database], found)
    for case, meaning in COUNTED.items():
        for database, rates in measured.get(case, {}).items():
            short += _slow(f"{NAMES[database]}, {meaning}", rates)
    for case, meaning in BULKS.items():
        for database, found in measured.get(case, {}).items():
            if found["most"] > MOST_MEMORY:
                short.append(f"{NAMES[database]}, {meaning}: held {found['most']:.0f} MB more.")
    return short


def grown(measured: dict[str, dict[str, Any]]) -> list[str]:
    """Say what has not its shape because the database has it not; `measured` as in `judged`."""
    return [
        told
        for curve in CURVES
        for database, found in measured.get(curve.name, {}).items()
        for told in curve.grown(NAMES[database], found)
    ]


def _slow(name: str, rates: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"{name}, {found['visible']:,} of {MANY_ROWS:,} visible, {what}: {rate:.0f} a second."
        for found in rates.values()
        for what, rate in found.items()
        if what.endswith("count") and rate < SLOWEST
    ]


def as_markdown(results: dict[str, Any], reasons: str) -> str:
    """Write the page; `reasons` is what is known about what falls short, kept by hand."""
    measured = results["measured"]
    lines = [_INTRODUCTION]
    for curve in CURVES:
        if curve.name in measured:
            lines += _curve(curve, measured[curve.name])
    counts, bulks = _counts(measured), _bulks(measured)
    lines += [_COUNT, *counts, ""] if counts else []
    lines += [_BULK, *bulks, ""] if bulks else []
    grows = grown(measured)
    lines += ["## What grows with the database", "", *[f"* {one}" for one in grows], ""] if grows else []
    lines += ["## What falls short", "", *([f"* {one}" for one in results["short"]] or ["Nothing."])]
    lines += ["", reasons] if reasons else []
    lines += ["", "## Measured on", ""]
    lines += [f"* {name}: {value}" for name, value in results["machine"].items() if name != "wrk"]
    lines += [f"* date: {results['measured_at']}"]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _curve(curve: Curve, found: dict[str, Any]) -> list[str]:
    wanted = "the rate is to be kept" if curve.shape == "kept" else f"it is to be {curve.shape}"
    lines = [f"## {curve.title}", "", f"{curve.text} {curve.unit[0].upper()}{curve.unit[1:]}; {wanted}.", ""]
    lines += [f"![{curve.title}](curves/{curve.name}.png)", ""]
    x = next(iter(found.values()))["x"]
    lines += [_row("", "", *[f"{value:,}" for value in x]), "|---|---|" + "---:|" * len(x)]
    for database, measured in found.items():
        for name, values in (measured["series"] | measured.get("beside", {})).items():
            lines.append(_row(NAMES[database], name, *[_figure(value) for value in values]))
        for name, values in measured.get("by_hand", {}).items():
            lines.append(_row(NAMES[database], f"{name}, by hand", *[_figure(value) for value in values]))
    return [*lines, ""]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _counts(measured: dict[str, Any]) -> list[str]:
    return [
        _row(NAMES[database], meaning, *[f"{found[key]:,.0f}" for key in found])
        for case, meaning in COUNTED.items()
        for database, rates in measured.get(case, {}).items()
        for found in rates.values()
    ]


def _bulks(measured: dict[str, Any]) -> list[str]:
    return [
        _row(
            NAMES[database],
            meaning,
            f"{found['seconds']:.2f}",
            f"{found['megabytes']:.1f}",
            f"{found['first']:.0f}",
            f"{found['most']:.0f} ({found['times']} ×)",
        )
        for case, meaning in BULKS.items()
        for database, found in measured.get(case, {}).items()
    ]
