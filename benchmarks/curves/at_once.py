"""What no curve shows: exact counts under policies that look elsewhere, and 10,000 rows in one request.

For the bulk cases the seconds of a request, and the most memory the process held meanwhile beyond what it held before.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.curves.application import Growing
from benchmarks.curves.databases import Databases
from benchmarks.curves.rows import Found, fill_notes, in_turn
from benchmarks.curves.timing import Turns
from benchmarks.workloads import NEW_NOTE

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANY_ROWS = 100_000
TEAMS, SHARED_WITH, READERS = 1_000, 3, 100
BULK = 10_000
RAISED = {"max_rows": 100_000, "max_batch": 100_000, "max_body": 64 * 1024 * 1024}
REPEATS = 20


def teams(databases: Databases, turns: Turns) -> Found:
    """Nine users see a hundredth of the documents, a tenth one half of them."""
    growing = Growing(databases.new("teams"))
    growing.copy_users(10)
    filling = growing.filling
    titled = {"id": "i", "title": filling.text(30), "created_at": filling.moment("i")}
    filling.insert("documents", MANY_ROWS, titled | {"team_id": f"i % {TEAMS}"})
    for number in range(1, 10):
        few = {"user_id": filling.uuid(str(number)), "team_id": f"{number} + (i - 1) * {TEAMS // 10}"}
        filling.insert("members", 10, few)
    filling.insert("members", TEAMS // 2, {"user_id": filling.uuid("10"), "team_id": "(i - 1) * 2"})
    filling.settle()
    tokens = [one.access_token for one in growing.sign_in(range(1, 11))]
    return _counted(growing, "documents", {"few": tokens[:9], "half": tokens[9:]}, turns)


def letters(databases: Databases, turns: Turns) -> Found:
    """Each letter is shared with three of a hundred users."""
    growing = Growing(databases.new("letters"))
    growing.copy_users(READERS)
    filling = growing.filling
    titled = {"id": "i", "title": filling.text(30), "created_at": filling.moment("i")}
    filling.insert("letters", MANY_ROWS, titled)
    reader = f"((i - 1) / {SHARED_WITH} * 31 + i % {SHARED_WITH} * 7) % {READERS} + 1"
    shares = {"user_id": filling.uuid(reader), "letter_id": f"(i - 1) / {SHARED_WITH} + 1"}
    filling.insert("shares", MANY_ROWS * SHARED_WITH, shares)
    filling.settle()
    return _counted(
        growing, "letters", {"few": [one.access_token for one in growing.sign_in(range(1, READERS + 1))]}, turns
    )


def _counted(growing: Growing, table: str, callers: dict[str, list[str]], turns: Turns) -> Found:
    """Ask for a page with the exact count, for one with the id's order, and for the page alone; answers a second."""
    asked = {
        "page and count": ("order=id", {"prefer": "count=exact"}),
        "newest and count": ("order=created_at.desc", {"prefer": "count=exact"}),
        "newest": ("order=created_at.desc", {}),
    }
    works = {
        (who, what): in_turn(
            growing,
            [growing.request("GET", f"/rest/v1/{table}?{order}&limit=20", token, **headers) for token in tokens],
        )
        for who, tokens in callers.items()
        for what, (order, headers) in asked.items()
    }
    rates: dict[str, Any] = {who: {"visible": _total(growing, table, tokens[0])} for who, tokens in callers.items()}
    for (who, what), micro in turns.micro(works).items():
        rates[who][what] = round(1e6 / micro, 1)
    return rates


def _total(growing: Growing, table: str, token: str) -> int:
    answer = growing.ask("HEAD", f"/rest/v1/{table}?limit=1", token, prefer="count=exact")
    return int(answer.headers["content-range"].partition("/")[2])


def export(databases: Databases, turns: Turns) -> Found:
    """The table is filled by another process, so that this one has held nothing else."""
    url = databases.new("export")
    program = (
        "import sys; from benchmarks.curves.application import Growing; from benchmarks.curves.rows import fill_notes; "
        f"growing = Growing(sys.argv[1]); growing.copy_users(1); fill_notes(growing, {BULK}, 1)"
    )
    subprocess.run([sys.executable, "-c", program, url], cwd=ROOT, check=True)
    growing = Growing(url, **RAISED)
    [caller] = growing.sign_in([1])

    def work() -> int:
        answer = growing.ask("GET", "/rest/v1/notes?order=id", caller.access_token, accept="text/csv")
        assert (answer.status, answer.body.count(b"\n")) == (200, BULK), answer.body[:300]
        return len(answer.body)

    assert growing.ask("GET", "/rest/v1/notes?limit=1", caller.access_token, accept="text/csv").status == 200
    return _held(work, turns)


def bulk(databases: Databases, turns: Turns) -> Found:
    """10,000 notes in one request."""
    growing = Growing(databases.new("bulk"), **RAISED)
    growing.copy_users(1)
    fill_notes(growing, 1, 1)
    [caller] = growing.sign_in([1])
    body = json.dumps([json.loads(NEW_NOTE)] * BULK)

    def work() -> int:
        answer = growing.ask("POST", "/rest/v1/notes", caller.access_token, body)
        assert answer.status == 201, answer.body[:300]
        return len(body)

    assert growing.ask("POST", "/rest/v1/notes", caller.access_token, NEW_NOTE).status == 201
    return _held(work, turns)


def _held(work: Callable[[], int], turns: Turns) -> Found:
    """Do something again and again: its seconds, and the most memory held beyond what was held before."""
    before = _peak(reset=True)
    seconds, size, first = [], 0, 0.0
    for _ in range(min(REPEATS, turns.rounds * 3)):
        start = time.perf_counter()
        size = work()
        seconds.append(time.perf_counter() - start)
        first = first or _peak() - before
    return {
        "seconds": round(statistics.median(seconds), 3),
        "megabytes": round(size / 1e6, 2),
        "first": round(first, 1),
        "most": round(_peak() - before, 1),
        "times": len(seconds),
    }


def _peak(*, reset: bool = False) -> float:
    """Give the most memory this process held, in MB; Linux can begin anew, and elsewhere it is that of its life."""
    status = pathlib.Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    if reset:
        with contextlib.suppress(OSError):
            pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    [line] = [line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6
