"""`portero doctor`: what is set up, missing or unsafe; a sentence each, with the command that mends it."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final, TextIO
from urllib.parse import urlsplit

import click
import sqlalchemy as sa
from flask import Flask

from portero.cli.database import has_history
from portero.cli.differences import differences, missing_searches
from portero.cli.own_modules import own_modules, unnamed_models
from portero.cli.project import extension_of, load_app, opened_store, refuse_readable
from portero.data.catalogue import Catalogue
from portero.data.index_advice import missing_indexes
from portero.data.request_advice import advice_of
from portero.developer_tokens import NO_REFRESH_TOKENS
from portero.errors import ConfigurationError, PorteroError
from portero.identity.mail import confirms_itself
from portero.records import dataclass
from portero.settings import PREFIX, Settings
from portero.store import migrations, outbox, sqlite_driver
from portero.web.runtime import Runtime

_MARKS: Final = {"good": "ok  ", "note": "note", "bad": "BAD "}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        rank: `good`, `note` (allowed, but to be known) or `bad` (to be mended).
        sentence: what it is, and what to do.
    """

    rank: str
    sentence: str


@click.command()
@click.option("--settings", "with_settings", is_flag=True, help="List every setting with its value here.")
@click.option(
    "--requests",
    type=click.File(encoding="utf-8", errors="replace"),
    help="An access log, or a request a line; names what they filter and order by without an index. - reads it here.",
)
@click.pass_context
def doctor(context: click.Context, with_settings: bool, requests: TextIO | None) -> None:
    """Look the application over. Exit code 1: something is to be mended."""
    findings = [*about_machine()]
    try:
        app = load_app(context)
    except ConfigurationError as error:
        if all(each.sentence != str(error) for each in findings):
            findings.append(Finding("bad", str(error)))
    else:
        findings += about_app(app, requests)
        if with_settings:
            list_settings(app)
    for finding in findings:
        click.echo(f"{_MARKS[finding.rank]}  {finding.sentence}")
    if any(finding.rank == "bad" for finding in findings):
        context.exit(1)


def about_machine() -> Iterator[Finding]:
    """Look at versions and at the SQLite library."""
    yield Finding("good", f"Portero {version('portero')}, Python {platform.python_version()}")
    library = sqlite_driver.DRIVER
    if sqlite_driver.is_safe(library.sqlite_version_info):
        yield Finding("good", f"SQLite {library.sqlite_version} ({library.__name__}): several workers may write")
    else:
        yield Finding(
            "note",
            f"SQLite {library.sqlite_version} has the WAL-reset race: on SQLite one worker only (portero serve "
            "--workers 1). Fixed in 3.51.3; `pip install pysqlite3` where it has a wheel.",
        )
    path = Path(".env")
    if path.is_file():
        try:
            refuse_readable(path)
        except ConfigurationError as error:
            yield Finding("bad", str(error))
        else:
            yield Finding("good", ".env is yours alone")


def about_app(app: Flask, requests: TextIO | None = None) -> Iterator[Finding]:
    """Look at the settings, the database and the models of an application, and at what was asked of it."""
    try:
        with opened_store(app) as store:
            yield from about_settings(store.settings)
            yield Finding("good", f"Database: {store.database.url.render_as_string(hide_password=True)}")
            migrations.check(store.database)
            yield Finding("good", f"Portero's tables are at {migrations.head()}")
            found = differences(store)
            tables = [table for metadata in store.metadatas for table in metadata.sorted_tables]
            yield from (Finding("bad", each) for each in missing_searches(store))
            yield from (Finding("bad", f"The models differ from the database: {each}") for each in found)
            yield from (Finding("bad", each) for each in unnamed_models(app, store.exposures))
        runtime = extension_of(app).freeze(app)
        yield from about_refresh_tokens(app)
        yield from about_mails(runtime)
        catalogue = runtime.data.catalogue
        exposed = ", ".join(sorted(catalogue.models))
        yield Finding("good", f"Exposed models: {exposed}" if exposed else "No model is exposed")
        yield from about_unexposed(tables, catalogue)
        with runtime.database.reading() as connection:
            slow = missing_indexes(catalogue, connection)
        yield from (Finding("note", each) for each in slow)
        yield from about_requests(runtime, catalogue, requests)
    except PorteroError as error:
        yield Finding("bad", str(error))
    finally:
        extension_of(app).close(app)
    yield from about_history()


