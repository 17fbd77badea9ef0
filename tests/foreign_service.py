"""A foreign HTTP service on this machine: it notes what it is asked, and answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Question:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Service(ThreadingHTTPServer):
    """The service; `meanwhile` is called before it answers. A redirect leads to another path of its own."""

    daemon_threads = True

    def __init__(self, answer: tuple[int, str]) -> None:
        self.asked: list[Question] = []
        self.answer = answer
        self.meanwhile: Callable[[], object] = lambda: None
        super().__init__(("127.0.0.1", 0), Conversation)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/asked"


class Conversation(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append(Question(self.command, self.path, dict(self.headers), body))
        self.server.meanwhile()
        status, text = self.server.answer
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"{self.server.url}/elsewhere")
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Say nothing on stderr."""


@contextmanager
def serving(answer: tuple[int, str]) -> Iterator[Service]:
    """Run a service while the block runs."""
    with Service(answer) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.02,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()
