"""Writes `docs/reference/conformance.md` from runs on both databases: `python -m tests.conformance.report`.

Every figure and every failing id comes from a run; only the reasons are written by hand, and a failure without one ends
this with status 1.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/conformance.md"
RUNS = (("sqlite", "portable", "all"), ("postgresql", "portable", "all"), ("postgresql", "postgres", "default"))
PROFILE = re.compile(r"^--- (\S+), profile (\S+), tier (\S+)$")
PER_FILE = re.compile(r"^(\S+)\s+(\d+) passed\s+(\d+) failed")

REASONS = {
    "JsonOperatorSpec-0053": "The request target holds a bare `#`, which ends a URL; a WSGI server hands no more over.",
    "JsonOperatorSpec-0190": "As JsonOperatorSpec-0053.",
    "CorsSpec-0075": "No answer allows cookies to pages of other origins (tokens travel in headers).",
    "RelatedQueriesSpec-0347": "An estimated count is exact up to the row limit; PostgREST's suite runs without one.",
}

HEAD = """\
# Conformance

Cases taken from PostgREST's own test suite, sent to Portero over HTTP with every table exposed. `portable` cases ask
for nothing that only PostgreSQL has. This page is written by `python -m tests.conformance.report`.

"""


@dataclass
class Figures:
    """What the runs came to: (passed, failed) by run and profile, and by spec file and run."""

    profiles: dict[tuple[str, str], dict[str, tuple[int, int]]] = field(default_factory=lambda: defaultdict(dict))
    files: dict[str, dict[tuple[str, str], tuple[int, int]]] = field(default_factory=lambda: defaultdict(dict))
    failures: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def main() -> int:
    """Run, write the page, and say whether every failure has its reason."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder:
        for database, tier, profile in RUNS:
            out = pathlib.Path(folder) / "failures.json"
            environ = os.environ | {"DATABASE": database, "TIER": tier, "PROFILE": profile, "OUT": str(out)}
            command = [sys.executable, "-m", "tests.conformance.run", *sys.argv[1:]]
            done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
            if not out.exists():
                print(done.stdout, done.stderr, file=sys.stderr)
                return 2
            read(done.stdout, (database, tier), figures)
            for failure in json.loads(out.read_text(encoding="utf-8")):
                figures.failures[failure["id"]].append(f"{database}, {tier}")
    PAGE.write_text(page(figures), encoding="utf-8")
    unexplained = sorted(set(figures.failures) - set(REASONS))
    print(f"{PAGE.relative_to(ROOT)}: {len(figures.failures)} failing; without a reason: {unexplained or 'none'}")
    return 1 if unexplained else 0


def read(printed: str, run: tuple[str, str], figures: Figures) -> None:
    """Take the figures from what one run printed.

    >>> figures = Figures()
    >>> printed = "--- sqlite, profile default, tier portable\\nQuerySpec  9 passed  1 failed   90 %"
    >>> read(printed, ("sqlite", "portable"), figures)
    >>> figures.profiles[("sqlite", "portable")]["default"], figures.files["QuerySpec"][("sqlite", "portable")]
    ((9, 1), (9, 1))
    """
    profile = ""
    for line in printed.splitlines():
        header, per_file = PROFILE.match(line), PER_FILE.match(line)
        if header is not None:
            profile = header[2]
        elif per_file is not None and profile:
            for held, key in ((figures.profiles[run], profile), (figures.files[per_file[1]], run)):
                passed, failed = held.get(key, (0, 0))  # type: ignore[call-overload]
                held[key] = (passed + int(per_file[2]), failed + int(per_file[3]))  # type: ignore[index]
        elif line.startswith("--- "):
            profile = ""


def page(figures: Figures) -> str:
    """Write the page."""
    titles = {run: f"{'SQLite' if run[0] == 'sqlite' else 'PostgreSQL'}, {run[1]}" for run in figures.profiles}
    lines = ["## Profiles", "", "A profile is a server setting that its cases ask for.", ""]
    lines += _table(
        "profile",
        sorted({name for held in figures.profiles.values() for name in held}),
        titles,
        {
            (name, run): figures.profiles[run].get(name)
            for run in titles
            for held in figures.profiles.values()
            for name in held
        },
    )
    lines += ["", "## Spec files", ""]
    cells = {(name, run): held.get(run) for name, held in figures.files.items() for run in titles}
    lines += _table("file", sorted(figures.files), titles, cells)
    lines += ["", "## What fails, and why", "", "| case | where | reason |", "|---|---|---|"]
    for name, where in sorted(figures.failures.items()):
        lines.append(f"| {name} | {'; '.join(where)} | {REASONS.get(name, 'not looked at yet')} |")
    return HEAD + "\n".join(lines) + "\n"


def _table(
    first: str,
    names: list[str],
    titles: dict[tuple[str, str], str],
    cells: dict[tuple[str, tuple[str, str]], tuple[int, int] | None],
) -> list[str]:
    lines = [f"| {first} | " + " | ".join(titles.values()) + " |", "|---" * (len(titles) + 1) + "|"]
    sums = {run: [0, 0] for run in titles}
    for name in names:
        shown = []
        for run in titles:
            found = cells.get((name, run))
            shown.append("" if found is None else _rate(*found))
            sums[run] = [had + more for had, more in zip(sums[run], found or (0, 0), strict=True)]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return [*lines, "| **all** | " + " | ".join(_rate(*sums[run]) for run in titles) + " |"]


def _rate(passed: int, failed: int) -> str:
    return f"{passed} of {passed + failed}, {passed / (passed + failed):.1%}".replace("%", " %")


if __name__ == "__main__":
    sys.exit(main())
