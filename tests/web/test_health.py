"""Whether mails get out is told by a word: what the thread that sends them saw last (auth.md §7; threats OP-13)."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from tests.web.callers import Api, now
from tests.web.conftest import Make

from portero.identity import admin, recovery
from portero.identity.admin import NewUser
from portero.identity.mail import Message
from portero.store import outbox
from portero.web.mail_worker import MailWorker
from portero.web.runtime import FROZEN

FAILING = {"status": "ok", "mail": "failing"}


class Away:
    """A mail server that is away until it is said that it is back."""

    keeps_text = False

    def __init__(self) -> None:
        self.is_back = False

    def send(self, message: Message, message_id: str, now: datetime) -> None:
        if not self.is_back:
            raise ConnectionRefusedError


def ask(api: Api) -> object:
    return api.app.test_client().get("/health").get_json()


@pytest.fixture
def mailing(make: Make) -> tuple[Api, Away, MailWorker]:
    api, away = make(throttle_sign_up=0), Away()
    worker = MailWorker(api.context, away)
    held = api.runtime
    object.__setattr__(held, "mail_worker", worker)
    assert held is api.app.extensions[FROZEN]
    return api, away, worker


def asked_for_a_mail(api: Api, at: datetime) -> None:
    admin.create(api.context, NewUser(email="ann@example.org"), at)
    recovery.recover(api.context, recovery.Asked(email="ann@example.org"), admin.NO_CALLER, at)


def test_a_mail_that_waits_for_more_than_a_minute_is_told_by_a_word(mailing: tuple[Api, Away, MailWorker]) -> None:
    api, away, worker = mailing
    assert {"status": "ok"} == ask(api)
    asked_for_a_mail(api, now() - timedelta(minutes=2))
    worker._work()
    assert FAILING == ask(api)
    contract = api.call("GET", "/health").get_json()
    assert ({"version", "name", "description", "mail"}, "failing") == (set(contract), contract["mail"])
    assert "ann@" not in str(contract)
    away.is_back = True
    with api.context.database.writing() as connection:
        connection.exec_driver_sql("UPDATE portero_outbox SET next_try_at = created_at")
    worker._work()
    assert {"status": "ok"} == ask(api)


def test_a_mail_that_was_written_just_now_is_no_failure(mailing: tuple[Api, Away, MailWorker]) -> None:
    api, _, worker = mailing
    asked_for_a_mail(api, now())
    worker._work()
    assert {"status": "ok"} == ask(api)


def test_asking_does_not_ask_the_database(mailing: tuple[Api, Away, MailWorker]) -> None:
    api, _, worker = mailing
    asked_for_a_mail(api, now() - timedelta(minutes=2))
    worker._work()
    database = api.runtime.database
    object.__setattr__(api.runtime, "database", None)
    assert [FAILING] * 20 == [ask(api) for _ in range(20)]
    object.__setattr__(api.runtime, "database", database)


def test_a_backlog_is_worked_off_without_pauses(mailing: tuple[Api, Away, MailWorker]) -> None:
    """Thirty mails are more than one look takes."""
    api, away, worker = mailing
    away.is_back = True
    for number in range(30):
        api.call("POST", "/otp", {"email": f"u{number}@example.org"})
    with api.context.database.reading() as connection:
        written = len(outbox.latest(connection, 100))
    worker.wake()
    done = threading.Event()
    for _ in range(400):
        with api.context.database.reading() as connection:
            waiting = outbox.has_waiting(connection, now())
        if not waiting:
            break
        done.wait(0.02)
    worker.stop()
    assert (False, 30) == (waiting, written)
