"""Mails leave the outbox once, by whichever worker, as soon as a mail server takes them (threats RL-27)."""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from tests.identity.people import HOME, NOW, with_settings
from tests.mail_server import Server

from portero.identity import mail_delivery, recovery
from portero.identity.context import IdentityContext
from portero.identity.mail import Message
from portero.identity.mail_delivery import LocalBox, Smtp, email_of
from portero.identity.mail_templates import Rendered
from portero.identity.recovery import Asked
from portero.settings import Settings
from portero.store import outbox
from portero.store.outbox import OutgoingMailRecord


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.02,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def smtp(url: str) -> Smtp:
    return Smtp(Settings(smtp_url=url, mail_from="Shop <no-reply@shop.example>"))


def a_mail(context: IdentityContext, address: str = "ann@example.org", now: datetime = NOW) -> None:
    recovery.magic_link(with_settings(context, dev=True), Asked(email=address), HOME, now)


def mails(context: IdentityContext) -> list[OutgoingMailRecord]:
    with context.database.reading() as connection:
        return list(outbox.latest(connection, 100))


@dataclass
class Counting:
    """A transport that counts, and fails as often as it is told."""

    keeps_text = False
    faults: list[Exception] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def send(self, message: Message, message_id: str, now: datetime) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.sent.append(message_id)


def test_a_mail_goes_out_as_text_and_html_and_its_text_is_removed(any_context: IdentityContext, server: Server) -> None:
    a_mail(any_context)
    assert 1 == mail_delivery.send_due(any_context, smtp(server.url), NOW)
    (sent,) = server.received
    (record,) = mails(any_context)
    assert "Shop <no-reply@shop.example>" == sent["From"]
    assert "ann@example.org" == sent["To"]
    assert f"<{record.id}@shop.example>" == sent["Message-ID"]
    assert "auto-generated" == sent["Auto-Submitted"]
    assert ["text/plain", "text/html"] == [part.get_content_type() for part in sent.iter_parts()]
    assert (None, NOW, None) == (record.sealed_message, record.sent_at, record.next_try_at)
    assert 0 == mail_delivery.send_due(any_context, smtp(server.url), NOW + timedelta(days=1))


def test_a_mail_that_waits_is_sealed(any_context: IdentityContext) -> None:
    """Who copies the database reads no link out of it."""
    a_mail(any_context)
    (record,) = mails(any_context)
    assert record.sealed_message is not None
    assert b"verify" not in record.sealed_message
    assert b"ann@" not in record.sealed_message


def test_a_mail_server_that_is_away_gets_the_mail_once_when_it_is_back(any_context: IdentityContext) -> None:
    """Threats RL-27."""
    a_mail(any_context)
    transport = Counting(faults=[ConnectionRefusedError(), TimeoutError(), smtplib.SMTPServerDisconnected()])
    at, seen = NOW, []
    for _ in range(4):
        seen.append(mail_delivery.send_due(any_context, transport, at))
        assert 0 == mail_delivery.send_due(any_context, transport, at)
        at = mails(any_context)[0].next_try_at or at
    assert [0, 0, 0, 1] == seen
    assert 1 == len(transport.sent)
    assert timedelta(seconds=5 + 15 + 60) == at - NOW


def test_several_workers_send_a_mail_once(any_context: IdentityContext) -> None:
    for number in range(5):
        a_mail(any_context, f"u{number}@example.org")
    transport, start = Counting(), threading.Barrier(8)

    def work() -> None:
        start.wait()
        mail_delivery.send_due(any_context, transport, NOW)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (5, 5) == (len(transport.sent), len(set(transport.sent)))


def test_a_slow_server_keeps_the_last_mail_of_a_batch_claimed_as_long_as_the_first(context: IdentityContext) -> None:
    """Else another node would send it a second time while this one does."""
    for number in range(3):
        a_mail(context, f"u{number}@example.org")
    elapsed, elsewhere = 0.0, Counting()

    class Slow(Counting):
        def send(self, message: Message, message_id: str, now: datetime) -> None:
            nonlocal elapsed
            super().send(message, message_id, now)
            elapsed += 200
            if len(self.sent) == 3:
                mail_delivery.send_due(context, elsewhere, NOW + timedelta(seconds=elapsed))

    assert 3 == mail_delivery.send_due(context, Slow(), NOW, lambda: elapsed)
    assert [] == elsewhere.sent


def test_what_a_dead_worker_claimed_is_due_again(context: IdentityContext) -> None:
    a_mail(context)
    with context.database.writing() as connection:
        (record,) = outbox.due(connection, NOW, 10)
        assert outbox.claim(connection, record, NOW + timedelta(minutes=2))
        assert not outbox.claim(connection, record, NOW + timedelta(minutes=2))
    transport = Counting()
    assert 0 == mail_delivery.send_due(context, transport, NOW + timedelta(minutes=1))
    assert 1 == mail_delivery.send_due(context, transport, NOW + timedelta(minutes=2))


@pytest.mark.parametrize(("name", "answer"), [("rcpt", "550 no such user"), ("data_end", "554 no")])
def test_what_the_server_refuses_for_good_is_given_up(
    context: IdentityContext, server: Server, name: str, answer: str
) -> None:
    setattr(server, name, answer)
    a_mail(context)
    assert 0 == mail_delivery.send_due(context, smtp(server.url), NOW)
    (record,) = mails(context)
    assert (NOW, f"the mail server says {answer[:3]}", None) == (
        record.failed_at, record.last_fault, record.next_try_at,
    )  # fmt: skip
    assert record.sealed_message is not None  # somebody may put the address right and try again


def test_a_server_that_is_busy_is_asked_again(context: IdentityContext, server: Server) -> None:
    server.rcpt = "451 later"
    a_mail(context)
    assert 0 == mail_delivery.send_due(context, smtp(server.url), NOW)
    assert NOW + timedelta(seconds=5) == mails(context)[0].next_try_at


def test_a_mail_whose_link_is_void_is_not_sent(context: IdentityContext) -> None:
    a_mail(context)
    transport = Counting()
    assert 0 == mail_delivery.send_due(context, transport, NOW + timedelta(days=2))
    assert ("its time is over", None) == (mails(context)[0].last_fault, mails(context)[0].next_try_at)


def test_the_local_mail_box_keeps_the_text_and_logs_it(
    context: IdentityContext, caplog: pytest.LogCaptureFixture
) -> None:
    a_mail(context)
    assert 1 == mail_delivery.send_due(context, LocalBox(), NOW)
    assert mails(context)[0].sealed_message is not None
    assert "/auth/v1/verify?token=" in caplog.text


def test_a_line_break_in_an_address_makes_no_header() -> None:
    message = Message("a@b.org\r\nBcc: v@example.org", Rendered("s", "t", "h"))
    with pytest.raises(ValueError, match=r"header|linefeed"):
        email_of(message, "no-reply@shop.example", "1", NOW)


def test_where_mails_go_is_said_by_the_settings() -> None:
    assert mail_delivery.transport_of(Settings()) is None
    assert isinstance(mail_delivery.transport_of(Settings(dev=True)), LocalBox)
    assert isinstance(mail_delivery.transport_of(Settings(dev=True, smtp_url="smtp://localhost")), Smtp)


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_a_server_without_tls_gets_nothing_where_tls_is_wanted(
    context: IdentityContext, server: Server, scheme: str
) -> None:
    a_mail(context)
    url = server.url.replace("smtp:", f"{scheme}:").replace("//", "//user:pass@")
    assert 0 == mail_delivery.send_due(context, smtp(url), NOW)
    assert [] == server.received
