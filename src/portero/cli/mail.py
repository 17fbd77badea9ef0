"""`portero mail`: what became of mails, once more, and a test. No text of a mail is shown: it may hold a link."""

from __future__ import annotations

import smtplib
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import click

from portero.cli.project import opened
from portero.cli.tables import moment, print_table
from portero.errors import AuthError, ConfigurationError
from portero.identity import mail_delivery
from portero.identity.mail_delivery import LocalBox, Undeliverable
from portero.store import outbox

_NOWHERE: Final = "No mail can be sent: set PORTERO_SMTP_URL and PORTERO_MAIL_FROM, or write a send_email hook."


@click.group()
def mail() -> None:
    """Mails: list, retry, test."""


@mail.command("list")
@click.option("--state", type=click.Choice(outbox.STATES), help="Only those that wait, failed, or were sent.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.pass_context
def list_mails(context: click.Context, state: outbox.State | None, limit: int) -> None:
    """List mails of the last seven days, newest first, and why those failed that did."""
    with opened(context) as runtime:
        with runtime.database.reading() as connection:
            found = outbox.page(connection, state, limit=limit)
            counts = outbox.counts(connection)
        rows = [
            (
                str(each.id),
                each.kind,
                str(each.user_id or "-"),
                moment(each.created_at),
                each.state,
                str(each.tries),
                moment(each.next_try_at),
                each.last_fault or "-",
            )
            for each in found
        ]
        print_table(["id", "kind", "user", "written", "state", "tries", "next try", "why"], rows)
        click.echo(", ".join(f"{number} {word}" for word, number in counts.items()))
        if runtime.mail_worker is not None and isinstance(runtime.mail_worker.transport, LocalBox):
            click.echo("In development none leaves this machine: sent means that it is in the local mail box.")


@mail.command()
@click.argument("mail_id", metavar="[ID]", required=False, type=click.UUID)
@click.option("--all", "every", is_flag=True, help="All that wait or failed.")
@click.pass_context
def retry(context: click.Context, mail_id: UUID | None, every: bool) -> None:
    """Make the mail ID due now, whether it waits or was given up; not if its link is void already."""
    if every == (mail_id is not None):
        raise click.UsageError("Name one mail, or say --all.")
    with opened(context) as runtime:
        with runtime.database.writing() as connection:
            count = outbox.retry(connection, datetime.now(UTC), mail_id)
        if not count and mail_id is not None:
            raise ConfigurationError("There is no such mail that waits or failed and is worth sending.")
        click.echo(f"{count} mails are due now; a running server sends them within ten seconds.")


@mail.command()
@click.argument("address")
@click.pass_context
def test(context: click.Context, address: str) -> None:
    """Send a test mail to ADDRESS, at once. Exit code 1: it was not taken, and why."""
    with opened(context) as runtime:
        if runtime.mail_worker is None:
            raise ConfigurationError(_NOWHERE)
        transport = runtime.mail_worker.transport
        try:
            mail_delivery.send_test(runtime.identity, transport, address, datetime.now(UTC))
        except AuthError as error:
            raise ConfigurationError(error.message) from error
        except (Undeliverable, OSError, smtplib.SMTPException) as error:
            raise ConfigurationError(f"It was not taken: {type(error).__name__}: {error}") from error
        where = (
            "It is in the log: in development nothing is sent." if isinstance(transport, LocalBox) else "It was taken."
        )
        click.echo(where)
