"""Passwords that were in a breach: what is asked of whom, and what holds when there is no answer (threats CR-12)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from tests.foreign_service import Service, serving
from tests.identity.people import HOME, NOW, context_on, signed_up

from portero.errors import AuthError, ConfigurationError
from portero.identity import admin, breaches, generated_links, outbound, sign_up, user
from portero.identity.context import IdentityContext
from portero.identity.generated_links import LinkWish
from portero.settings import Settings, read_settings
from portero.store.engine import Database

KNOWN = "correct horse battery"
DIGEST = hashlib.sha1(KNOWN.encode()).hexdigest().upper()
LISTED = f"{'0' * 35}:3\r\n{DIGEST[5:]}:17\r\n{'F' * 35}:0\r\n"
PADDED = f"{'0' * 35}:3\r\n{DIGEST[5:]}:0\r\n"


@pytest.fixture
def service() -> Iterator[Service]:
    with serving((200, LISTED)) as found:
        yield found


@pytest.fixture
def asking(sqlite_database: Database, service: Service) -> IdentityContext:
    return context_on(sqlite_database, breach_check_url=service.url)


def sign_up_with(context: IdentityContext, password: str, email: str = "ann@example.org") -> None:
    sign_up.with_password(context, sign_up.Form(email=email, password=password), HOME, NOW)


def test_five_digits_of_the_digest_leave_and_the_answer_is_asked_to_be_padded(service: Service) -> None:
    assert breaches.is_breached(service.url, KNOWN)
    (question,) = service.asked
    assert ("GET", f"/asked/{DIGEST[:5]}", b"") == (question.method, question.path, question.body)
    assert "true" == question.headers["Add-Padding"]
    assert {"Accept", "Accept-Encoding", "Add-Padding", "Connection", "Host", "User-Agent"} == set(question.headers)


def test_a_password_that_is_not_listed_or_only_as_padding_was_in_no_breach(service: Service) -> None:
    assert not breaches.is_breached(service.url, "another horse battery")
    service.answer = (200, PADDED)
    assert not breaches.is_breached(service.url, KNOWN)


CHANGES: list[Callable[[IdentityContext], object]] = [
    lambda context: sign_up_with(context, KNOWN, "new@example.org"),
    lambda context: user.update(
        context, admin.get(context, ann(context)).user, None, user.Wishes(password=KNOWN), HOME, NOW
    ),
    lambda context: admin.set_password(context, ann(context), KNOWN, NOW),
    lambda context: admin.create(context, admin.NewUser(email="new@example.org", password=KNOWN), NOW),
    lambda context: generated_links.generate(
        context, LinkWish(type="signup", email="new@example.org", password=KNOWN), HOME, NOW
    ),
]


def ann(context: IdentityContext) -> UUID:
    found = admin.find(context, "ann@example.org")
    assert found is not None
    return found.user.id


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_chooses_a_breached_password_is_told_so_outside_any_transaction(
    asking: IdentityContext, service: Service, change: Callable[[IdentityContext], object]
) -> None:
    """While the service is asked somebody else writes: on SQLite there is one writer."""
    signed_up(asking)
    service.asked.clear()
    wrote = []

    def write() -> None:
        with asking.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM portero_outbox")
        wrote.append(True)

    service.meanwhile = write
    with pytest.raises(AuthError) as caught:
        change(asking)
    assert (422, "weak_password") == (caught.value.status, caught.value.code)
    assert {"weak_password": {"reasons": ["pwned"]}} == caught.value.extra
    assert [True] == wrote


def test_who_is_stopped_by_a_limit_asks_nobody(sqlite_database: Database, service: Service) -> None:
    context = context_on(sqlite_database, breach_check_url=service.url, throttle_sign_up=1)
    for email in ("ann@example.org", "ben@example.org"):
        with pytest.raises(AuthError) as caught:
            sign_up_with(context, KNOWN, email)
    assert (429, 1) == (caught.value.status, len(service.asked))


def test_without_the_setting_nobody_is_asked(sqlite_database: Database, service: Service) -> None:
    sign_up_with(context_on(sqlite_database), KNOWN)
    assert [] == service.asked


@pytest.mark.parametrize("answer", [(503, LISTED), (302, ""), (200, "no list"), (200, "é" * 10)])
def test_a_service_that_answers_something_else_refuses_no_password(
    service: Service, answer: tuple[int, str], asking: IdentityContext
) -> None:
    service.answer = answer
    sign_up_with(asking, KNOWN)
    assert 1 == len(service.asked)


def test_a_service_that_is_away_refuses_no_password_and_is_noted(
    asking: IdentityContext, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Threats CR-12."""
    service.shutdown()
    service.server_close()
    sign_up_with(asking, KNOWN)
    assert "the breach check has no answer (URLError): the password was taken without it" in caplog.text
    assert DIGEST[:5] not in caplog.text


def test_a_service_that_does_not_answer_in_time_refuses_no_password(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """Threats CR-12."""
    silent = threading.Event()
    service.meanwhile = lambda: silent.wait(30) and None
    began = time.monotonic()
    assert not breaches.is_breached(service.url, KNOWN, seconds=0.2)
    assert 0.2 <= time.monotonic() - began < 10
    assert "no answer in time" in caplog.text
    silent.set()


def test_the_service_has_two_seconds() -> None:
    assert 2.0 == breaches.SECONDS


def test_an_answer_without_end_is_not_read(service: Service) -> None:
    service.answer = (200, "0" * 3_000_000)
    assert not breaches.is_breached(service.url, KNOWN)


def test_questions_under_way_are_bounded_and_one_more_is_not_asked(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbound, "_SLOTS", threading.BoundedSemaphore(1))
    assert breaches.is_breached(service.url, KNOWN)
    outbound._SLOTS.acquire()
    assert not breaches.is_breached(service.url, KNOWN)
    assert "too many questions are under way" in caplog.text
    assert 1 == len(service.asked)


def test_where_no_thread_can_start_nobody_is_asked_and_the_next_question_is(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "_SLOTS", threading.BoundedSemaphore(1))

    def no_more(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        assert not breaches.is_breached(service.url, KNOWN)
    assert breaches.is_breached(service.url, KNOWN)


@pytest.mark.parametrize("url", ["http://pwned.example/range", "ftp://127.0.0.1/range", "pwned"])
def test_the_digits_do_not_travel_in_the_clear(url: str) -> None:
    with pytest.raises(ConfigurationError, match="PORTERO_BREACH_CHECK_URL cannot be"):
        read_settings({"PORTERO_BREACH_CHECK_URL": url}, {})


def test_the_url_may_end_with_a_slash() -> None:
    found = read_settings({"PORTERO_BREACH_CHECK_URL": "https://pwned.example/range/"}, {})
    assert "https://pwned.example/range" == found.breach_check_url
    assert "" == Settings().breach_check_url
