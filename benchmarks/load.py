"""The load: wrk plays prepared requests from the last core, two threads; and one request by hand.

A measurement may be cut into slices. Each begins and ends with nothing under way (play.lua), so its rate is that of
all its requests until the last answer. Percentiles cannot be averaged, so wrk counts its requests by how long they
took, in buckets 1 % wide (with its own correction for those that a slow answer kept from being asked); the counts of
slices are added, and percentiles are read from the sum.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.workloads import Answer, Request

HERE = pathlib.Path(__file__).resolve().parent
SERVER_CORE, LOAD_CORE = 0, 1
THREADS = 2
#: Most seconds that what is under way at the end is waited for.
_DRAINING = 30

WRK_MISSING = """wrk, the load generator, is not installed. Get it with one of
    apt-get install wrk        (Debian, Ubuntu)
    dnf install wrk            (Fedora)
    brew install wrk           (macOS; cores cannot be pinned there)
or build it: https://github.com/wg/wrk"""


class CouldNotRun(Exception):
    """There is nothing to report; the sentence says why."""


def demand_tools() -> None:
    """See that wrk, taskset and two cores are there.

    Raises:
        CouldNotRun: one of them is not.
    """
    if shutil.which("wrk") is None:
        raise CouldNotRun(WRK_MISSING)
    if shutil.which("taskset") is None:
        raise CouldNotRun("taskset is not installed; it is part of util-linux")
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise CouldNotRun("two cores are needed: one for the server, one for the load")


def pinned(*command: str, cores: Sequence[int] = (SERVER_CORE,)) -> list[str]:
    """Give the command that runs on these cores, by default on the server's."""
    return ["taskset", "-c", ",".join(map(str, cores)), *command]


def write_requests(file: pathlib.Path, requests: Iterable[Request]) -> None:
    """Write requests as play.lua reads them."""
    with file.open("w", encoding="utf-8") as sink:
        for request in requests:
            headers = "\1".join(f"{name}={value}" for name, value in request.headers.items())
            sink.write("\t".join([request.method, request.path, request.body, headers]) + "\n")


def wrk_command(base: str, connections: int, seconds: float, threads: int = THREADS) -> list[str]:
    """Give the command that plays the requests named by `REQUESTS`."""
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds:g}s"]
    return [*command, "--timeout", "30s", "--script", str(HERE / "play.lua"), base]


def play(file: pathlib.Path, base: str, *, connections: int, seconds: int, mode: str = "cycle") -> dict[str, Any]:
    """Play the requests for so long and wait for the last answers; give what `merged` gives.

    Raises:
        CouldNotRun: wrk ended without a result, or an answer did not come.
    """
    threads = min(THREADS, connections)
    # A thread of wrk has its even part of the connections.
    environ = os.environ | {"REQUESTS": str(file), "MODE": mode, "SECONDS": str(seconds)}
    environ |= {"CONNECTIONS": str(connections // threads)}
    command = wrk_command(base, connections, seconds + _DRAINING, threads)
    drained, output = 0, ""
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as wrk:
        assert wrk.stdout is not None
        for line in wrk.stdout:
            output += line
            drained += line == "DRAINED\n"
            if line == "DRAINED\n" and drained == threads:
                wrk.send_signal(signal.SIGINT)
    result = result_of(output)
    if drained < threads and not result["errors"]:
        raise CouldNotRun(f"an answer did not come within {_DRAINING} s:\n{output}")
    return result


def result_of(output: str, complaints: str = "") -> dict[str, Any]:
    """Read what wrk said at its end.

    Raises:
        CouldNotRun: it said nothing.
    """
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return merged([json.loads(line.removeprefix("RESULT "))])
    raise CouldNotRun(f"wrk gave no result:\n{output}{complaints}")


def merged(slices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Make one result of several: requests, seconds, bytes, errors, latency (µs → requests), rate, p50_ms, p99_ms."""
    added = ("requests", "seconds", "bytes", "errors")
    result: dict[str, Any] = {key: sum(each[key] for each in slices) for key in added}
    latency: Counter[float] = Counter()
    for each in slices:
        latency.update({float(micro): count for micro, count in each["latency"].items()})
    result |= {"latency": dict(latency), "rate": result["requests"] / result["seconds"]}
    return result | {f"p{percent}_ms": percentile(latency, percent) / 1000 for percent in (50, 99)}


def percentile(counts: Mapping[float, int], percent: float) -> float:
    """Give the least value that so many in a hundred do not exceed.

    >>> percentile({30.0: 1, 10.0: 98, 20.0: 1}, 50), percentile({30.0: 1, 10.0: 98, 20.0: 1}, 99)
    (10.0, 20.0)
    """
    wanted, below = percent / 100 * sum(counts.values()), 0
    for value in sorted(counts):
        below += counts[value]
        if below >= wanted:
            return value
    return 0.0


def send(base: str, request: Request, headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request, with other headers if given; any status is an answer."""
    data = request.body.encode() if request.body else None
    sent = dict(request.headers if headers is None else headers)
    asked = urllib.request.Request(base + request.path, data=data, headers=sent, method=request.method)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return Answer(answer.status, _lowered(answer.headers), answer.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, _lowered(refused.headers), refused.read())


def _lowered(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
