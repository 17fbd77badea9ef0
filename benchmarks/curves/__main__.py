"""`make bench-curves`, or `python -m benchmarks.curves [--whole] [--quick] [--only CASE …] [--database …]`.

Every case runs in a process of its own and makes its own databases: SQLite files, and a PostgreSQL from a wheel with
its own settings but for parallel workers, of which there are none. `--whole` adds the largest tables: ten million rows,
a million users, a million ended sessions; they need some 10 GB of disk and some minutes.

Writes benchmarks/curves/curves.json, docs/explanation/growth.md and the plots in docs/explanation/curves. A run of some
cases replaces those and keeps the others, if they are of the same machine. Exit status 1: something has not its shape.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import postgresql
from benchmarks.curves import at_once
from benchmarks.curves.catalogue import CURVES
from benchmarks.curves.databases import Databases
from benchmarks.curves.page import as_markdown, judged
from benchmarks.curves.plots import draw
from benchmarks.curves.rows import Found
from benchmarks.curves.timing import Turns, postmaster_of
from benchmarks.machine import describe

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT, REASONS = HERE / "curves.json", HERE / "reasons.md"
PAGE, PLOTS = ROOT / "docs" / "explanation" / "growth.md", ROOT / "docs" / "explanation" / "curves"
AT_ONCE: dict[str, Callable[[Databases, Turns], Found]] = {
    "teams": at_once.teams,
    "letters": at_once.letters,
    "export": at_once.export,
    "bulk": at_once.bulk,
}
CASES = (*(curve.name for curve in CURVES), *AT_ONCE)
BOTH = ("sqlite", "postgresql")


def main() -> int:
    """Measure, write, and give the exit status."""
    arguments = _arguments()
    if arguments.case is not None:
        print(json.dumps(_found(arguments.case, arguments)))
        return 0
    measured = _measured(arguments)
    results = {
        "machine": describe(),
        "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "measured": measured,
    }
    if not arguments.quick:
        results = _with_what_is_kept(results)
        KEPT.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    results["short"] = judged(results["measured"])
    text = as_markdown(results, REASONS.read_text(encoding="utf-8").strip() if REASONS.exists() else "")
    print(text)
    _write(results, text, pathlib.Path(tempfile.mkdtemp(prefix="portero-plots-")) if arguments.quick else None)
    return 1 if judged(measured) else 0


def _write(results: dict[str, Any], text: str, elsewhere: pathlib.Path | None) -> None:
    """Write the plots and the page; of a quick run only the plots, elsewhere."""
    plots = elsewhere or PLOTS
    plots.mkdir(exist_ok=True)
    for curve in CURVES:
        if curve.name in results["measured"]:
            draw(curve, results["measured"][curve.name], plots / f"{curve.name}.png")
    if elsewhere is None:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(f"The plots are in {elsewhere}", file=sys.stderr)


def _with_what_is_kept(results: dict[str, Any]) -> dict[str, Any]:
    """Add the cases of earlier runs on this machine."""
    if not KEPT.exists():
        return results
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    same = all(kept["machine"].get(name) == results["machine"][name] for name in ("processor", "cores", "system"))
    earlier = kept["measured"] if same else {}
    cases = {case: earlier.get(case, {}) | results["measured"].get(case, {}) for case in CASES}
    return results | {"measured": {case: found for case, found in cases.items() if found}}


def _measured(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Run every case on every database it is measured on; give case → database → what was found."""
    on = {curve.name: curve.databases for curve in CURVES}
    measured: dict[str, dict[str, Any]] = {}
    for case in arguments.only:
        for kind in [each for each in arguments.database if each in on.get(case, BOTH)]:
            with tempfile.TemporaryDirectory(prefix="portero-curves-") as folder, _place(kind, folder) as place:
                print(f"{case} on {kind} …", file=sys.stderr, flush=True)
                command = [sys.executable, "-m", "benchmarks.curves", "--case", case, "--place", place]
                command += ["--database", kind, *(["--quick"] * arguments.quick), *(["--whole"] * arguments.whole)]
                done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
                measured.setdefault(case, {})[kind] = json.loads(done.stdout.splitlines()[-1])
    return measured


@contextlib.contextmanager
def _place(kind: str, folder: str) -> Iterator[str]:
    if kind == "sqlite":
        yield folder
        return
    with postgresql.server(pathlib.Path(folder), is_pinned=False) as server:
        yield server.uri


def _found(case: str, arguments: argparse.Namespace) -> Found:
    """Run one case, in this process."""
    [kind] = arguments.database
    is_served = case in ("clients", "workers")
    # Some 270 points in turns of a fifth of a second, and 40 that are served: about a quarter of an hour for all of it.
    rounds, seconds = (2, 0.1) if arguments.quick else (8, 0.2)
    if is_served:
        rounds, seconds = (1, 1.0) if arguments.quick else (3, 2.0)
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    postmaster = postmaster_of(arguments.place) if kind == "postgresql" else None
    turns, databases = Turns(rounds, seconds, postmaster), Databases(kind, arguments.place, case)
    if case in AT_ONCE:
        return AT_ONCE[case](databases, turns)
    curve = next(curve for curve in CURVES if curve.name == case)
    sizes = curve.sizes + (curve.more if arguments.whole else ())
    if arguments.quick and curve.more:
        sizes = curve.sizes[:-1]
    return curve.run(databases, turns, sizes)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description="How the cost grows.")
    parser.add_argument("--whole", action="store_true", help="with the largest tables")
    parser.add_argument("--quick", action="store_true", help="smaller tables, short turns; nothing is kept")
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--database", nargs="+", choices=BOTH, default=BOTH)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--place", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
