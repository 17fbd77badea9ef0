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
to make, from the same requests. *Database* is the statement alone, in one process (W1, W2, W5), *hash* the password
hash alone (W4). What is left is what Portero adds: reading the request, the token, the plan, the answer; and, in its
own views, Flask. A write waits for the disk besides; writers that come at the same time share the wait.
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


def alone(workload: str, results: Mapping[str, Any]) -> float | None:
    """Give what the database or the hash takes by itself, where it is known."""
    if workload == "W4":
        return float(results["limits"]["hash"])
    stages = results["stages"].get(workload)
    return None if stages is None else float(stages["SQL"])


def _gaps(results: dict[str, Any]) -> list[str]:
    lines = [_row("", "", "a request", "server", "database or hash", "what is left", "the limit is")]
    lines += ["|---|---|---:|---:|---:|---:|---:|"]
    for workload, found in results["workloads"].items():
        own = alone(workload, results)
        limit = found["server"] + (own or 0.0)
        cells = [workload, MEANING[workload], _figure(found["micro"]), _figure(found["server"])]
        cells += ["–" if own is None else _figure(own), _figure(found["micro"] - limit)]
        lines.append(_row(*cells, f"{limit / found['micro']:.0%} of it"))
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
        gap = found["micro"] - found["server"] - stages["SQL"]
        own = stages["mount"] - stages["SQL"]
        about = stages["mount"] - stages["pipeline"]
        lines.append(
            f"* {workload}: of {_figure(gap)} µs beside server and statement, {_figure(own)} are Portero's code: "
            f"{_figure(stages['prepared'])} from the query to the statement, {_figure(about)} token, limits, headers, "
            f"{_figure(own - stages['prepared'] - about)} values in and answer out. The rest, {_figure(gap - own)}, is "
            "what a busy server takes more than one process alone: threads that hand over the interpreter's lock, "
            "colder caches of the processor."
        )
    return [*lines, ""]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
