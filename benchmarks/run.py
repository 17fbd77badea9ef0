"""Portero beside its peers, one run, interleaved: `make bench` (`ARGS=--quick` for a short try).

The peers are in benchmarks/peers: the tutorial applications of Flask and of FastAPI, and one written by hand with
Fastify and better-sqlite3; on PostgreSQL psycopg alone. Each is served with one worker on core 0; wrk plays prepared
requests of 100 users with their own valid tokens from core 1 (two threads, 32 connections; W4: 4). Two workers of
Portero may use both cores, the second one beside the load. Every round begins with fresh databases. In a round each
workload is warmed up on all applications and then measured on them in turns of a second, to the last one and back
again, because a shared machine's speed changes within seconds. A side's rate is that of all its turns together, and
its percentiles are those of all their requests (benchmarks/load.py). Ratios are taken within a round, and their median
counts. Before anything is measured one answer of each workload is checked by hand, and a token with a changed signature
must be refused. An error during a measurement ends the run. Portero's throttles are raised by its settings, not
switched off; its events and limits are on. At the end of a round one client floods, and what others keep of their speed
is measured (benchmarks/flood.py).

Writes results.json and results.md beside this file, and the table of the READMEs. Exit status 1: a target was missed,
or could not be measured; 2: could not run.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import datetime
import json
import os
import pathlib
import sys
import tempfile
from typing import Any

from tests.served import DidNotStart

from benchmarks import postgresql
from benchmarks.load import LOAD_CORE, CouldNotRun, demand_tools
from benchmarks.machine import describe
from benchmarks.report import READMES, as_markdown, into_readme, summarize
from benchmarks.rounds import Lengths, Round
from benchmarks.sides import FLOOD, ON_POSTGRESQL, Sides
from benchmarks.workloads import MEANING, WrongAnswer

ALL = (*MEANING, FLOOD)
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent


def main() -> int:
    """Run what the command line asks for and give the exit status."""
    arguments = _arguments()
    if arguments.tables:
        write(json.loads((HERE / "results.json").read_text(encoding="utf-8")))
        return 0
    try:
        demand_tools()
        os.sched_setaffinity(0, {LOAD_CORE})
        results = measured(arguments)
    except (CouldNotRun, DidNotStart, WrongAnswer) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(as_markdown(results))
    if arguments.write:
        write(results)
    missed = [row for row in results["targets"] if not row["met"]]
    for row in missed:
        what = "not measured" if row["value"] is None else "missed"
        print(f"{what}: {row['name']}", file=sys.stderr)
    return 1 if missed else 0


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure all rounds and summarize them.

    Raises:
        CouldNotRun: something that is needed is not here.
        WrongAnswer: an application does not do what is measured.
    """
    lengths = Lengths(arguments.seconds, arguments.warm_up)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portero-bench-")))
        server = None
        if set(ON_POSTGRESQL) & set(arguments.workloads):
            server = stack.enter_context(postgresql.server(folder))
        asked = frozenset(arguments.workloads)
        sides = Sides(folder, asked, lengths.ended if "W7" in asked else 0, server)
        sides.prepare()
        # Where a user installs, pip has compiled everything; here sources may be newer than what was compiled of them.
        for sources in (ROOT / "src", HERE):
            compileall.compile_dir(sources, quiet=1)
        for peer, why in sides.missing.items():
            print(f"bench: {peer} could not be set up and is not measured: {why}", file=sys.stderr)
        rounds = []
        for number in range(1, arguments.rounds + 1):
            title = f"round {number} of {arguments.rounds}"
            rounds.append(Round(folder, lengths).measure(sides.of_round(number), arguments.workloads, title))
    results = summarize(rounds)
    results |= {"missing": sides.missing, "machine": describe(), "measured_at": datetime.date.today().isoformat()}
    return results | {"seconds": arguments.seconds, "rounds": arguments.rounds}


def write(results: dict[str, Any]) -> None:
    """Write the results, and every table that is made of them."""
    (HERE / "results.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (HERE / "results.md").write_text(as_markdown(results), encoding="utf-8")
    for name in READMES:
        text = (ROOT / name).read_text(encoding="utf-8")
        (ROOT / name).write_text(into_readme(text, name, results), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", default=",".join(ALL), type=lambda names: names.split(","))
    parser.add_argument("--rounds", default=5, type=int, help="measurements of each workload (default 5)")
    parser.add_argument("--seconds", default=8, type=int, help="turns of a second in one measurement (default 8)")
    parser.add_argument("--warm-up", default=2, type=int, help="seconds before each measurement (default 2)")
    parser.add_argument("--quick", action="store_true", help="one round of 2 s each; nothing is written")
    parser.add_argument("--no-write", dest="write", action="store_false", help="do not write the results")
    parser.add_argument("--tables", action="store_true", help="measure nothing: write the tables from results.json")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.warm_up, arguments.write = 1, 2, 1, False
    unknown = [name for name in arguments.workloads if name not in ALL]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(ALL)}")
    if set(arguments.workloads) != set(ALL):
        arguments.write = False  # a table with gaps would replace a whole one
    return arguments


if __name__ == "__main__":
    sys.exit(main())
