"""A mail server on this machine that takes what comes, or refuses it as it is told."""

from __future__ import annotations

import contextlib
import email
import email.policy
import socketserver
from email.message import EmailMessage
from typing import Any


class Server(socketserver.ThreadingTCPServer):
    """A mail server that takes what comes, or answers RCPT with another status."""

    allow_reuse_address = True
    daemon_threads = True
    rcpt = "250 ok"
    data_end = "250 ok"

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        super().__init__(("127.0.0.1", 0), Conversation)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class Conversation(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        self.say("220 here")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.say("354 go on")
                self.take()
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say(self.server.rcpt if verb == b"RCPT" else "250 ok")

    def take(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        if self.server.data_end.startswith("2"):
            made: Any = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
            self.server.received.append(made)
        self.say(self.server.data_end)

    def say(self, text: str) -> None:
        with contextlib.suppress(ConnectionError):  # who wanted TLS has gone
            self.wfile.write(text.encode() + b"\r\n")
