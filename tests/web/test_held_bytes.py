"""Whatever callers send, and however long it is, a process holds no more of it than a small part."""

from __future__ import annotations

import gc
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.web.described_app import make_app

from portero.testing import running

LONG = 200_000
REQUESTS = 24
#: Of 24 requests of 200 kB, and of what is made of them.
HELD = 1_500_000
Ask = Callable[..., int]
Send = Callable[[Ask, int], object]


@dataclass
class Sender:
    """Sends requests as a server does, without a client that would keep URLs of its own."""

    app: Any
    token: str

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> int:
        """Send one request; give the status."""
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SCRIPT_NAME": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.7",
            "HTTP_HOST": "127.0.0.1:8000",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_AUTHORIZATION": f"Bearer {self.token}",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }
        said: list[str] = []
        answered = self.app.wsgi_app(environ, lambda status, headers, *_: said.append(status))
        assert b"".join(answered) is not None
        if hasattr(answered, "close"):
            answered.close()
        return int(said[0][:3])


@pytest.fixture
def sender(database_url: str, tmp_path: Path) -> Iterator[Sender]:
    """An application with every kind of column, and somebody who is signed in."""
    app = make_app()
    app.config["PORTERO_TRUSTED_PROXIES"] = 1
    with running(app, tmp_path, database_url=database_url) as opened:
        yield Sender(app, opened.sign_in("anna").access_token)


def fill(number: int) -> str:
    return f"a{number}" + "x" * LONG


def names(number: int) -> str:
    """A select of 250 items whose names make it long."""
    return ",".join(f"n{number}_{place}{'y' * (LONG // 250)}:title" for place in range(250))


def conditions(number: int) -> str:
    """Twenty filters, of which each number makes another kind."""
    return "&".join(f"the%20line={'not.' if number >> place & 1 else ''}eq.x" for place in range(20))


def written(**members: Any) -> bytes:
    return json.dumps(members).encode()


def token_of(ask: Ask, number: int) -> int:
    return ask("GET", "/rest/v1/notes", authorization=f"Bearer eyJ{fill(number)}.e30.c2ln")


SENT: dict[str, Send] = {
    "accept": lambda ask, n: ask("GET", "/rest/v1/notes?select=id", accept=f"application/json;a={fill(n)}"),
    "prefer": lambda ask, n: ask("GET", "/rest/v1/notes?select=id", prefer=f"return={fill(n)}, tx={fill(n)}"),
    "a zone": lambda ask, n: ask("GET", "/rest/v1/notes?select=id", prefer=f"timezone={fill(n)}"),
    "range": lambda ask, n: ask("GET", "/rest/v1/notes?select=id", range=fill(n), range_unit=fill(n)),
    "a profile": lambda ask, n: ask("GET", "/rest/v1/notes?select=id", accept_profile=fill(n)),
    "a path": lambda ask, n: ask("GET", f"/rest/v1/{fill(n)}"),
    "a value": lambda ask, n: ask("GET", f"/rest/v1/log book?the%20line=eq.{fill(n)}"),
    "names": lambda ask, n: ask("GET", f"/rest/v1/notes?select={names(n)}&limit={n}&offset={n}"),
    "names read back": lambda ask, n: ask(
        "PATCH",
        f"/rest/v1/notes?title=eq.x&select={names(n)}",
        written(title="x"),
        prefer="return=representation",
    ),
    "names of an insert": lambda ask, n: ask(
        "POST", f"/rest/v1/notes?columns={fill(n)}", written(title="x"), prefer="return=representation"
    ),
    "values of a change": lambda ask, n: ask(
        "PATCH", f"/rest/v1/log book?{conditions(n)}", written(**{"the line": fill(n)})
    ),
    "members": lambda ask, n: ask("POST", "/rest/v1/notes", written(**{fill(n): 1})),
    "a conflict": lambda ask, n: ask(
        "POST", f"/rest/v1/notes?on_conflict={fill(n)}", written(title="x"), prefer="resolution=merge-duplicates"
    ),
    "a version": lambda ask, n: ask("PATCH", "/rest/v1/notes?title=eq.x", written(title="x"), if_match=fill(n)),
    "a token": token_of,
    "a token at the users": lambda ask, n: ask("GET", "/auth/v1/user", authorization=f"Bearer {fill(n)}"),
    "a key": lambda ask, n: ask("GET", "/rest/v1/notes?select=id", apikey=f"sb_publishable_{fill(n)}"),
    "a redirect": lambda ask, n: ask("GET", f"/auth/v1/verify?token={n}&type=signup&redirect_to=http://{fill(n)}/"),
    "an agent": lambda ask, n: ask("GET", "/auth/v1/user", user_agent=fill(n), accept_language=fill(n)),
    "an address": lambda ask, n: ask(
        "POST", "/auth/v1/recover", written(email="a@example.org"), x_forwarded_for=f"fe80::{n}%{fill(n)}"
    ),
    "a strange address": lambda ask, n: ask(
        "GET", f"/rest/v1/topics?select=a{n}:name", authorization="", x_forwarded_for=f"fe80::{n}%{fill(n)}"
    ),
    "a batch": lambda ask, n: ask(
        "POST",
        "/rest/v1/-/batch",
        json.dumps([{"method": "GET", "path": f"/notes?select={names(n)}&limit=1"}]).encode(),
    ),
}


@pytest.mark.parametrize("what", SENT)
def test_long_requests_that_are_all_different_leave_little_behind(sender: Sender, what: str) -> None:
    """5 MB come in, twice, each of them different; then at most 1.5 MB more are held than before."""
    send = SENT[what]
    for number in range(4):
        send(sender.ask, 1000 + number)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in [*range(REQUESTS), *range(REQUESTS)]:
            send(sender.ask, number)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < HELD, f"{held:,} bytes"
    assert 200 == sender.ask("GET", "/rest/v1/notes?select=id"), "the next good request is served"
