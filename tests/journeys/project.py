"""A project to start, ask over HTTP and kill: what the journeys have in common."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tests.served import free_port, served

ROOT = Path(__file__).resolve().parents[2]
SECRET = "kq0b1lEoDZ5lN3nYw3b6mK1sVtq9v2cXh8YpJt4R7uE"
#: Many sign-ins come from one address here: the throttles have tests of their own.
UNTHROTTLED = {f"PORTERO_THROTTLE_{name}": "1000000" for name in ("SIGN_IN", "SIGN_UP", "REFRESH", "UPDATE")}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: Any


class Project:
    """A folder with an application, which may be served and killed several times."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # Coverage keeps its data with Python's own sqlite3: a second SQLite library in the very process under test.
        foreign = ("PORTERO_", "JWT_", "COVERAGE_")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        own = {"JWT_SECRET_KEY": SECRET, "PORTERO_URL": self.url, "PYTHONPATH": str(ROOT)}
        self.environ: Mapping[str, str] = {**inherited, **own, **UNTHROTTLED, **settings}

    def run(self, *arguments: str) -> str:
        """Run Python in the project; give what it printed."""
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=dict(self.environ), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{arguments[:3]}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def serving(self) -> Iterator[psutil.Process]:
        """Serve it with two workers; give the process that leads them."""
        command = [sys.executable, "-m", "portero", "--app", "app", "serve", "--workers", "2", "--port", str(self.port)]
        log = self.folder / "serve.log"
        with served(command, port=self.port, path="/auth/v1/health", environ=self.environ, cwd=self.folder, log=log):
            leaders = [child for child in psutil.Process().children() if str(self.port) in child.cmdline()]
            assert len(leaders) == 1
            yield leaders[0]

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Answer:
        """Ask on a connection of its own, so that either worker may answer.

        Raises:
            OSError, http.client.HTTPException: no answer came.
        """
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        is_json = "json" in response.getheader("Content-Type", "")
        return Answer(response.status, json.loads(text) if is_json and text else text)

    def everything(self, table: str, column: str, token: str) -> list[str]:
        """Read one column of all rows the caller sees."""
        found: list[str] = []
        while True:
            path = f"/rest/v1/{table}?select={column}&order={column}&limit=500&offset={len(found)}"
            answer = self.ask("GET", path, token=token)
            assert 200 == answer.status, answer
            found += [row[column] for row in answer.body]
            if len(answer.body) < 500:
                return found


def workers_of(leader: psutil.Process) -> list[psutil.Process]:
    """The processes that answer requests: those that have the application's library loaded."""
    return [each for each in leader.children(recursive=True) if "pysqlite3" in _maps(each)]


def _maps(process: psutil.Process) -> str:
    return Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")


def sqlite_libraries(process: psutil.Process) -> set[str]:
    """The files with an SQLite library in them that a process has loaded."""
    paths = {line.split(maxsplit=5)[5] for line in _maps(process).splitlines() if len(line.split(maxsplit=5)) == 6}
    return {path for path in paths if "sqlite" in Path(path).name and ".so" in Path(path).name}


def kill(leader: psutil.Process) -> None:
    """End a server and its workers as a power cut would: nobody gets to tidy up."""
    os.killpg(leader.pid, signal.SIGKILL)
    psutil.wait_procs([leader], timeout=10)


OPEN_SESSIONS = """
import json, sys
from datetime import UTC, datetime
from app import app
from portero.identity import admin, sessions
from portero.identity.context import Caller, Opened
extension = app.extensions["portero"]
context = extension.freeze(app).identity
now = datetime.now(UTC)
account = admin.create(context, admin.NewUser(email=sys.argv[1], password="correct horse battery"), now)
for _ in range(int(sys.argv[2])):
    with context.changing() as change:
        session = sessions.open_session(change, account.user, "password", Caller(), now)
    signed_in = sessions.tokens_for(context, Opened(account, session), now)
    print(json.dumps([signed_in.access_token, signed_in.refresh_token]))
extension.close(app)
"""


def open_sessions(project: Project, email: str, count: int) -> list[tuple[str, str]]:
    """Make a user with so many sessions, without hashing a password for each; give (access, refresh) tokens."""
    lines = project.run("-c", OPEN_SESSIONS, email, str(count)).splitlines()
    return [(access, refresh) for access, refresh in map(json.loads, lines)]
