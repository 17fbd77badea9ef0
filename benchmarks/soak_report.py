"""The page on the soak, made from what was seen."""

from __future__ import annotations

from typing import Any

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
STEPS = {
    "sign_in": "sign in",
    "wrong_password": "sign in with a wrong password",
    "refresh": "refresh",
    "look": "one's own record (`/auth/v1/user`)",
    "rows": "one's own row (`/rest/v1/users`)",
    "list": "list one's sessions",
    "sign_out": "sign out",
}
_INTRODUCTION = """\
# Many users for a long time

Made by `make soak`. {users:,} users sign in, refresh, look at their own records, list their sessions and sign out at
random, for {seconds} seconds, through {workers} workers, {clients} requests at one time, with every limit on. They
refresh in several tabs at one moment, after an answer that was lost, while they sign out, and with tokens that are too
old. Here a session lives {time_box} seconds at most and {idle} without a refresh, so that there is something to sweep.

Every answer is judged: it speaks of the user who asked and of nobody else; a refresh has one successor, whoever asks
for it and however often; what has ended is refused at the next request, by every worker. Afterwards the database is
held against what the users know: owner and number of refreshes of each session, no row of one that has ended, in the
audit as many entries as things that happened.
"""


def as_markdown(results: dict[str, Any]) -> str:
    """Write the page."""
    lines = [_INTRODUCTION.format(**results["plan"])]
    if results["remark"]:
        lines += [results["remark"], ""]
    lines += ["| | " + " | ".join(NAMES[kind] for kind in results["databases"]) + " |"]
    lines += ["|---|" + "---:|" * len(results["databases"])]
    lines += [_row(name, results, count) for name, count in _COUNTS.items()]
    lines += [
        "",
        "## How long an answer took",
        "",
        "Milliseconds, seen by the client: median, 99 of 100, the longest.",
        "",
    ]
    lines += ["| | " + " | ".join(NAMES[kind] for kind in results["databases"]) + " |"]
    lines += ["|---|" + "---:|" * len(results["databases"])]
    lines += [_row(sentence, results, _waits(step)) for step, sentence in STEPS.items()]
    lines += ["", "## What grew", ""]
    for kind, seen in results["databases"].items():
        lines += [*_sizes(NAMES[kind], seen["samples"]), ""]
    lines += ["## What was wrong", ""]
    wrong = [f"* {NAMES[kind]}: {line}" for kind, seen in results["databases"].items() for line in seen["wrong"]]
    lines += wrong or ["Nothing."]
    lines += ["", "## Measured on", ""]
    lines += [f"* {name}: {value}" for name, value in results["machine"].items() if name != "wrk"]
    lines += [f"* date: {results['measured_at']}"]
    return "\n".join(lines) + "\n"


def _answers(first: str, last: str) -> Any:
    def count(seen: dict[str, Any]) -> str:
        found = sum(each for name, each in seen["statuses"].items() if first <= name.split()[1] <= last)
        return f"{found:,}"

    return count


_COUNTS: dict[str, Any] = {
    "requests": lambda seen: f"{seen['requests']:,}",
    "a second": lambda seen: f"{seen['a_second']:,}",
    "answers of 200 and 204": _answers("200", "299"),
    "refusals that are due (400, 401, 403)": _answers("400", "428"),
    "answers of 429": _answers("429", "429"),
    "answers of 5xx": _answers("500", "599"),
    "sessions opened": lambda seen: f"{seen['sessions']:,}",
    "refreshes, each with one successor": lambda seen: f"{seen['generations']:,}",
    "sessions ended by a token too old": lambda seen: f"{seen['reuses']:,}",
    "answers that could not be": lambda seen: f"{seen['faults']:,}",
}


def _waits(step: str) -> Any:
    def shown(seen: dict[str, Any]) -> str:
        found = seen["milliseconds"].get(step)
        return "" if found is None else f"{found['median']:,.0f} / {found['p99']:,.0f} / {found['most']:,.0f}"

    return shown


def _row(name: str, results: dict[str, Any], shown: Any) -> str:
    return f"| {name} | " + " | ".join(shown(seen) for seen in results["databases"].values()) + " |"


def _sizes(name: str, samples: list[dict[str, Any]]) -> list[str]:
    """Show about a dozen of the samples."""
    step = max(1, -(-len(samples) // 12))
    shown = samples[::step] + ([samples[-1]] if (len(samples) - 1) % step else [])
    has_log = "log" in samples[0]
    head = [
        "second",
        "sessions",
        "counters",
        "audit",
        "database, MiB",
        *(["log, MiB"] if has_log else []),
        "workers, MiB",
    ]
    lines = [f"{name}:", "", "| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
    for each in shown:
        cells = [each["second"], each["sessions"], each["counters"], each["audit"], each["database"]]
        cells += [each["log"]] if has_log else []
        text = [f"{cell:,}" for cell in cells] + [" ".join(str(one) for one in each["memory"])]
        lines.append("| " + " | ".join(text) + " |")
    return lines
