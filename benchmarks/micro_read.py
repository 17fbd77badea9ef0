"""Where the time of a read goes, in one process and without a server: `python -m benchmarks.micro_read`.

Prints microseconds of each stage of W1, W2 and W5: the whole mount, the request from scratch, from the plan cache, the
database alone. Needs a built project only; its database lives in a temporary directory.
"""

from __future__ import annotations

import importlib
import os
import secrets
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
    print(f"{'µs':4} {'mount':>8} {'pipeline':>9} {'prepared':>9} {'parse':>8} {'compile':>9} {'SQL':>8} {'bytes':>7}")
    for name, query in workloads.items():
        print(name, *_measured(runtime, tokens[owner], query))


def _measured(runtime: Any, token: str, query: str) -> list[str]:
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
    stages: list[Callable[[], Any]] = [
        lambda: respond(dict(environ), runtime, "/notes"),
        lambda: api.answer(http, principal, now),
        lambda: api.reads.prepare(HttpRequest("GET", "/notes", query), principal.role, guarded=True),
        lambda: read_request(http, runtime.settings),
    ]
    times = [_best(stage, ROUNDS) for stage in stages]
    times.append(_best(lambda: api.reads.compile(shape, principal.role, True), 30))
    times.append(_best(lambda: api.database.fetch_all(prepared.filled.sql, parameters), ROUNDS))
    return [f"{one:8.1f}" for one in times] + [f"{len(answer.body):7}"]


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
