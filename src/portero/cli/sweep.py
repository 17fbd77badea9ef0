"""`portero sweep`: remove what is over. `portero serve` does the same once at its start; run it nightly beside it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import click

from portero.cli.project import extension_of, load_app
from portero.store.sweep import Swept
from portero.store.sweep import sweep as sweep_store
from portero.web.runtime import Runtime


@click.command()
@click.pass_context
def sweep(context: click.Context) -> None:
    """Remove overdue sessions, void counters, codes, links and sent mails.

    Nothing that still counts is touched. Exit code 1: the database cannot be written now.
    """
    app = load_app(context)
    extension = extension_of(app)
    try:
        swept = swept_now(extension.freeze(app))
    finally:
        extension.close(app)
    for name, rows in dataclasses.asdict(swept).items():
        click.echo(f"{name.replace('_', ' ')}: {rows}")


def swept_now(runtime: Runtime) -> Swept:
    """Sweep the store of an application by its own limits.

    Raises:
        DatabaseUnavailable: the database cannot be written now.
    """
    limits = runtime.settings
    return sweep_store(runtime.database, datetime.now(UTC), time_box=limits.session_time_box, idle=limits.session_idle)
