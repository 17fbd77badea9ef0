"""`portero sweep`: remove what is over, now. `portero serve` does it at its start and from time to time by itself."""

from __future__ import annotations

import dataclasses

import click

from portero.cli.project import extension_of, load_app
from portero.web.sweep_worker import sweep_now


@click.command()
@click.pass_context
def sweep(context: click.Context) -> None:
    """Remove overdue sessions, void counters, codes, links, sent mails, old entries of the audit, unconfirmed sign-ups.

    Nothing that still counts is touched. Exit code 1: the database cannot be written now.
    """
    app = load_app(context)
    extension = extension_of(app)
    try:
        swept = sweep_now(extension.freeze(app))
    finally:
        extension.close(app)
    for name, rows in dataclasses.asdict(swept).items():
        click.echo(f"{name.replace('_', ' ')}: {rows}")
