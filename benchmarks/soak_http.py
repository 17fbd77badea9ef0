"""A small HTTP/1.1 client for load: connections that are kept open, one request at a time on each, no redirects."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PATIENCE = 60.0


class NoAnswer(Exception):
    """The server gave no whole answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; `body` is read from JSON, None where there is none."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Connections:
    """As many connections as requests are under way at one time; each request takes any that is free.

    Args:
        port: of this machine.
        chance: which connection is taken, so that every worker gets every user's requests.
    """

    def __init__(self, port: int, chance: random.Random) -> None:
        self._port = port
        self._chance = chance
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Answer:
        """Send a request and read its answer.

        Raises:
            NoAnswer: the connection broke, or nothing came in a minute.
        """
        content = b"" if body is None else json.dumps(body).encode()
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: 127.0.0.1",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if method != "GET":
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        message = "\r\n".join([*lines, "", ""]).encode() + content
        try:
            reader, writer = await self._connection()
            writer.write(message)
            answer = await asyncio.wait_for(_read(reader), _PATIENCE)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            raise NoAnswer(f"{method} {path}: {error!r}") from error
        if answer.headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._free.append((reader, writer))
        return answer

    def close(self) -> None:
        """Close what is open."""
        for _, writer in self._free:
            writer.close()
        self._free.clear()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer = self._free.pop(self._chance.randrange(len(self._free)))
            if not (reader.at_eof() or writer.is_closing()):
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ", 2)[1])
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    content = b"" if status == 204 else await _content(reader, headers)
    is_json = "json" in headers.get("content-type", "")
    return Answer(status, headers, json.loads(content) if is_json and content else None)


async def _content(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    content = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        content += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return content
