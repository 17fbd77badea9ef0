"""Where the time of each workload goes: `make bench-profile`; writes docs/explanation/where-the-time-goes.md.

Each workload is played against one worker on core 0, as in `make bench`. perf looks at the worker a thousand times a
second and says in which library it is; a library belongs to one of the groups below. Beside it stands the physical
limit: what the server takes for an answer of the same size that costs nothing to make, and for one that is the bare
statement (or the password hash). What is left is Portero's own.

perf counts the processor's time (`cpu-clock`), which needs no counters of the hardware. Exit status 2: could not run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from tests.served import DidNotStart, free_port, serving

from benchmarks.load import LOAD_CORE, CouldNotRun, demand_tools, pinned, play, write_requests
from benchmarks.machine import describe
from benchmarks.profile_page import as_markdown
from benchmarks.rounds import CONNECTIONS, SIGN_INS
from benchmarks.sides import (
    REFRESHED,
    ROOT,
    portero_environ,
    seed_portero,
    serve_portero,
    server_options,
    write_statements,
)
from benchmarks.workloads import MAKERS, Request, Tokens, WrongAnswer, bearer, by_hand, prepared

READS = ("W1", "W2", "W5")
WORKLOADS = ("W0t", "W1", "W2", "W5", "W10", "W3", "W6", "W4")
KEPT = pathlib.Path(__file__).with_name("profile.json")
PAGE = ROOT / "docs" / "explanation" / "where-the-time-goes.md"
MISSING = """perf, which looks at where the server is, is not installed. Get it with one of
    apt-get install linux-perf (Debian), linux-tools-generic (Ubuntu)
    dnf install perf           (Fedora)"""
_LOOKS = 999

#: Group → what its libraries are called; the first that matches counts. JSON is told from SQLite by its functions.
GROUPS = {
    "SQLite": r"sqlite",
    "server": r"granian",
    "crypto": r"_rust\.abi3|libcrypto|libssl|_hashlib|_hmac|_sha\d|_blake|_md5|_argon2|^_ffi|_sodium|bcrypt",
    "JSON": r"orjson|^_json",
    "kernel": r"kernel|vdso|vmlinux",
    "interpreter": r"python|^_\w+\.so",
    "C library": r"libc[.-]|libm[.-]|libpthread|ld-linux|libstdc|libgcc",
}


def main() -> int:
    """Profile, write the page, and give the exit status."""
    arguments = _arguments()
    try:
        demand_tools()
        if shutil.which("perf") is None:
            raise CouldNotRun(MISSING)
        with tempfile.TemporaryDirectory(prefix="portero-profile-") as name:
            results = _measured(pathlib.Path(name), arguments.seconds)
    except (CouldNotRun, DidNotStart, WrongAnswer) as error:
        print(f"bench-profile: {error}", file=sys.stderr)
        return 2
    results |= {"machine": describe(), "measured_at": datetime.date.today().isoformat()}
    text = as_markdown(results)
    print(text)
    if not arguments.quick:
        KEPT.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        PAGE.write_text(text, encoding="utf-8")
    return 0


def _measured(folder: pathlib.Path, seconds: int) -> dict[str, Any]:
    os.sched_setaffinity(0, {LOAD_CORE})
    environ = portero_environ(f"sqlite:///{folder / 'profile.db'}")
    tokens = seed_portero(environ, folder / "tokens.json", refreshed=REFRESHED)
    found: dict[str, Any] = {}
    with _served(list(serve_portero(1)), environ, folder) as (base, workers):
        for workload in WORKLOADS:
            found[workload] = _workload(workload, tokens, base, workers, folder, seconds)
            print(f"{workload}: {found[workload]['micro']:.1f} µs a request", file=sys.stderr, flush=True)
    options = [sys.executable, "-m", "granian", "--port", "{port}", *server_options(), "benchmarks.sized_answers:app"]
    with _served(options, environ, folder) as (base, _):
        for workload, one in found.items():
            one["server"] = _server_alone(workload, one["bytes"], tokens, base, folder, seconds)
    statements = folder / "statements.pickle"
    write_statements(environ, tokens, statements, READS)
    alone = environ | {"STATEMENTS": str(statements), "DB": str(folder / "profile.db")}
    options = [*options[:-1], "benchmarks.peers.statement_alone:app"]
    with _served(options, alone, folder) as (base, _):
        for workload in READS:
            write_requests(folder / "requests.txt", prepared(MAKERS["portero"], workload, tokens))
            found[workload]["statement"] = _micro(folder / "requests.txt", base, seconds)
    return {"workloads": found, "stages": _stages(), "limits": _limits(folder)}


@contextmanager
def _served(command: list[str], environ: dict[str, str], folder: pathlib.Path) -> Iterator[tuple[str, list[int]]]:
    """Serve; give the URL and the processes that answer."""
    port = free_port()
    command = pinned(*[part.replace("{port}", str(port)) for part in command])
    log = folder / "server.log"
    with serving(command, port=port, path="/1", environ=environ, cwd=ROOT, log=log) as process:
        children = psutil.Process(process.pid).children(recursive=True)
        yield f"http://127.0.0.1:{port}", [child.pid for child in children]


def _workload(
    workload: str, tokens: Tokens, base: str, workers: list[int], folder: pathlib.Path, seconds: int
) -> dict[str, Any]:
    """Play a workload twice: alone for its rate, and looked at by perf."""
    options: dict[str, Any] = {"connections": SIGN_INS if workload == "W4" else CONNECTIONS}
    options |= {"seconds": seconds, "mode": "refresh" if workload == "W6" else "cycle"}
    file = folder / "requests.txt"
    results = []
    for part, workers_looked_at in enumerate(([], workers)):
        refreshing = [Request("POST", "/", body=token) for token in tokens.refreshed[part]]
        write_requests(file, refreshing if workload == "W6" else prepared(MAKERS["portero"], workload, tokens))
        with _looking(workers_looked_at, seconds, folder):
            results.append(play(file, base, **options))
        if results[-1]["errors"]:
            raise WrongAnswer(f"{workload}: {results[-1]['errors']} errors in {results[-1]['requests']} requests")
    alone, _ = results
    return {
        "micro": 1e6 * alone["seconds"] / alone["requests"],
        "bytes": round(alone["bytes"] / alone["requests"]),
        "shares": _shares(folder),
    }


@contextmanager
def _looking(workers: list[int], seconds: int, folder: pathlib.Path) -> Iterator[None]:
    """Let perf look at the workers while the block runs, from its first second to its last."""
    if not workers:
        yield
        return
    record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(_LOOKS), "-o", str(folder / "perf.data")]
    record += ["-p", ",".join(map(str, workers)), "--", "sleep", str(max(1, seconds - 1))]
    looking = subprocess.Popen(record, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(0.3)
    yield
    _, complaints = looking.communicate()
    if looking.returncode:
        raise CouldNotRun(f"perf could not look: {complaints}")


def _shares(folder: pathlib.Path) -> dict[str, float]:
    report = ["perf", "report", "-i", str(folder / "perf.data"), "--stdio", "-F", "overhead,dso,sym"]
    report += ["--percent-limit", "0", "-t", "\t"]
    done = subprocess.run(report, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CouldNotRun(f"perf could not report: {done.stderr}")
    return shares_of(done.stdout)


def shares_of(report: str) -> dict[str, float]:
    """Add up perf's report by groups.

    >>> shares_of("60.00%\\t_sqlite3.cpython-311.so\\t[.] jsonParse\\n40.00%\\tlibpython3.11.so\\t[.] x")
    {'JSON': 0.6, 'interpreter': 0.4}
    """
    shares: dict[str, float] = {}
    for line in report.splitlines():
        parts = [part.strip() for part in line.split("\t")]
        if len(parts) < 3 or not parts[0].endswith("%"):
            continue
        library, function = pathlib.PurePosixPath(parts[1]).name, parts[2].removeprefix("[.] ").removeprefix("[k] ")
        group = next((name for name, named in GROUPS.items() if re.search(named, library)), "other")
        if group == "SQLite" and function.lower().startswith("json"):
            group = "JSON"
        shares[group] = shares.get(group, 0.0) + float(parts[0].rstrip("%")) / 100
    return {name: round(share, 4) for name, share in sorted(shares.items(), key=lambda each: -each[1])}


def _server_alone(workload: str, size: int, tokens: Tokens, base: str, folder: pathlib.Path, seconds: int) -> float:
    """Give microseconds of a request that is answered at once, with as many bytes and the same headers."""
    _, _, asked = by_hand(MAKERS["portero"], "W2" if workload in ("W6", "W10") else workload, tokens)
    headers = asked.headers or bearer(tokens.access[1])
    write_requests(folder / "requests.txt", [Request(asked.method, f"/{size}", headers, asked.body)])
    return _micro(folder / "requests.txt", base, seconds)


def _micro(file: pathlib.Path, base: str, seconds: int) -> float:
    """Give microseconds of a request."""
    play(file, base, connections=CONNECTIONS, seconds=1)
    result = play(file, base, connections=CONNECTIONS, seconds=seconds)
    if result["errors"]:
        raise WrongAnswer(f"{result['errors']} errors of what stands beside Portero")
    return 1e6 * float(result["seconds"]) / float(result["requests"])


def _stages() -> dict[str, Any]:
    command = pinned(sys.executable, "-m", "benchmarks.micro_read", "--json")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_"))}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    stages: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return stages


def _limits(folder: pathlib.Path) -> dict[str, float]:
    """Give microseconds of one password hash, and of one sync of a page to the disk."""
    command = pinned(sys.executable, "-m", "benchmarks.bare_hash", "2", "libsodium")
    hashes = float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    return {"hash": 1e6 / hashes, "sync": sync_of(folder)}


def sync_of(folder: pathlib.Path) -> float:
    """Give microseconds that a written page takes to the disk, one after the other."""
    times = 300
    with (folder / "synced").open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(times):
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
        return (time.perf_counter() - began) / times * 1e6


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiled", description="Where the time goes.")
    parser.add_argument("--seconds", type=int, default=8, help="length of one measurement (default 8)")
    parser.add_argument("--quick", action="store_true", help="3 s each; nothing is written")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds = 3
    return arguments


if __name__ == "__main__":
    sys.exit(main())
