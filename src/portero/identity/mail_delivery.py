"""Sending what the outbox holds: claimed by one of all workers, tried again with growing pauses, given up in the end.

A mail is claimed by one conditional UPDATE before it is sent, so several workers send it once; the claim ends after
five minutes, so what a worker that died had claimed is sent by another (then, and only then, perhaps twice: under the
same Message-ID). No transaction is open while a mail server is spoken to. No address and no text is logged, except by
the local mail box, which development is for.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from portero.identity import addresses, mail, redirects
from portero.identity.context import Caller, IdentityContext
from portero.identity.mail import Letter, Message
from portero.identity.mail_templates import MailKind
from portero.records import dataclass
from portero.settings import Settings
from portero.store import outbox
from portero.store.outbox import OutgoingMailRecord

LOG: Final = logging.getLogger("portero.mail")

#: Longer than a mail server that answers each step at the last moment takes for all of them.
_CLAIMED_FOR: Final = timedelta(minutes=5)
_AT_ONCE: Final = 20
_SECONDS: Final = 15.0
_PAUSES: Final = tuple(timedelta(seconds=each) for each in (5, 15, 60, 300, 900, 3600))
_PORTS: Final = {"smtps": 465, "smtp+starttls": 587, "smtp": 25}


class Undeliverable(Exception):
    """The mail server will not take this mail, however often it is asked; the text says why, without the address."""


class Transport(Protocol):
    """Where mails go."""

    keeps_text: bool

    def send(self, message: Message, message_id: str, now: datetime) -> None:
        """Send one mail.

        Raises:
            Undeliverable: it is of no use to try again.
            OSError, smtplib.SMTPException: it may be of use.
        """


class LocalBox:
    """In development: the mail stays in the outbox, where its page shows it, and stands in the log."""

    keeps_text = True

    def send(self, message: Message, message_id: str, now: datetime) -> None:
        """Log the mail."""
        LOG.warning("Mail to %s: %s\n%s", message.to, message.rendered.subject, message.rendered.text)


@dataclass(frozen=True, slots=True)
class Smtp:
    """A mail server; TLS with a checked certificate, except on this machine with `smtp://`."""

    settings: Settings
    keeps_text = False

    def send(self, message: Message, message_id: str, now: datetime) -> None:
        """Send one mail over a connection of its own.

        Raises:
            Undeliverable: the server says no for good.
            OSError, smtplib.SMTPException: it may be of use to try again.
        """
        made = email_of(message, self.settings.mail_from, message_id, now)
        try:
            with self._connect() as server:
                server.send_message(made, to_addrs=[message.to])
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as error:
            status = _status_of(error)
            if status >= 500:
                raise Undeliverable(f"the mail server says {status}") from error
            raise

    def _connect(self) -> smtplib.SMTP:
        url = urlsplit(self.settings.smtp_url)
        host, port = url.hostname or "", url.port or _PORTS[url.scheme]
        if url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=ssl.create_default_context())
        else:
            server = smtplib.SMTP(host, port, timeout=_SECONDS)
        try:
            if url.scheme == "smtp+starttls":
                server.starttls(context=ssl.create_default_context())
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
        except BaseException:
            server.close()
            raise
        return server


def transport_of(settings: Settings) -> Transport | None:
    """Return where an application's mails go; None where none can be sent."""
    if settings.smtp_url:
        return Smtp(settings)
    return LocalBox() if settings.dev else None


def send_due(
    context: IdentityContext, transport: Transport, now: datetime, clock: Callable[[], float] = time.monotonic
) -> int:
    """Send the mails that are due and that nobody else is sending; return how many were sent.

    Args:
        context: the application's.
        transport: where mails go.
        now: the current time.
        clock: seconds; what those before it took does not shorten the claim on a mail.

    Raises:
        DatabaseUnavailable: the outbox cannot be read or written now.
    """
    begun = clock()
    with context.database.reading() as connection:
        found = outbox.due(connection, now, _AT_ONCE)
    return sum(_send(context, transport, record, now, timedelta(seconds=clock() - begun)) for record in found)


def send_test(context: IdentityContext, transport: Transport, address: str, now: datetime) -> None:
    """Send a mail that says nothing, at once and past the outbox, to see whether it can be done.

    Raises:
        AuthError: 400 validation_failed: no address.
        Undeliverable, OSError, smtplib.SMTPException: it cannot; the text says why.
    """
    to = addresses.canonical_email(address)
    values = {"SiteURL": redirects.site_url(context.settings), "Time": f"{now:%Y-%m-%d %H:%M} UTC"}
    letter = Letter(kind=MailKind.TEST, to=to, values=values, expires_at=now)
    transport.send(mail.render(context, letter, {}, Caller()), str(uuid4()), now)


def email_of(message: Message, sender: str, message_id: str, now: datetime) -> EmailMessage:
    """Return a mail as it goes over the wire; a line break in a header is refused by its class."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, message.to, message.rendered.subject
    made["Date"] = format_datetime(now)
    made["Message-ID"] = f"<{message_id}@{parseaddr(sender)[1].rpartition('@')[2] or 'localhost'}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(message.rendered.text)
    made.add_alternative(message.rendered.html, subtype="html")
    return made


def _send(
    context: IdentityContext, transport: Transport, record: OutgoingMailRecord, now: datetime, since: timedelta
) -> bool:
    with context.database.writing() as connection:
        if not outbox.claim(connection, record, now + since + _CLAIMED_FOR):
            return False
        message = mail.read(context, record)
        fault = "its time is over" if record.expires_at <= now else "it cannot be opened" if message is None else ""
        if fault:
            outbox.give_up(connection, record.id, fault, now, keep_text=False)
    if fault or message is None:
        LOG.error("mail %s (%s) was given up: %s", record.id, record.kind, fault)
        return False
    try:
        transport.send(message, str(record.id), now)
    except Undeliverable as error:
        _note_refusal(context, record, str(error), now)
        return False
    except (OSError, smtplib.SMTPException) as error:
        _note_fault(context, record, type(error).__name__, now)
        return False
    with context.database.writing() as connection:
        outbox.note_sent(connection, record.id, now, keep_text=transport.keeps_text)
    return True


def _note_refusal(context: IdentityContext, record: OutgoingMailRecord, fault: str, now: datetime) -> None:
    with context.database.writing() as connection:
        outbox.give_up(connection, record.id, fault, now, keep_text=True)
    LOG.error("mail %s (%s) was given up: %s", record.id, record.kind, fault)


def _note_fault(context: IdentityContext, record: OutgoingMailRecord, fault: str, now: datetime) -> None:
    pause = _PAUSES[min(record.tries, len(_PAUSES) - 1)]
    with context.database.writing() as connection:
        outbox.note_fault(connection, record.id, fault, now + pause)
    LOG.warning("mail %s (%s) is tried again in %s: %s", record.id, record.kind, pause, fault)


def _status_of(error: smtplib.SMTPException) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max((status for status, _ in error.recipients.values()), default=0)
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0
