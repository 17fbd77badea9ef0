"""Portero beside the tutorial application, one run, interleaved: `make bench`.

Both are served by granian with one worker on core 0; wrk plays 4,000 prepared requests of 100 users with their own
valid tokens from core 1 (two threads, 32 connections; W4: 8). Every round begins with fresh copies of both databases.
In a round each workload is warmed up and measured on one application, then on the other; the median of the rounds
counts. Before anything is measured one answer of each workload is checked by hand, and a token with a changed
signature must be refused. An error during a measurement ends the run. Portero's throttles are raised by its settings,
not switched off.

Writes results.json and results.md beside this file. Exit status 1: a floor was missed; 2: could not run.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.served import DidNotStart, free_port, served

from benchmarks.data import owned, people
from benchmarks.machine import describe
from benchmarks.report import as_markdown, summarize
from benchmarks.workloads import MEANING, PORTERO, TUTORIAL, Application, Request, WrongAnswer, check, prepared

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
SERVER_CORE, LOAD_CORE = 0, 1
THROTTLES = ("SIGN_IN", "SIGN_UP", "REFRESH", "UPDATE")
RAISED = 1_000_000_000

WRK_MISSING = """wrk, the load generator, is not installed. Get it with one of
    apt-get install wrk        (Debian, Ubuntu)
    dnf install wrk            (Fedora)
    brew install wrk           (macOS; cores cannot be pinned there)
or build it: https://github.com/wg/wrk"""


class CouldNotRun(Exception):
    """There is nothing to report; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Side:
    """An application with its seeded database and what it takes to serve it."""

    label: str
    application: Application
    seed: str
    environ: Mapping[str, str]
    tokens: Mapping[int, str]
    database: pathlib.Path

    def serve(self, folder: pathlib.Path, port: int) -> contextlib.AbstractContextManager[str]:
        """Serve a fresh copy of the database on the server's core."""
        copy = folder / f"{self.label}.db"
        for old in folder.glob(f"{self.label}.db*"):
            old.unlink()
        shutil.copy(self.database, copy)
        log = folder / f"{self.label}.log"
        environ = dict(self.environ) | database_setting(self.seed, copy)
        return served(self.command(port), port=port, path="/whoami", environ=environ, cwd=ROOT, log=log)

    def command(self, port: int) -> list[str]:
        """Give the command that serves this side."""
        pinned = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m"]
        if self.seed == "portero":
            return [
                *pinned,
                "portero",
                "--app",
                "benchmarks.portero_app",
                "serve",
                "--port",
                str(port),
                "--workers",
                "1",
            ]
        # One blocking thread is this application's best figure.
        granian = [*pinned, "granian", "--interface", "wsgi", "--port", str(port), "--workers", "1"]
        return [*granian, "--blocking-threads", "1", "--log-level", "warning", "benchmarks.tutorial_app:app"]


def database_setting(seed: str, path: pathlib.Path) -> dict[str, str]:
    """Name the database to an application of this kind."""
    return {"PORTERO_DATABASE_URL": f"sqlite:///{path}"} if seed == "portero" else {"DB": str(path)}


def main() -> int:
    """Run what the command line asks for and give the exit status."""
    arguments = _arguments()
    try:
        _demand_tools()
        os.sched_setaffinity(0, {LOAD_CORE})
        with tempfile.TemporaryDirectory(prefix="portero-bench-") as name:
            folder = pathlib.Path(name)
            sides = _seeded_sides(folder)
            measured = [_round(number, sides, arguments, folder) for number in range(arguments.rounds)]
    except (CouldNotRun, DidNotStart, WrongAnswer) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    results = summarize(measured, arguments.workloads)
    results |= {"machine": describe(), "measured_at": datetime.date.today().isoformat()}
    results["seconds"], results["rounds"] = arguments.seconds, arguments.rounds
    text = as_markdown(results)
    print(text)
    if arguments.write:
        (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        (HERE / "results.md").write_text(text, encoding="utf-8")
    missed = [
        workload for workload in arguments.workloads if results["workloads"][workload].get("meets_floor") is False
    ]
    if missed:
        print(f"below the floor: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", default=",".join(MEANING), type=lambda names: names.split(","))
    parser.add_argument("--rounds", default=3, type=int, help="measurements of each workload (default 3)")
    parser.add_argument("--seconds", default=8, type=int, help="length of one measurement (default 8)")
    parser.add_argument("--warm-up", default=2, type=int, help="seconds before each measurement (default 2)")
    parser.add_argument("--no-write", dest="write", action="store_false", help="do not write the results")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.workloads if name not in MEANING]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(MEANING)}")
    return arguments


def _demand_tools() -> None:
    if shutil.which("wrk") is None:
        raise CouldNotRun(WRK_MISSING)
    if shutil.which("taskset") is None:
        raise CouldNotRun("taskset is not installed; it is part of util-linux")
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise CouldNotRun("two cores are needed: one for the server, one for the load")


