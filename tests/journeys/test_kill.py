"""`kill -9` in full flight: what was acknowledged is there afterwards, and what was ended stays ended."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from pathlib import Path
from uuid import uuid4

from tests.journeys.project import Project, kill, open_sessions

from portero.store.sqlite_driver import DRIVER

ROUNDS = 4
INSERTS = 250
SIGN_OUTS = 50


class Load:
    """Threads that insert and sign out until the server is gone; only what was acknowledged is noted."""

    def __init__(self, project: Project, writer: str, sessions: list[tuple[str, str]]) -> None:
        self._project = project
        self._writer = writer
        self._sessions = iter(sessions)
        self._guard = threading.Lock()
        self.inserted: list[str] = []
        self.ended: list[tuple[str, str]] = []

    def run_and_kill(self, inserts: int, sign_outs: int) -> None:
        """Serve, load, and kill as soon as so many are acknowledged in all."""
        with self._project.serving() as leader:
            threads = [threading.Thread(target=self._insert) for _ in range(4)]
            threads += [threading.Thread(target=self._sign_out) for _ in range(2)]
            for thread in threads:
                thread.start()
            until = time.monotonic() + 60
            while len(self.inserted) < inserts or len(self.ended) < sign_outs:
                assert time.monotonic() < until, (len(self.inserted), len(self.ended))
                assert any(thread.is_alive() for thread in threads)
                time.sleep(0.002)
            kill(leader)
            for thread in threads:
                thread.join()

    def _insert(self) -> None:
        for _ in itertools.count():
            title = str(uuid4())
            if not self._acknowledged("POST", "/rest/v1/notes", {"title": title}, self._writer, 201):
                return
            self.inserted.append(title)

    def _sign_out(self) -> None:
        while True:
            with self._guard:
                session = next(self._sessions, None)
            if session is None or not self._acknowledged("POST", "/auth/v1/logout?scope=local", None, session[0], 204):
                return
            self.ended.append(session)
            time.sleep(0.02)  # so that the sign-outs last as long as the inserts

    def _acknowledged(self, method: str, path: str, body: object, token: str, expected: int) -> bool:
        try:
            answer = self._project.ask(method, path, body, token)
        except (OSError, http.client.HTTPException):
            return False
        assert expected == answer.status, answer
        return True


def test_nothing_acknowledged_is_lost_and_nothing_ended_comes_back(project: Project) -> None:
    """A thousand inserts and two hundred sign-outs, each of its own session only."""
    ((writer, _),) = open_sessions(project, "writer@example.org", 1)
    sessions = open_sessions(project, "leaver@example.org", ROUNDS * SIGN_OUTS * 3)
    load = Load(project, writer, sessions)
    for each in range(1, ROUNDS + 1):
        load.run_and_kill(each * INSERTS, each * SIGN_OUTS)
    assert (1000, 200) <= (len(load.inserted), len(load.ended))
    with project.serving():
        assert set(load.inserted) <= set(project.everything("notes", "title", writer))
        for access, refresh in load.ended:
            assert 403 == project.ask("GET", "/auth/v1/user", token=access).status
            assert 401 == project.ask("GET", "/rest/v1/notes?limit=1", token=access).status
            spent = project.ask("POST", "/auth/v1/token?grant_type=refresh_token", {"refresh_token": refresh})
            assert (400, "refresh_token_not_found") == (spent.status, spent.body["error_code"])
        untouched = sessions[-1][0]
        assert 200 == project.ask("GET", "/auth/v1/user", token=untouched).status
    _check_integrity(project.folder / "instance" / "portero.db")


def _check_integrity(path: Path) -> None:
    connection = DRIVER.connect(str(path))
    assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
    assert [] == connection.execute("PRAGMA foreign_key_check").fetchall()
    connection.close()