def about_requests(runtime: Runtime, catalogue: Catalogue, requests: TextIO | None) -> Iterator[Finding]:
    """Look at what callers filter and order by: only their requests can say it."""
    if requests is None:
        yield Finding("note", "What callers filter by was not looked at: portero doctor --requests access.log does")
        return
    with runtime.database.reading() as connection:
        advice = advice_of(catalogue, connection, runtime.settings, requests)
    yield from (Finding("note", each) for each in advice.sentences)
    rest = f", {advice.passed_over} other lines" if advice.passed_over else ""
    yield Finding("good", f"Requests looked at: {advice.read}{rest}")


def about_unexposed(tables: Iterable[sa.Table], catalogue: Catalogue) -> Iterator[Finding]:
    """Name the project's tables that the API does not know: intended, or `expose` was forgotten."""
    exposed = [model.table for model in catalogue.models.values()]
    names = sorted(str(table.name) for table in tables if all(table is not each for each in exposed))
    if names:
        yield Finding("note", f"Not exposed, so the API does not know them: {', '.join(names)}")


def about_refresh_tokens(app: Flask) -> Iterator[Finding]:
    """Look for modules of the application that took create_refresh_token along: calling it is refused."""
    for name, module in own_modules(app):
        if hasattr(module, "create_refresh_token"):
            yield Finding("bad", f"{name} imports create_refresh_token. {NO_REFRESH_TOKENS}")


def about_mails(runtime: Runtime) -> Iterator[Finding]:
    """Look at what became of mails."""
    with runtime.database.reading() as connection:
        counts = outbox.counts(connection)
        is_late = outbox.has_waiting(connection, datetime.now(UTC) - timedelta(minutes=1))
    if is_late or counts["failed"]:
        told = f"{counts['failed']} mails of the last seven days failed, {counts['waiting']} wait"
        yield Finding("note", f"{told}: portero mail list says why")


def about_settings(settings: Settings) -> Iterator[Finding]:
    """Look at settings that are allowed but should be known, or that do not fit together."""
    yield from about_sign_up(settings)
    if settings.dev:
        yield Finding("note", "Development: sign-ups confirm themselves and missing tables are made")
    elif not settings.smtp_url:
        yield Finding(
            "note",
            "No mail server (PORTERO_SMTP_URL): sign-ups confirm themselves, addresses are not proven, and there is "
            "no recovery",
        )
    else:
        yield Finding("good", f"Mail: by {urlsplit(settings.smtp_url).hostname}, from {settings.mail_from}")
    if settings.accept_shared_secret_tokens:
        yield Finding("note", "PORTERO_ACCEPT_SHARED_SECRET_TOKENS is on: tokens without a session are accepted")
    if settings.transaction_end.startswith("rollback"):
        yield Finding("note", f"PORTERO_TRANSACTION_END={settings.transaction_end}: writes are not kept")
    if not settings.dev and "://127.0.0.1" in settings.url:
        yield Finding("note", f"PORTERO_URL is {settings.url}: set it to the public address before you deploy")


def about_sign_up(settings: Settings) -> Iterator[Finding]:
    """Say who may become a user: whom nobody checks reaches every route that only asks for a token."""
    if settings.disable_signup:
        yield Finding("good", "Sign-up is closed (PORTERO_DISABLE_SIGNUP)")
    elif confirms_itself(settings):
        yield Finding(
            "note",
            "Sign-up is open and confirms itself: routes with @jwt_required() accept anybody who signs up; "
            "PORTERO_DISABLE_SIGNUP=yes closes it",
        )


def about_history() -> Iterator[Finding]:
    """Look at the project's Alembic history: autogenerate must leave Portero's tables alone."""
    if not has_history():
        yield Finding("note", "No alembic.ini here: the project's own tables have no migrations")
        return
    environments = [path for path in Path().glob("*/env.py") if "alembic" in path.read_text(encoding="utf-8")]
    if any("include_object" in path.read_text(encoding="utf-8") for path in environments):
        yield Finding("good", "Alembic leaves Portero's tables alone (include_object)")
    else:
        yield Finding("bad", "Alembic would drop Portero's tables: use portero.alembic.include_object in env.py")


def list_settings(app: Flask) -> None:
    """Print every setting with its value; none of them is a secret, but a database's password is hidden."""
    with opened_store(app) as store:
        for row in dataclasses.fields(Settings):
            value = getattr(store.settings, row.name)
            if row.name == "database_url":
                value = store.database.url.render_as_string(hide_password=True)
            elif row.metadata["is_secret"] and value:
                value = "(set)"
            given = " (environment)" if PREFIX + row.name.upper() in os.environ else ""
            click.echo(f"{PREFIX}{row.name.upper()} = {value}{given}")
            click.echo(f"    {row.metadata['sentence']}")
