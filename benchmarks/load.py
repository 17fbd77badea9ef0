"""The load: wrk plays prepared requests from the last core, two threads; and one request by hand."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.workloads import Answer, Request

HERE = pathlib.Path(__file__).resolve().parent
SERVER_CORE, LOAD_CORE = 0, 1

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


def wrk_command(base: str, connections: int, seconds: float, threads: int = 2) -> list[str]:
    """Give the command that plays the requests named by `REQUESTS`."""
    threads = min(threads, connections)
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds:g}s"]
    return [*command, "--timeout", "30s", "--script", str(HERE / "play.lua"), base]


def play(file: pathlib.Path, base: str, *, connections: int, seconds: int, mode: str = "cycle") -> dict[str, Any]:
    """Play the requests; give requests, seconds, p50_ms, p99_ms, errors.

    Raises:
        CouldNotRun: wrk ended without a result.
    """
    environ = os.environ | {"REQUESTS": str(file), "MODE": mode}
    command = wrk_command(base, connections, seconds)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=seconds + 60)
    return result_of(done.stdout, done.stderr)


def result_of(output: str, complaints: str = "") -> dict[str, Any]:
    """Read what wrk said at its end.

    Raises:
        CouldNotRun: it said nothing.
    """
    for line in output.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return result
    raise CouldNotRun(f"wrk gave no result:\n{output}{complaints}")


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
