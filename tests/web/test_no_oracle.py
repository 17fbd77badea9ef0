"""Nobody learns from an answer who has an account: status, body, headers and time are a stranger's (CR-01 to CR-04).

Sign-up, sign-in, recovery, resending and mailed codes, for an address that is nobody's and for every state an account
can be in. Time is CPU time of the thread that answers, which on SQLite is all the work there is, and on PostgreSQL that
of the server's processes besides; samples of every state take turns: what else the machine does decides nothing. Hashes
cost next to nothing here, so that the rest is seen.

What the contract itself tells is no oracle of ours: a made-up user has no identities, `create_user: false` is refused
for strangers, and where sign-ups confirm themselves a taken address is told.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.identity.people import PASSWORD
from tests.web.callers import Api, now
from tests.web.conftest import Make
from werkzeug.test import TestResponse

from portero.identity import admin
from portero.identity.admin import NewUser
from portero.identity.context import IdentityContext
from portero.store import users

SAMPLES = 24
#: Between the medians of two states; what is left out for a stranger is more than this.
SAME_CLASS = 1.5
#: How long one has to wait still, which the clock decides.
SECONDS = re.compile(r"\b(59|60)\b")


def stranger(context: IdentityContext, email: str) -> None:
    """Nobody has the address."""


def known(context: IdentityContext, email: str) -> None:
    admin.create(context, NewUser(email=email, password=PASSWORD), now())


def waiting(context: IdentityContext, email: str) -> None:
    """The address is to be proven."""
    admin.create(context, NewUser(email=email, password=PASSWORD, email_confirm=False), now())


def without_password(context: IdentityContext, email: str) -> None:
    admin.create(context, NewUser(email=email), now())


def banned(context: IdentityContext, email: str) -> None:
    account = admin.create(context, NewUser(email=email, password=PASSWORD), now())
    admin.ban(context, account.user.id, now())


def wishing(context: IdentityContext, email: str) -> None:
    """Another address is to be proven."""
    account = admin.create(context, NewUser(email=email), now())
    with context.changing() as change:
        users.update(change.connection, account.user.id, now(), email_change=f"new-{email}", email_change_sent_at=now())


State = Callable[[IdentityContext, str], None]


@dataclass(frozen=True)
class Endpoint:
    """What is asked, and the states in which its answer must say nothing."""

    path: str
    body: dict[str, Any]
    states: tuple[State, ...]

    def ask(self, api: Api, email: str) -> TestResponse:
        return api.call("POST", self.path, {"email": email, **self.body})


ENDPOINTS = {
    "sign-up": Endpoint("/signup", {"password": PASSWORD}, (stranger, known, waiting)),
    "sign-in": Endpoint(
        "/token?grant_type=password", {"password": "wrong"}, (stranger, known, waiting, without_password, banned)
    ),
    "recovery": Endpoint("/recover", {}, (stranger, known, waiting, banned)),
    "resending a confirmation": Endpoint("/resend", {"type": "signup"}, (stranger, known, waiting)),
    "resending a change": Endpoint("/resend", {"type": "email_change"}, (stranger, known, wishing)),
    "a code": Endpoint("/otp", {}, (stranger, known, waiting)),
    "a code for who is there": Endpoint("/otp", {"create_user": False}, (stranger, known, waiting)),
}
SETTINGS = {"confirm_email": "yes", "otp_silent": True, "throttle_sign_up": 0, "throttle_sign_in": 0}
each_endpoint = pytest.mark.parametrize("name", ENDPOINTS)


@each_endpoint
def test_an_answer_says_nothing_the_first_time_and_the_second(make_any: Make, name: str) -> None:
    """Threats CR-01, CR-03, CR-04: limits count for strangers too; the sixth sign-in has to wait."""
    api, endpoint = make_any(**SETTINGS), ENDPOINTS[name]
    said = []
    for state in endpoint.states:
        email = f"{state.__name__}@example.org"
        state(api.context, email)
        said.append([seen(endpoint.ask(api, email), email) for _ in range(6 if name == "sign-in" else 2)])
    assert [said[0]] * len(said) == said


def seen(answer: TestResponse, email: str) -> tuple[int, str, list[tuple[str, str]]]:
    """Give what a caller can compare: a User by its members, which alone differ from one to the next."""
    body = answer.get_json()
    text = answer.get_data(as_text=True) if "identities" not in body else f"{sorted(body)} {body['email'] == email}"
    headers = [(name, SECONDS.sub("so many", value)) for name, value in answer.headers if name != "Content-Length"]
    return answer.status_code, SECONDS.sub("so many", text), headers


@each_endpoint
def test_the_time_of_an_answer_says_nothing(make_any: Make, server: Callable[[], float], name: str) -> None:
    """Threats CR-02, CR-03, CR-04."""
    api, endpoint = make_any(**SETTINGS), ENDPOINTS[name]
    for state in endpoint.states:
        for number in range(SAMPLES):
            state(api.context, address(state, number))
    endpoint.ask(api, "warm@example.org")
    took: dict[str, list[float]] = {state.__name__: [] for state in endpoint.states}
    for number in range(SAMPLES):
        turn = number % len(endpoint.states)
        for state in endpoint.states[turn:] + endpoint.states[:turn]:
            of_server, began = server(), time.thread_time()
            endpoint.ask(api, address(state, number))
            took[state.__name__].append(time.thread_time() - began + server() - of_server)
    medians = {state: statistics.median(times) for state, times in took.items()}
    assert max(medians.values()) < SAME_CLASS * min(medians.values()), medians


@pytest.fixture
def server(database_url: str) -> Iterator[Callable[[], float]]:
    """Give the seconds of CPU time that the database's own processes have worked for who is connected."""
    if not database_url.startswith("postgresql"):
        yield lambda: 0.0
        return
    backends = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as looking:
        # Nanoseconds on a core, as the kernel counts them.
        yield lambda: sum(
            int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9 for (pid,) in looking.execute(backends)
        )


def address(state: State, number: int) -> str:
    return f"{state.__name__}-{number}@example.org"
