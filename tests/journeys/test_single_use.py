"""What is good for one use is used once: twenty want it at one time, of several processes on one database (MF-08).

On SQLite three processes of one server share a file; on PostgreSQL two servers share a database. Every kind of link,
code, nonce, challenge and refresh generation goes through both (threats MF-08, SE-09).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import psycopg
import pytest
import sqlalchemy as sa
from tests.at_once import at_once
from tests.identity.people import SECRET
from tests.journeys.project import ROOT
from tests.journeys.spending import PREPARED, Person, Spending
from tests.served import free_port, served
from tests.web.callers import VERSION, Api
from tests.web.conftest import make_api
from tests.web.test_mailed_links import CONFIRMING

from portero.store.tables import OWN_TABLES

#: Whose tokens they take, whichever port they listen on.
URL = "http://127.0.0.1:8000"
#: Every step comes from one address here; limits have tests of their own.
UNLIMITED = {f"throttle_{name}": 0 for name in ("sign_in", "sign_up", "refresh", "update", "mfa")}


@dataclass(frozen=True)
class Nodes:
    """Servers on one database, and an application of this process beside them, which prepares and looks."""

    api: Api
    ports: Sequence[int]

    def ask(self, number: int, spending: Spending) -> tuple[int, str]:
        """Ask one of the servers; give status and code, "" where it was answered well.

        "Not now" is no answer to the question: a row that twenty wait for may be held for longer than a lock is waited
        for, on a busy machine. Who is told so asks again when told to, as clients do, and nothing was spent.
        """
        while True:
            status, code, retry_after = self._ask(number, spending)
            if status != 503:
                return status, code
            time.sleep(int(retry_after))

    def _ask(self, number: int, spending: Spending) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[number % len(self.ports)], timeout=60)
        body, kind = json.dumps(spending.bodies[number]), "application/json"
        if spending.as_form:
            body, kind = urlencode(spending.bodies[number]), "application/x-www-form-urlencoded"
        headers = {**VERSION, "Content-Type": kind, "Authorization": f"Bearer {spending.token or ''}"}
        with contextlib.closing(connection):
            connection.request(spending.method, f"/auth/v1{spending.path}", body, headers)
            response = connection.getresponse()
            text, location = response.read(), response.getheader("Location", "")
            retry_after = response.getheader("Retry-After", "")
        if response.status == 303:
            return response.status, parse_qs(urlsplit(location).fragment).get("error_code", [""])[0], ""
        found = json.loads(text)
        if "refresh_token" in found:
            self.successors.add(found["refresh_token"])
        return response.status, found.get("code", "") if response.status >= 400 else "", retry_after

    @property
    def successors(self) -> set[str]:
        """The refresh tokens that were answered since the last preparation."""
        held: set[str] = self.api.app.extensions.setdefault("successors", set())
        return held

    def count(self, table: str, *conditions: Any) -> int:
        with self.api.context.database.reading() as connection:
            counted = sa.select(sa.func.count()).select_from(OWN_TABLES[table]).where(*conditions)
            return int(connection.execute(counted).scalar_one())


@contextlib.contextmanager
def nodes(url: str, folder: Path, workers: Sequence[int]) -> Iterator[Nodes]:
    """Serve the application as often as there are numbers of workers, all on one database."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "COVERAGE_"))}
    settings = {f"PORTERO_{name.upper()}": str(value) for name, value in UNLIMITED.items()}
    environ = {**kept, **settings, "PYTHONPATH": str(ROOT), "PORTERO_URL": URL, "MAIL_URL": url, "MAIL_SECRET": SECRET}
    command = [sys.executable, "-m", "portero", "--app", "tests.clients.mail_app:create_app", "serve"]
    api, ports = make_api(url, **{**CONFIRMING, **UNLIMITED}), [free_port() for _ in workers]
    with contextlib.ExitStack() as stack:
        stack.callback(api.runtime.database.close)
        for port, count in zip(ports, workers, strict=True):
            started = [*command, "--workers", str(count), "--port", str(port)]
            log = folder / f"serve-{port}.log"
            stack.enter_context(served(started, port=port, path="/health", environ=environ, cwd=folder, log=log))
        yield Nodes(api, ports)


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """One server of three processes."""
    folder = tmp_path_factory.mktemp("single-use")
    with nodes(f"sqlite:///{folder}/portero.db", folder, [3]) as found:
        yield found


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Iterator[Nodes]:
    """Two servers on one database."""
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with nodes(postgresql_url, tmp_path_factory.mktemp("single-use"), [1, 1]) as found:
        yield found


@pytest.mark.parametrize("what", PREPARED)
def test_on_sqlite_with_three_processes(on_sqlite: Nodes, what: str) -> None:
    """Of twenty who want it at one time, one gets it."""
    spend_and_look(on_sqlite, what)


@pytest.mark.parametrize("what", PREPARED)
def test_on_postgresql_with_two_nodes(on_postgresql: Nodes, what: str) -> None:
    """Of twenty who want it at one time, one gets it."""
    spend_and_look(on_postgresql, what)


def spend_and_look(on: Nodes, what: str) -> None:
    email = f"{''.join(filter(str.isalpha, what.lower()))}@example.org"
    spending = PREPARED[what](Person(on.api, email))
    on.successors.clear()
    found = at_once(lambda number: on.ask(number, spending))
    refused = [answer for answer in found if answer[1]]
    assert spending.successes == len(found) - len(refused), found
    assert set(refused) <= spending.refusals
    assert len(on.successors) <= 1 or spending.event == "email_changed"
    users, audit = OWN_TABLES["portero_users"], OWN_TABLES["portero_audit"]
    owner = sa.select(users.c.id).where(users.c.email == spending.email).scalar_subquery()
    assert 1 == on.count("portero_users", users.c.email == spending.email)
    assert spending.sessions == on.count("portero_sessions", OWN_TABLES["portero_sessions"].c.user_id == owner)
    assert spending.events == on.count("portero_audit", audit.c.user_id == owner, audit.c.happening == spending.event)
