"""From a profile to its page: per workload the time, the limit, the gap, and in which library it is spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEANING = {
    "W0t": "a developer's own `@jwt_required()` view",
    "W1": "one own row by id",
    "W2": "the 20 newest own rows",
    "W5": "W2 with the author embedded",
    "W10": "80 % W2, 20 % W3",
    "W3": "insert a row",
    "W6": "refresh a session",
    "W4": "sign in with a password",
}
GROUPS = ("interpreter", "SQLite", "JSON", "server", "kernel", "crypto", "C library", "other")
_INTRODUCTION = """# Where the time goes

Made by `make bench-profile`, which says how it measures: one worker on one core, 32 clients (W4: 4), SQLite.

## The limit and the gap

Microseconds a request. *Server* is what granian and the kernel take for an answer of the same size that costs nothing
to make, from the same requests. *Limit* is, for reads, the same server with the bare statement and nothing else: no
token, no parsing, no policy to put in; for a sign-in, with the password hash; for others the server alone, though their
statements and, for writes, the disk come to it. What is left is what Portero adds: reading the request, the token, the
plan, the answer; and, in its own views, Flask.
"""
_SHARES = """## In which library

Shares of the worker's time. JSON is written by SQLite's own JSON functions, and by orjson where Python has to. The
kernel's part is the network and, for writes, the disk. The C library's is memory: copies and allocations of them all.
"""
_STAGES = """## The stages of a read

In one process, without a server; microseconds. *Mount* is all that Portero does; *pipeline* is without the token and
the headers; *prepared* is from the query to the statement and its values, from the cache of plans; *SQL* is the
statement. Beside them what is done only once for a kind of request: *parse* in full, *compile* to SQL.
"""


def as_markdown(results: dict[str, Any]) -> str:
    """Write the page."""
    lines = [_INTRODUCTION, *_gaps(results), "", _disk(results), "", _SHARES, *_shares(results["workloads"]), ""]
    lines += [_STAGES, *_stages(results["stages"]), "", *_remaining(results), "## Measured on", ""]
    lines += [f"* {name}: {value}" for name, value in results["machine"].items()]
    return "\n".join([*lines, f"* date: {results['measured_at']}"]) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def limit_of(workload: str, results: Mapping[str, Any]) -> float:
    """Give the least a request can take here."""
    found = results["workloads"][workload]
    if workload == "W4":
        return float(found["server"] + results["limits"]["hash"])
    return float(found.get("statement", found["server"]))


def _gaps(results: dict[str, Any]) -> list[str]:
    lines = [_row("", "", "a request", "server", "limit", "what is left", "the limit is"), "|---|---|" + "---:|" * 5]
    for workload, found in results["workloads"].items():
        limit = limit_of(workload, results)
        figures = [found["micro"], found["server"], limit, found["micro"] - limit]
        share = f"{limit / found['micro']:.0%} of it"
        lines.append(_row(workload, MEANING[workload], *[_figure(micro) for micro in figures], share))
    return lines


def _disk(results: dict[str, Any]) -> str:
    sync = results["limits"]["sync"]
    return f"One sync of a written page to this disk takes {_figure(sync)} µs: {1e6 / sync:,.0f} a second, one by one."


def _shares(workloads: dict[str, Any]) -> list[str]:
    lines = [_row("", *GROUPS), "|---|" + "---:|" * len(GROUPS)]
    for workload, found in workloads.items():
        lines.append(_row(workload, *[f"{found['shares'].get(group, 0.0):.0%}" for group in GROUPS]))
    return lines


def _stages(stages: dict[str, Any]) -> list[str]:
    names = ("mount", "pipeline", "prepared", "SQL", "parse", "compile")
    lines = [_row("", *names), "|---|" + "---:|" * len(names)]
    return lines + [_row(workload, *[_figure(found[name]) for name in names]) for workload, found in stages.items()]


def _remaining(results: dict[str, Any]) -> list[str]:
    """Explain the gap of each read out of its stages."""
    lines = ["## The remaining gap", ""]
    for workload, stages in results["stages"].items():
        found = results["workloads"][workload]
        gap = found["micro"] - limit_of(workload, results)
        own = stages["mount"] - stages["SQL"]
        about = stages["mount"] - stages["pipeline"]
        lines.append(
            f"* {workload}: {_figure(gap)} µs more than the bare statement behind the same server. In one process, "
            f"Portero's own code takes {_figure(own)}: {_figure(stages['prepared'])} from the query to the statement, "
            f"{_figure(about)} token, limits and headers, {_figure(own - stages['prepared'] - about)} values in and "
            f"answer out. The difference, {_figure(gap - own)}, is what no stage explains: this code in a busy server, "
            "where threads hand the interpreter's lock over and its data are not in the processor's nearest cache."
        )
    return [*lines, ""]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