def _seeded_sides(folder: pathlib.Path) -> list[Side]:
    """Seed each application once; the tutorial's second side is the same database written ahead."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "FLASK_"))}
    plain["JWT_SECRET_KEY"] = secrets.token_urlsafe(48)
    raised = {f"PORTERO_THROTTLE_{name}": str(RAISED) for name in THROTTLES}
    portero = plain | raised | {"PORTERO_URL": "http://127.0.0.1:8000"}
    tutorial_side = _seeded(TUTORIAL, "tutorial", plain, folder)
    write_ahead = Side(
        "tutorial-wal", TUTORIAL, "tutorial", plain | {"WAL": "1"}, tutorial_side.tokens, tutorial_side.database
    )
    return [tutorial_side, _seeded(PORTERO, "portero", portero, folder), write_ahead]


def _seeded(application: Application, kind: str, environ: dict[str, str], folder: pathlib.Path) -> Side:
    database, tokens = folder / f"seed-{kind}.db", folder / f"{kind}-tokens.json"
    command = [sys.executable, "-m", "benchmarks.seed", kind, str(tokens)]
    done = subprocess.run(
        command, cwd=ROOT, env=environ | database_setting(kind, database), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CouldNotRun(f"{kind} was not seeded:\n{done.stdout}{done.stderr}")
    named: dict[str, str] = json.loads(tokens.read_text(encoding="utf-8"))
    return Side(kind, application, kind, environ, {int(number): token for number, token in named.items()}, database)


def _round(number: int, sides: list[Side], arguments: argparse.Namespace, folder: pathlib.Path) -> dict[str, Any]:
    """Measure every workload once on every side; give workload → label → what wrk said."""
    measured: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        bases = {side.label: stack.enter_context(side.serve(folder, free_port())) for side in sides}
        for workload in arguments.workloads:
            measured[workload] = {}
            for side in sides:
                if side.label == "tutorial-wal" and workload != "W3":
                    continue
                _check_by_hand(side, workload, bases[side.label])
                measured[workload][side.label] = _measure(side, workload, bases[side.label], arguments, folder)
                rate = measured[workload][side.label]["rate"]
                print(f"round {number + 1}: {workload:4} {side.label:14} {rate:10,.1f} /s", file=sys.stderr, flush=True)
            if workload == "W4":
                measured[workload]["bare hash"] = {"rate": _bare_hash(arguments.seconds)}
    return measured


def _check_by_hand(side: Side, workload: str, base: str) -> None:
    person = people()[2]
    note = owned(person.number)[5]
    request = side.application.makers[workload](person, side.tokens[person.number], note)
    status, body = _send(base, request, request.headers)
    try:
        check(workload, person, note, status, body)
    except WrongAnswer as error:
        raise WrongAnswer(f"{side.label} {workload}: {error}") from None
    if "Authorization" not in request.headers:
        return
    token = request.headers["Authorization"]
    changed = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]
    status, body = _send(base, request, dict(request.headers) | {"Authorization": changed})
    if status not in (401, 403, 422):
        raise WrongAnswer(f"{side.label} {workload}: a changed token was answered with {status}: {body[:300]!r}")


def _send(base: str, request: Request, headers: Mapping[str, str]) -> tuple[int, bytes]:
    data = request.body.encode() if request.body else None
    asked = urllib.request.Request(base + request.path, data=data, headers=dict(headers), method=request.method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def _measure(
    side: Side, workload: str, base: str, arguments: argparse.Namespace, folder: pathlib.Path
) -> dict[str, float]:
    """Play the prepared requests; give the rate and the latencies.

    Raises:
        WrongAnswer: an answer was an error.
    """
    file = folder / "requests.txt"
    file.write_text("\n".join(_lines(side, workload)) + "\n", encoding="utf-8")
    connections = 8 if workload == "W4" else 32
    if arguments.warm_up:
        _play(file, base, connections, arguments.warm_up)
    result = _play(file, base, connections, arguments.seconds)
    if result["errors"]:
        raise WrongAnswer(f"{side.label} {workload}: {result['errors']} errors in {result['requests']} requests")
    return {"rate": result["requests"] / result["seconds"], "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"]}


def _lines(side: Side, workload: str) -> Iterator[str]:
    for request in prepared(side.application, workload, side.tokens):
        headers = "\1".join(f"{name}={value}" for name, value in request.headers.items())
        yield "\t".join([request.method, request.path, request.body, headers])


def _play(file: pathlib.Path, base: str, connections: int, seconds: int) -> dict[str, Any]:
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    command += ["--script", str(HERE / "play.lua"), base]
    environ = os.environ | {"REQUESTS": str(file)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=seconds + 60)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return result
    raise CouldNotRun(f"wrk gave no result:\n{done.stdout}{done.stderr}")


def _bare_hash(seconds: int) -> float:
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "benchmarks.bare_hash", str(seconds)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
