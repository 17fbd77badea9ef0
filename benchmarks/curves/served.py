"""Curves of a server: more clients at one time, more workers. wrk asks from the last core, as in `make bench`."""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.served import free_port, served

from benchmarks.curves.databases import Databases
from benchmarks.curves.rows import Found
from benchmarks.curves.timing import Turns
from benchmarks.load import LOAD_CORE, play, write_requests
from benchmarks.sides import ROOT, portero_environ, seed_portero, serve_portero
from benchmarks.workloads import MAKERS, Tokens, prepared

CONNECTIONS = 32
_ASKED = {"W1": "one by id", "W2": "page of 20", "W10": "page of 20, a fifth inserts"}


def clients(databases: Databases, turns: Turns, sizes: Sequence[int]) -> Found:
    """More clients at one time; one worker on one core."""
    found: Found = {"x": list(sizes), "series": {"page of 20": []}, "beside": {"p99, ms": []}}
    with _serving(databases, 1, {0}) as (base, tokens, folder):
        for size in sizes:
            measured = _played(base, tokens, folder, "W2", size, turns)
            found["series"]["page of 20"].append(measured["rate"])
            found["beside"]["p99, ms"].append(measured["p99_ms"])
    return found


def workers(databases: Databases, turns: Turns, sizes: Sequence[int]) -> Found:
    """More workers, on all cores but the one of the load; where there are two cores, on both."""
    cores = set(range(os.cpu_count() or 1))
    cores = cores - {LOAD_CORE} if len(cores) > max(sizes) else cores
    found: Found = {"x": list(sizes), "series": {name: [] for name in _ASKED.values()}, "cores": len(cores)}
    for size in sizes:
        with _serving(databases, size, cores) as (base, tokens, folder):
            for workload, name in _ASKED.items():
                found["series"][name].append(_played(base, tokens, folder, workload, CONNECTIONS, turns)["rate"])
    return found


@contextmanager
def _serving(databases: Databases, workers: int, cores: set[int]) -> Iterator[tuple[str, Tokens, pathlib.Path]]:
    with tempfile.TemporaryDirectory(prefix="portero-curves-") as name:
        folder, port = pathlib.Path(name), free_port()
        environ = portero_environ(databases.new(f"served{workers}"))
        tokens = seed_portero(environ, folder / "tokens.json")
        command = [part.replace("{port}", str(port)) for part in serve_portero(workers)]
        pinned = ["taskset", "-c", ",".join(map(str, sorted(cores))), *command]
        log = folder / "server.log"
        with served(pinned, port=port, path="/whoami", environ=environ, cwd=ROOT, log=log) as base:
            yield base, tokens, folder


def _played(
    base: str, tokens: Tokens, folder: pathlib.Path, workload: str, connections: int, turns: Turns
) -> dict[str, float]:
    """Give the median of the rounds."""
    file = folder / "requests.txt"
    write_requests(file, prepared(MAKERS["portero"], workload, tokens))
    seconds = max(1, round(turns.seconds))
    play(file, base, connections=connections, seconds=1)
    measured = []
    for _ in range(turns.rounds):
        result = play(file, base, connections=connections, seconds=seconds)
        assert not result["errors"], result
        measured.append({"rate": round(result["requests"] / result["seconds"], 1), "p99_ms": result["p99_ms"]})
    return sorted(measured, key=lambda each: each["rate"])[len(measured) // 2]
