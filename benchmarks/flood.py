"""What others keep of their speed while one client floods: with requests of new shapes, bad tokens, unknown keys.

A hundred users read pages (W2) over 32 connections; one client, at an address of its own, asks over 8 more as fast as
it is answered. The server has published keys besides its secret, so that signatures of either kind can be wrong. What
the others keep is their rate under the flood by the mean of those right before and right after it. An ordinary client
as busy is shown beside it: it takes its share too, and is no flood.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tests.served import free_port, served

from benchmarks.load import CouldNotRun, play, result_of, write_requests, wrk_command
from benchmarks.sides import ROOT, Side, copy_database
from benchmarks.workloads import NEWEST, PREPARED, Request, WrongAnswer, bearer, prepared

CONNECTIONS, OF_THE_FLOOD = 32, 8
#: Seconds a flood begins before it is measured, and ends after.
LEAD = 2
FROM = {"X-Forwarded-For": "203.0.113.9"}
_NOTES = "/rest/v1/notes?"


def flooded(side: Side, folder: pathlib.Path) -> tuple[Side, str]:
    """Give the side with published keys, behind a proxy that names addresses; and the id of its key."""
    database = folder / "seed-flooded.db"
    assert side.database is not None
    copy_database(side.database, database)
    environ = side.environ_of(database, 0) | {"PORTERO_TRUSTED_PROXIES": "1"}
    command = [sys.executable, "-m", "portero", "--app", "benchmarks.portero_app", "keys", "new", "--alg", "ES256"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    made = re.search(r"Made the ES256 key (\S+)\.", done.stdout)
    if made is None:
        raise CouldNotRun(f"no key could be made:\n{done.stdout}{done.stderr}")
    return replace(side, name="portero-flooded", environ=environ), made[1]


def measure(side: Side, folder: pathlib.Path, seconds: int, title: str) -> dict[str, dict[str, float]]:
    """Give, of each flood, the others' rate without (`quiet`) and with it (`rate`), and the flood's own.

    Raises:
        WrongAnswer: another than the flooding client was refused.
    """
    side, kid = flooded(side, folder)
    port, found = free_port(), {}
    log = folder / f"{side.name}.log"
    with served(side.serving(port), port=port, path="/whoami", environ=side.environ, cwd=ROOT, log=log) as base:
        others = folder / "others.txt"
        write_requests(others, _others(side))
        quiet = _rate_of_others(others, base, seconds)["rate"]
        for name, make in FLOODS.items():
            write_requests(folder / "flood.txt", make(side, kid))
            flood = _flooding(folder / "flood.txt", base, seconds + 2 * LEAD)
            try:
                time.sleep(LEAD)
                beside = _rate_of_others(others, base, seconds)
            finally:
                output, complaints = flood.communicate()
            its, before = result_of(output, complaints), quiet
            quiet = _rate_of_others(others, base, seconds)["rate"]
            found[name] = beside | {"quiet": (before + quiet) / 2, "flood": its["requests"] / its["seconds"]}
            kept = beside["rate"] / found[name]["quiet"]
            print(f"{title}: flood of {name:28} others keep {kept:5.2f}", file=sys.stderr, flush=True)
    return found


def _rate_of_others(file: pathlib.Path, base: str, seconds: int) -> dict[str, float]:
    result = play(file, base, connections=CONNECTIONS, seconds=seconds)
    if result["errors"]:
        raise WrongAnswer(f"others than the flooding client got {result['errors']} errors: {result}")
    return {"rate": result["requests"] / result["seconds"], "p99_ms": result["p99_ms"]}


def _flooding(file: pathlib.Path, base: str, seconds: int) -> subprocess.Popen[str]:
    command = wrk_command(base, OF_THE_FLOOD, seconds, threads=1)
    environ = os.environ | {"REQUESTS": str(file), "MODE": "cycle"}
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _others(side: Side) -> Iterator[Request]:
    """Give the pages of a hundred users, each at an address of their own."""
    addresses = {f"Bearer {token}": f"198.51.100.{number}" for number, token in side.tokens.access.items()}
    for request in prepared(side.makers, "W2", side.tokens):
        own = {"X-Forwarded-For": addresses[request.headers["Authorization"]]}
        yield replace(request, headers=dict(request.headers) | own)


def _asking(paths: Sequence[str], token: str | None) -> list[Request]:
    headers = FROM if token is None else bearer(token) | FROM
    return [Request("GET", path, headers) for path in paths]


def _shapes() -> list[str]:
    """Give reads that differ in more than a value: each names its column anew."""
    return [f"{_NOTES}select=id,name{number}:title&done=is.false&limit=20" for number in range(PREPARED)]


def _ordinary(side: Side, kid: str) -> list[Request]:
    return _asking([_NOTES + NEWEST], side.tokens.access[1])


def _new_shapes(side: Side, kid: str) -> list[Request]:
    return _asking(_shapes(), side.tokens.access[1])


def _new_shapes_of_strangers(side: Side, kid: str) -> list[Request]:
    return _asking(_shapes(), None)


def _with_tokens(make: Callable[[random.Random, str], str], side: Side) -> list[Request]:
    """Give the page, each with a token of its own that is not good; the claims are a good one's."""
    chance = random.Random("flood")
    good = side.tokens.access[1]
    return [request for _ in range(PREPARED) for request in _asking([_NOTES + NEWEST], make(chance, good))]


def _changed_secret_signatures(side: Side, kid: str) -> list[Request]:
    return _with_tokens(lambda chance, good: f"{good.rpartition('.')[0]}.{_base64url(chance.randbytes(32))}", side)


def _changed_published_signatures(side: Side, kid: str) -> list[Request]:
    return _with_tokens(lambda chance, good: _es256(good, kid, chance), side)


def _unknown_kids(side: Side, kid: str) -> list[Request]:
    return _with_tokens(lambda chance, good: _es256(good, f"key-{chance.randrange(10**12)}", chance), side)


def _es256(good: str, kid: str, chance: random.Random) -> str:
    header = json.dumps({"alg": "ES256", "kid": kid, "typ": "JWT"}, separators=(",", ":"))
    return f"{_base64url(header.encode())}.{good.split('.')[1]}.{_base64url(chance.randbytes(64))}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


#: What the flooding client asks; the first is no flood, and not judged.
ORDINARY = "ordinary requests"
FLOODS: dict[str, Callable[[Side, str], list[Request]]] = {
    ORDINARY: _ordinary,
    "new shapes": _new_shapes,
    "new shapes, without a token": _new_shapes_of_strangers,
    "bad signatures, HS256": _changed_secret_signatures,
    "bad signatures, ES256": _changed_published_signatures,
    "unknown kids": _unknown_kids,
}
