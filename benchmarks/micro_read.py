"""Where the time of a read goes, in one process and without a server: `python -m benchmarks.micro_read [--json]`.

Prints microseconds of each stage of W1, W2 and W5: the whole mount, the request from scratch, from the plan cache, the
database alone. Needs a built project only; its database lives in a temporary directory.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from benchmarks import seed
from benchmarks.data import notes
from portero.data.execute import parameters_of
from portero.data.nodes import HttpRequest
from portero.data.request import read_request
from portero.web.wsgi import respond

ROUNDS = 3000


def main() -> None:
    """Measure and print."""
    directory = tempfile.mkdtemp(prefix="portero-micro-")
    os.environ["JWT_SECRET_KEY"] = secrets.token_urlsafe(48)
    os.environ["PORTERO_DATABASE_URL"] = f"sqlite:///{directory}/micro.db"
    os.environ.setdefault("PORTERO_DEV", "1")
    tokens = seed.fill_portero()
    portero_app = importlib.import_module("benchmarks.portero_app")
    owner = next(iter(tokens))
    first = next(note.id for note in notes() if note.owner == owner)
    runtime = portero_app.app.extensions["portero"].freeze(portero_app.app)
    page = "done=is.false&order=created_at.desc&limit=20"
    workloads = {
        "W1": f"id=eq.{first}",
        "W2": page,
        "W5": f"select=*,author:users(name)&{page}",
    }
    measured = {name: _measured(runtime, tokens[owner], query) for name, query in workloads.items()}
    if "--json" in sys.argv:
        print(json.dumps(measured))
        return
    print("µs  ", *[f"{stage:>9}" for stage in next(iter(measured.values()))])
    for name, stages in measured.items():
        print(f"{name:4}", *[f"{micro:9.1f}" for micro in stages.values()])


def _measured(runtime: Any, token: str, query: str) -> dict[str, float]:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/rest/v1/notes",
        "QUERY_STRING": query,
        "HTTP_AUTHORIZATION": f"Bearer {token}",
    }
    answer = respond(environ, runtime, "/notes")
    assert answer.status == 200, answer.body
    api, now = runtime.data, datetime.now(UTC)
    principal = runtime.identity.access_tokens.principal(token, time.time())
    http = HttpRequest("GET", "/notes", query)
    prepared = api.reads.prepare(http, principal.role, guarded=True)
    shape = read_request(http, runtime.settings).shape
    parameters = parameters_of(prepared.filled, principal, now)
    stages: dict[str, Callable[[], Any]] = {
        "mount": lambda: respond(dict(environ), runtime, "/notes"),
        "pipeline": lambda: api.answer(http, principal, now),
        "prepared": lambda: api.reads.prepare(HttpRequest("GET", "/notes", query), principal.role, guarded=True),
        "parse": lambda: read_request(http, runtime.settings),
        "SQL": lambda: api.database.fetch_all(prepared.filled.sql, parameters),
    }
    measured = {name: _best(stage, ROUNDS) for name, stage in stages.items()}
    measured["compile"] = _best(lambda: api.reads.compile(shape, principal.role, True), 30)
    return measured | {"bytes": float(len(answer.body))}


def _best(stage: Callable[[], Any], rounds: int) -> float:
    found = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(rounds):
            stage()
        found.append((time.perf_counter() - start) / rounds * 1e6)
    return min(found)


if __name__ == "__main__":
    main()
