"""One round: all sides served at once, each workload asked of all its sides in turns of a second.

A shared machine's speed changes within seconds. So a measurement is cut into slices, and those of the sides alternate,
to the last side and back again: drift hits all alike. W6 and W7 use each token once, and one side alone has them; they
stay in one piece.

Before a workload is measured on a side, one answer is checked by hand, and a token with a changed signature must be
refused; then it is warmed up. An error during a measurement ends the run.
"""

from __future__ import annotations

import contextlib
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import psutil
from tests.served import free_port, serving

from benchmarks import flood
from benchmarks.load import HERE, merged, pinned, play, send, write_requests
from benchmarks.sides import FLOOD, Side, copied
from benchmarks.workloads import MEANING, Request, WrongAnswer, by_hand, check, prepared

CONNECTIONS = 32
#: A password hash takes 20 ms of a core. Of more at one time than seven on a core Portero tells some to come back.
SIGN_INS = 4
#: Most sign-outs a second that sessions are made for.
FASTEST_ENDING = 6_000
REFUSED = (400, 401, 403, 422)
#: What uses each token once.
_IN_ONE_PIECE = {"W6": "refresh", "W7": "once"}
#: Column → what verifies a password in it, with nothing around.
_BARE_HASHES = {"bare hash": "argon2-cffi", "libsodium alone": "libsodium"}

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long a measurement and the warm-up before it take, in seconds."""

    seconds: int
    warm_up: int

    @property
    def ended(self) -> int:
        """How many sessions are made for W7."""
        return FASTEST_ENDING * (self.seconds + self.warm_up) + 1


@dataclass(slots=True)
class Running:
    """A side that is served."""

    side: Side
    base: str
    process: int
    seconds_to_start: float

    def memory(self) -> dict[str, float]:
        """Give megabytes of all its processes: `pss` counts shared pages once, `rss` in each process."""
        pss = rss = 0
        first = psutil.Process(self.process)
        for process in [first, *first.children(recursive=True)]:
            held = process.memory_full_info()
            pss, rss = pss + held.pss, rss + held.rss
        return {"pss_mb": pss / 1e6, "rss_mb": rss / 1e6}


class Round:
    """Measures every workload once on every side that has it.

    Args:
        folder: for databases, requests, logs.
        lengths: of a measurement.
    """

    def __init__(self, folder: pathlib.Path, lengths: Lengths) -> None:
        self.folder = folder
        self.lengths = lengths
        self.running: dict[str, Running] = {}

    def measure(self, sides: Iterable[Side], workloads: Sequence[str], title: str) -> dict[str, Any]:
        """Give workload → column → what was measured; under `start` and `memory` column → that.

        Raises:
            WrongAnswer: an application does not do what is measured.
        """
        asked = [workload for workload in MEANING if workload in workloads]
        measured: dict[str, Any] = {workload: {} for workload in asked} | {"start": {}, "memory": {}}
        every: dict[str, Side] = {}
        with contextlib.ExitStack() as stack:
            for side in sides:
                every[side.name] = side
                if set(asked) & set(side.workloads):
                    self.running[side.name] = stack.enter_context(self._served(side))
            for workload in asked:
                measured[workload] = self._measured(workload)
                for column, found in measured[workload].items():
                    _say(f"{title}: {workload:4} {column:22} {found['rate']:10,.1f} /s")
                if workload == ([each for each in asked if each != "W4"] or asked)[-1]:
                    # The hash would leave its own memory behind.
                    measured["memory"] = {each.side.name: each.memory() for each in self.running.values()}
            measured["start"] = {each.side.name: each.seconds_to_start for each in self.running.values()}
        if FLOOD in workloads:
            measured[FLOOD] = flood.measure(every["portero"], self.folder, self.lengths.seconds, title)
        return measured

    @contextlib.contextmanager
    def _served(self, side: Side) -> Iterator[Running]:
        database, port = copied(side, self.folder), free_port()
        environ = side.environ_of(database, port)
        log = self.folder / f"{side.name}.log"
        began = time.perf_counter()
        with serving(
            side.serving(port), port=port, path="/whoami", environ=environ, cwd=side.folder, log=log
        ) as process:
            seconds = time.perf_counter() - began
            yield Running(side, f"http://127.0.0.1:{port}", process.pid, seconds)

    def _measured(self, workload: str) -> dict[str, dict[str, float]]:
        """Give column → rate, p50_ms, p99_ms; of a bare hash the rate alone."""
        sides = {each.side.column: each for each in self.running.values() if workload in each.side.workloads}
        for running in sides.values():
            self._check_by_hand(running, workload)
        for running in sides.values():
            if self.lengths.warm_up:
                self._write_requests(running, workload, 0)
                self._played(running, workload, self.lengths.warm_up)
            self._write_requests(running, workload, 1)
        if workload in _IN_ONE_PIECE:
            slices = {name: [self._played(each, workload, self.lengths.seconds)] for name, each in sides.items()}
            return {column: _figures(found) for column, found in slices.items()}
        turns: dict[str, Callable[[], dict[str, Any]]]
        turns = {column: partial(self._played, running, workload, 1) for column, running in sides.items()}
        if workload == "W4" and "portero" in sides:
            turns |= {column: partial(_bare_hash, 1, name) for column, name in _BARE_HASHES.items()}
        return {column: _figures(found) for column, found in in_turns(turns, self.lengths.seconds).items()}

    def _write_requests(self, running: Running, workload: str, part: int) -> None:
        write_requests(self._requests(running), requests_of(running.side, workload, part, self.lengths))

    def _requests(self, running: Running) -> pathlib.Path:
        return self.folder / f"requests-{running.side.name}.txt"

    def _played(self, running: Running, workload: str, seconds: int) -> dict[str, Any]:
        connections, mode = SIGN_INS if workload == "W4" else CONNECTIONS, _IN_ONE_PIECE.get(workload, "cycle")
        result = play(self._requests(running), running.base, connections=connections, seconds=seconds, mode=mode)
        if result["errors"]:
            told = f"{result['errors']} errors in {result['requests']} requests"
            raise WrongAnswer(f"{running.side.name} {workload}: {told}; its log:\n{self._log(running.side)}")
        return result

    def _log(self, side: Side) -> str:
        return (self.folder / f"{side.name}.log").read_text(encoding="utf-8", errors="replace")[-1000:]

    def _check_by_hand(self, running: Running, workload: str) -> None:
        side = running.side
        try:
            if workload in ("W6", "W7"):
                _check_once(running, workload)
            else:
                for one in ("W2", "W3") if workload == "W10" else (workload,):
                    _check_one(running, one)
        except WrongAnswer as error:
            raise WrongAnswer(f"{side.name} {workload}: {error}; its log:\n{self._log(side)}") from None


def in_turns(work: Mapping[str, Callable[[], Found]], turns: int) -> dict[str, list[Found]]:
    """Do each so many times, in turns: from the first to the last, then back from the last to the first, and so on.

    >>> order = []
    >>> _ = in_turns({name: lambda name=name: order.append(name) for name in "abc"}, 3)
    >>> "".join(order)
    'abccbaabc'
    """
    found: dict[str, list[Found]] = {name: [] for name in work}
    for turn in range(turns):
        for name in list(work)[:: -1 if turn % 2 else 1]:
            found[name].append(work[name]())
    return found


def _figures(slices: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    if "latency" not in slices[0]:
        return {"rate": statistics.fmean(each["rate"] for each in slices)}
    result = merged(slices)
    return {key: result[key] for key in ("rate", "p50_ms", "p99_ms")}


def requests_of(side: Side, workload: str, part: int, lengths: Lengths) -> Iterable[Request]:
    """Give what is played: in the warm-up (part 0) or in the measurement (part 1)."""
    if workload == "W6":
        # The first token of all is spent by hand.
        return (Request("POST", "/", body=token) for token in side.tokens.refreshed[part][1:])
    if workload == "W7":
        split = 1 + FASTEST_ENDING * lengths.warm_up
        tokens = side.tokens.ended[1:split] if part == 0 else side.tokens.ended[split:]
        return (_signing_out(token) for token in tokens)
    return prepared(side.makers, workload, side.tokens)


def _signing_out(token: str) -> Request:
    return Request("POST", "/auth/v1/logout?scope=local", {"Authorization": f"Bearer {token}"})


def _check_one(running: Running, workload: str) -> None:
    person, note, request = by_hand(running.side.makers, workload, running.side.tokens)
    answer = send(running.base, request)
    check(workload, person, note, answer)
    if "Authorization" not in request.headers:
        return
    token = request.headers["Authorization"]
    changed = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]
    refused = send(running.base, request, dict(request.headers) | {"Authorization": changed})
    if refused.status not in REFUSED:
        raise WrongAnswer(f"a changed token was answered with {refused.status}: {refused.body[:300]!r}")


def _check_once(running: Running, workload: str) -> None:
    """A session that is signed out is refused at the next request; a changed refresh token is refused."""
    tokens = running.side.tokens
    if workload == "W7":
        ending = _signing_out(tokens.ended[0])
        first, second = send(running.base, ending), send(running.base, ending)
        if first.status != 204 or second.status not in REFUSED:
            raise WrongAnswer(f"a sign-out is answered with {first.status}, the next request with {second.status}")
        return
    token = tokens.refreshed[0][0]
    changed = token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:]
    refused, answer = _refreshed(running, changed), _refreshed(running, token)
    if refused.status not in REFUSED or answer.status != 200 or b'"refresh_token"' not in answer.body:
        raise WrongAnswer(f"a changed refresh token is answered with {refused.status}, a good one {answer.status}")


def _refreshed(running: Running, token: str) -> Any:
    path, headers = "/auth/v1/token?grant_type=refresh_token", {"Content-Type": "application/json"}
    return send(running.base, Request("POST", path, headers, f'{{"refresh_token":"{token}"}}'))


def _bare_hash(seconds: int, name: str) -> dict[str, float]:
    command = pinned(sys.executable, "-m", "benchmarks.bare_hash", str(seconds), name)
    return {"rate": float(subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=True).stdout)}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
