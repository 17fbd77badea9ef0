"""From what growth.py measured to its page: tables, what falls short, the machine."""

from __future__ import annotations

from typing import Any

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
FLATTEST, SLOWEST, MOST_MEMORY = 1.5, 50.0, 100.0
"""The largest table's page over the smallest's; answers a second with exact count; MB beyond what was held before."""
_MEANINGS = {"teams": "documents of one's teams", "letters": "letters shared with one"}

_INTRODUCTION = """# What more rows cost

Made by `make bench-growth`, which says how it measures. In one process, asked through WSGI without a server; medians.
"""
_PAGE = f"""## A page of one's own rows

20 notes, newest first, under `own()` with its index, no count; microseconds a request. The largest table's is to be at
most {FLATTEST} × the smallest's.

| | 1,000 rows | 100,000 rows | 1,000,000 rows | last / first |
|---|---:|---:|---:|---:|"""
_COUNT = f"""## A page and its exact count under a policy that looks into another table

100,000 rows, EXISTS over a table of members or of shares; answers a second. With the exact count they are to be at
least {SLOWEST:.0f} for a caller who sees a part; the caller who sees half of the table is shown beside it.

| | rows | visible | by id, with count | newest, with count | newest, no count |
|---|---|---:|---:|---:|---:|"""
_BULK = f"""## 10,000 rows at once

`PORTERO_MAX_ROWS`, `PORTERO_MAX_BATCH` and `PORTERO_MAX_BODY` raised. Held is the most memory of the process beyond
what it held before, in MB, in one request and over all repetitions; to be at most {MOST_MEMORY:.0f}.

| | | seconds | body, MB | held, once | held, repeated |
|---|---|---:|---:|---:|---:|"""


def judged(measured: dict[str, dict[str, Any]]) -> list[str]:
    """Say what falls short."""
    short = []
    for kind, cases in measured.items():
        name = NAMES[kind]
        if "page" in cases and cases["page"]["ratio"] > FLATTEST:
            short.append(f"{name}: the largest table's page takes {cases['page']['ratio']:.2f} × the smallest's.")
        for case, meaning in _MEANINGS.items():
            short += _slow(f"{name}, {meaning}", cases.get(case, {}))
        for case in ("export", "bulk"):
            if case in cases and cases[case]["most"] > MOST_MEMORY:
                short.append(f"{name}: {case} held {cases[case]['most']:.0f} MB more.")
    return short


def _slow(name: str, rates: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"{name}, {found['visible']:,} of 100,000 visible, {what}: {rate:.0f} a second."
        for found in rates.values()
        for what, rate in found.items()
        if what.endswith("count") and rate < SLOWEST
    ]


def as_markdown(results: dict[str, Any]) -> str:
    """Write the page."""
    measured = results["databases"]
    lines = [_INTRODUCTION]
    if results["remark"]:
        lines += [results["remark"], ""]
    lines += [_PAGE, *_pages(measured), "", _COUNT, *_counts(measured), "", _BULK, *_bulks(measured), ""]
    lines += ["## What falls short", "", *([f"* {one}" for one in results["short"]] or ["Nothing."])]
    lines += ["", "## Measured on", ""]
    lines += [f"* {name}: {value}" for name, value in results["machine"].items() if name != "wrk"]
    lines += [f"* load of the machine at the end: {results['load']}", f"* date: {results['measured_at']}"]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _pages(measured: dict[str, Any]) -> list[str]:
    return [
        _row(NAMES[kind], *[f"{value:,.0f}" for value in page["micro"].values()], f"{page['ratio']:.2f}")
        for kind, cases in measured.items()
        if (page := cases.get("page"))
    ]


def _counts(measured: dict[str, Any]) -> list[str]:
    return [
        _row(NAMES[kind], meaning, *[f"{found[key]:,.0f}" for key in found])
        for kind, cases in measured.items()
        for case, meaning in _MEANINGS.items()
        for found in cases.get(case, {}).values()
    ]


def _bulks(measured: dict[str, Any]) -> list[str]:
    return [
        _row(
            NAMES[kind],
            meaning,
            f"{found['seconds']:.2f}",
            f"{found['megabytes']:.1f}",
            f"{found['first']:.0f}",
            f"{found['most']:.0f} ({found['times']} ×)",
        )
        for kind, cases in measured.items()
        for case, meaning in (("export", "CSV export"), ("bulk", "JSON bulk insert"))
        if (found := cases.get(case))
    ]
