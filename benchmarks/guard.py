"""How many instructions W1 and W2 take in one process: `make bench-guard` (`ARGS=--write` keeps the new figures).

Instructions do not depend on what else the machine does, so they guard where timings cannot. valgrind's callgrind
counts those of three runs of the same program: some requests of each kind, the same with more of W1, with more of W2;
what the longer runs have more, divided by the requests they have more, is the figure. Start, imports and the first fill
of the caches fall out of it. Texts hash alike in every run.

The figures belong to one build of Python and to the locked packages; guard.json says which. Exit status 1: a figure is
more than 5 % above the committed one; 2: it could not be counted or compared.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from benchmarks.asking import ask, raw
from benchmarks.load import CouldNotRun
from benchmarks.sides import ROOT, portero_environ, seed_portero
from benchmarks.workloads import MAKERS, Tokens, WrongAnswer, by_hand, check, prepared
from portero.identity import keys

COMMITTED = pathlib.Path(__file__).with_name("guard.json")
WORKLOADS = ("W1", "W2")
TOLERANCE = 0.05
#: So many different requests of each workload there are; each is asked this many times in the shortest run.
DIFFERENT, PASSES, MORE = 100, 2, 6
MISSING = """valgrind, which counts the instructions, is not installed. Get it with one of
    apt-get install valgrind   (Debian, Ubuntu)
    dnf install valgrind       (Fedora)
    pacman -S valgrind         (Arch)"""


def main() -> int:
    """Count, compare, and give the exit status."""
    arguments = _arguments()
    if arguments.play is not None:
        _play([int(passes) for passes in arguments.play])
        return 0
    try:
        counted = count()
    except (CouldNotRun, WrongAnswer) as error:
        print(f"bench-guard: {error}", file=sys.stderr)
        return 2
    if arguments.write:
        written = {"build": _build(), "instructions": counted}
        COMMITTED.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
        print(f"Written to {COMMITTED.relative_to(ROOT)}:")
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    if committed["build"] != _build():
        told = f"the committed figures are of {committed['build']}, this is {_build()}: they cannot be compared"
        print(f"bench-guard: {told}; counted: {counted}; ARGS=--write keeps these.", file=sys.stderr)
        return 2
    return (
        1 if [name for name in WORKLOADS if not _is_kept(name, counted[name], committed["instructions"][name])] else 0
    )


def _is_kept(name: str, counted: int, committed: int) -> bool:
    """Say how far a figure is from the committed one; false if it is too far above."""
    change = counted / committed - 1
    verdict = "kept"
    if change > TOLERANCE:
        verdict = f"EXCEEDED: more than {TOLERANCE:.0%} above"
    elif change < -TOLERANCE:
        verdict = "better: keep it with make bench-guard ARGS=--write"
    print(f"{name}: {counted:,} instructions a request, committed {committed:,} ({change:+.1%}): {verdict}")
    return change <= TOLERANCE


def count() -> dict[str, int]:
    """Count the instructions of one request of each workload.

    Raises:
        CouldNotRun: valgrind is missing or failed.
    """
    if shutil.which("valgrind") is None:
        raise CouldNotRun(MISSING)
    with tempfile.TemporaryDirectory(prefix="portero-guard-") as name:
        folder = pathlib.Path(name)
        environ = portero_environ(f"sqlite:///{folder / 'guard.db'}") | {"PYTHONHASHSEED": "0"}
        tokens = folder / "tokens.json"
        seed_portero(environ, tokens)
        environ["TOKENS"] = str(tokens)
        shortest = dict.fromkeys(WORKLOADS, PASSES)
        base = _counted(environ, shortest)
        longer = {name: _counted(environ, shortest | {name: PASSES + MORE}) for name in WORKLOADS}
    return {name: round((total - base) / (DIFFERENT * MORE)) for name, total in longer.items()}


def _counted(environ: dict[str, str], passes: dict[str, int]) -> int:
    """Give all instructions of one run."""
    print(f"counting {passes} …", file=sys.stderr, flush=True)
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command = [*valgrind, sys.executable, "-m", "benchmarks.guard", "--play", *map(str, passes.values())]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise CouldNotRun(f"callgrind ended with status {done.returncode}:\n{done.stdout}{done.stderr[-3000:]}")
    return int(found[1])


def _play(passes: list[int]) -> None:
    """Ask the prepared requests, each so many times; every first answer is looked at."""
    written = json.loads(pathlib.Path(os.environ["TOKENS"]).read_text(encoding="utf-8"))
    tokens = Tokens({int(number): token for number, token in written["access"].items()})
    app: Any = importlib.import_module("benchmarks.portero_app").app
    makers = MAKERS["portero"]
    # Keys are read again once a second: by the clock, and under valgrind the clock is far ahead of the requests.
    keys.RELOAD_AFTER = float("inf")
    for workload, repeated in zip(WORKLOADS, passes, strict=True):
        person, note, request = by_hand(makers, workload, tokens)
        app.extensions["portero"].freeze(app)
        check(workload, person, note, ask(app.wsgi_app, raw(request)))
        requests = [raw(each) for each in prepared(makers, workload, tokens)[:DIFFERENT]]
        for _ in range(repeated):
            for each in requests:
                if ask(app.wsgi_app, each).status != 200:
                    raise WrongAnswer(f"{workload}: {each}")


def _build() -> str:
    return f"Python {platform.python_version()}, {platform.python_compiler()}, {platform.machine()}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep what is counted now as the committed figures")
    parser.add_argument("--play", nargs=len(WORKLOADS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
