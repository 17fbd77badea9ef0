"""Asks an application in this process through its WSGI callable, as a server would: no socket, no other process."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.workloads import Answer, Request

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def raw(request: Request) -> dict[str, bytes]:
    """Give the request's part of a WSGI environment, its texts as bytes, as they come from a socket."""
    path, _, query = request.path.partition("?")
    texts = {"REQUEST_METHOD": request.method, "PATH_INFO": path, "QUERY_STRING": query}
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        texts[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    if request.body:
        texts |= {"CONTENT_LENGTH": str(len(request.body)), "body": request.body}
    return {name: value.encode() for name, value in texts.items()}


def ask(app: Wsgi, prepared: Mapping[str, bytes]) -> Answer:
    """Ask once; every text of the environment is made anew, so that no hash of an earlier one is kept."""
    environ: dict[str, Any] = {name: value.decode("latin-1") for name, value in prepared.items()}
    body = environ.pop("body", "").encode("latin-1")
    environ |= {
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    started: list[Any] = []
    answered = app(environ, lambda status, headers, *_: started.extend((status, headers)))
    content = b"".join(answered)
    closing = getattr(answered, "close", None)
    if closing is not None:
        closing()
    return Answer(int(started[0][:3]), {name.lower(): value for name, value in started[1]}, content)
