"""From rounds of measurements to the table: medians, ratios, floors."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.workloads import MEANING

#: Portero's rate divided by the tutorial application's; W4: by the bare hash's.
FLOORS = {"W1": 8.0, "W2": 6.0, "W5": 6.0, "W3": 3.0, "W4": 0.95}


def summarize(rounds: Sequence[dict[str, Any]], workloads: Sequence[str]) -> dict[str, Any]:
    """Give the median of each side, Portero's ratio, and whether the floor is met."""
    return {"workloads": {workload: _summary(workload, rounds) for workload in workloads}}


def _summary(workload: str, rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {"meaning": MEANING[workload]}
    for label in rounds[0][workload]:
        measured = sorted((each[workload][label] for each in rounds), key=lambda result: float(result["rate"]))
        summary[label] = measured[len(measured) // 2] | {"rates": [round(each["rate"], 1) for each in measured]}
    rate = summary["portero"]["rate"]
    summary["ratio"] = rate / summary["tutorial"]["rate"]
    against = "bare hash" if workload == "W4" else "tutorial"
    if workload in FLOORS:
        summary["floor"] = FLOORS[workload]
        # Round by round, because the machine's own speed changes between rounds.
        kept = statistics.median(each[workload]["portero"]["rate"] / each[workload][against]["rate"] for each in rounds)
        summary["ratio_to_floor_side"] = kept
        summary["meets_floor"] = kept >= FLOORS[workload]
    return summary


def as_markdown(results: dict[str, Any]) -> str:
    """Write the table with the machine under it."""
    lines = ["# Portero beside the Flask-JWT-Extended tutorial application", ""]
    lines += [
        "One worker on one core each, one run, interleaved; requests a second, p99 in milliseconds, "
        f"median of {results['rounds']} rounds of {results['seconds']} s. What is asked: benchmarks/workloads.py.",
        "",
        "| | workload | tutorial | Portero | ratio | floor |",
        "|---|---|---:|---:|---:|---|",
    ]
    for workload, summary in results["workloads"].items():
        lines.append(_line(workload, summary))
    lines += ["", *_remarks(results["workloads"]), "", "## Measured on", ""]
    lines += [f"* {name}: {value}" for name, value in results["machine"].items()]
    lines += [f"* date: {results['measured_at']}"]
    return "\n".join(lines) + "\n"


def _line(workload: str, summary: dict[str, Any]) -> str:
    cells = [workload, summary["meaning"], _cell(summary["tutorial"]), _cell(summary["portero"])]
    cells += [f"{summary['ratio']:.1f} ×", _floor(summary)]
    return "| " + " | ".join(cells) + " |"


def _cell(measured: dict[str, Any]) -> str:
    rate = measured["rate"]
    figure = f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"
    return f"{figure} ({measured['p99_ms']:.1f})"


def _floor(summary: dict[str, Any]) -> str:
    if "floor" not in summary:
        return "–"
    met = "met" if summary["meets_floor"] else "MISSED"
    if summary["floor"] < 1:
        return f"{summary['floor']:.0%} of the bare hash, {met} ({summary['ratio_to_floor_side']:.1%})"
    return f"{summary['floor']:.0f} ×, {met}"


def _remarks(workloads: dict[str, Any]) -> list[str]:
    remarks = []
    if "W3" in workloads:
        ahead = workloads["W3"]["tutorial-wal"]["rate"]
        ratio = workloads["W3"]["portero"]["rate"] / ahead
        remarks.append(
            "W3: Portero writes ahead with synchronous=FULL: an answered insert has reached the disk. The tutorial "
            f"has SQLite's default journal (also FULL). Writing ahead with NORMAL it inserts {ahead:,.0f} a second, "
            f"without that promise; Portero is {ratio:.1f} × that."
        )
    if "W4" in workloads:
        bare = workloads["W4"]["bare hash"]["rate"]
        remarks.append(
            f"W4: the bare argon2id verification (19 MiB, t=2, p=1) runs {bare:.1f} times a second on this core; the "
            "tutorial's scrypt is another, dearer hash."
        )
    return remarks
