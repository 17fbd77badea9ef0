"""The thread that sends mails while a process serves, and the page that shows them in development."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from tests.identity.people import SECRET
from tests.web.callers import Api

from portero import JWTManager
from portero.errors import ConfigurationError
from portero.identity.mail import Message
from portero.web.mail_worker import MailWorker
from portero.web.own_styles import POLICY

Make = Callable[..., Api]


class Telling:
    """A transport that says when a mail came, after one fault that nobody foresaw."""

    keeps_text = False

    def __init__(self, faults: int = 0) -> None:
        self.came = threading.Event()
        self.faults = faults
        self.tried = threading.Event()

    def send(self, message: Message, message_id: str, now: datetime) -> None:
        self.tried.set()
        if self.faults:
            self.faults -= 1
            raise ZeroDivisionError
        self.came.set()


def test_a_request_that_wants_a_mail_wakes_the_worker(api: Api) -> None:
    telling = Telling()
    worker = MailWorker(api.context, telling)
    worker.listen()
    try:
        api.call("POST", "/otp", {"email": "ann@example.org"})
        assert telling.came.wait(10)
    finally:
        worker.stop()
    assert [] == [thread for thread in threading.enumerate() if thread.name == "portero-mail"]
    worker.wake()
    assert [] == [thread for thread in threading.enumerate() if thread.name == "portero-mail"]


def test_a_fault_that_nobody_foresaw_does_not_end_the_worker(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    telling = Telling(faults=1)
    worker = MailWorker(api.context, telling)
    worker.listen()
    try:
        api.call("POST", "/otp", {"email": "ann@example.org"})
        assert telling.tried.wait(10)
        api.call("POST", "/otp", {"email": "ben@example.org"})
        assert telling.came.wait(10)
    finally:
        worker.stop()
    assert "the background work failed" in caplog.text


def test_a_frozen_application_sends_unless_it_is_tested(sqlite_url: str) -> None:
    found: list[Any] = []
    for testing in (True, False):
        app = Flask("app")
        app.config.update(TESTING=testing, JWT_SECRET_KEY=SECRET, PORTERO_DATABASE_URL=sqlite_url, PORTERO_DEV=True)
        jwt = JWTManager(app)
        runtime = jwt.freeze(app)
        found.append(runtime.identity.mail_bell._answer is None)
        jwt.close(app)
    assert [True, False] == found


@pytest.mark.parametrize(
    ("sentence", "settings"),
    [
        ("PORTERO_SMTP_URL needs PORTERO_MAIL_FROM", {"smtp_url": "smtps://mail.example"}),
        ("PORTERO_SMTP_URL cannot be what it is", {"smtp_url": "http://user:hidden@mail.example"}),
        ("PORTERO_SMTP_URL cannot be what it is", {"smtp_url": "smtp://user:hidden@mail.example"}),
        ("PORTERO_CONFIRM_EMAIL cannot be 'perhaps'", {"confirm_email": "perhaps"}),
    ],
)
def test_settings_of_mails_that_do_not_fit_are_refused_without_the_password(
    make: Make, sentence: str, settings: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        make(**settings)
    assert "hidden" not in str(caught.value)


def test_the_mail_box_shows_the_mails_and_their_links_and_runs_nothing(api: Api) -> None:
    empty = api.call("GET", "/mail-box")
    assert "It is empty" in empty.get_data(as_text=True)
    api.call("POST", "/otp", {"email": "ann@example.org", "data": {"locale": "es"}})
    answer = api.call("GET", "/mail-box")
    page = answer.get_data(as_text=True)
    assert (200, "text/html; charset=utf-8") == (answer.status_code, answer.content_type)
    assert POLICY == answer.headers["Content-Security-Policy"]
    link = api.mails[0].link.replace("&", "&amp;")
    assert f'<a href="{link}">{link}</a>' in page
    assert "Su enlace para entrar" in page
    assert '."' not in page.partition("<section>")[2]


@pytest.mark.parametrize(
    "options",
    [{"headers": {"Host": "evil.example"}}, {"environ_base": {"REMOTE_ADDR": "192.0.2.1"}}],
)
def test_the_mail_box_is_for_this_machine_only(api: Api, options: dict[str, Any]) -> None:
    assert 404 == api.call("GET", "/mail-box", **options).status_code


def test_outside_development_there_is_no_mail_box(api: Api) -> None:
    object.__setattr__(api.runtime.settings, "dev", False)
    assert 404 == api.call("GET", "/mail-box").status_code
