"""`portero db`: Portero's own tables, then the project's Alembic history if it has one (`alembic.ini`).

The two histories stay apart: Portero's has a version table of its own and never mentions the developer's tables.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import alembic.command
import click
import sqlalchemy as sa
from alembic.config import Config
from alembic.operations.ops import MigrationScript
from alembic.runtime.migration import MigrationContext
from flask import Flask

from portero.cli.differences import differences, missing_searches
from portero.cli.project import extension_of, load_app, opened_store
from portero.cli.search_revisions import add_searches
from portero.store import migrations

PROJECT_HISTORY: Final = "alembic.ini"


@click.group()
def db() -> None:
    """The database: upgrade, revision, check."""


@db.command()
@click.option("--quiet", is_flag=True, help="Say nothing.")
@click.pass_context
def upgrade(context: click.Context, quiet: bool) -> None:
    """Bring Portero's tables, then the project's own, to the newest state."""
    app = load_app(context)
    with opened_store(app) as store:
        changed = migrations.upgrade(store.database)
    tell = (lambda text: None) if quiet else click.echo
    tell(f"Portero's tables: {'upgraded to' if changed else 'at'} {migrations.head()}")
    if has_history():
        upgrade_project(app)
        tell("The project's tables: at the newest revision")
    else:
        tell(f"No {PROJECT_HISTORY} here: the project's tables are not migrated (see: portero new)")


@db.command()
@click.option("-m", "--message", required=True, help="What changes, in a few words.")
@click.pass_context
def revision(context: click.Context, message: str) -> None:
    """Write a migration for what changed in the project's models since the newest one."""
    if not has_history():
        raise click.ClickException(f"No {PROJECT_HISTORY} here; `portero new` shows one that works.")
    app = load_app(context)
    with comparing_database(app):
        upgrade_project(app)
        written = alembic.command.revision(
            project_config(), message=message, autogenerate=True, process_revision_directives=_completer(app)
        )
    if not written:
        click.echo("Nothing has changed in the models since the newest migration: none is written.")
        return
    with opened_store(app) as store:
        if not differences(store) and not missing_searches(store):
            alembic.command.stamp(project_config(), "head")
            click.echo("The database has these changes already (portero serve --dev made them): marked as upgraded.")
        else:
            click.echo("Next: read the file, then: portero db upgrade")


@db.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Say whether the database fits Portero and the models. Exit code 1: it does not."""
    app = load_app(context)
    with opened_store(app) as store:
        migrations.check(store.database)
        found, searches = differences(store), missing_searches(store)
    for difference in found:
        click.echo(f"differs: {difference}")
    for sentence in searches:
        click.echo(sentence)
    if found or searches:
        context.exit(1)
    click.echo("The database fits.")


def _completer(app: Flask) -> Callable[..., None]:
    """Make what Alembic calls with what it found: full-text indexes are added, and nothing found writes nothing."""
    with opened_store(app) as store:
        tables = [table for metadata in store.metadatas for table in metadata.sorted_tables]

    def complete(context: MigrationContext, _: object, directives: list[MigrationScript]) -> None:
        script = directives[0]
        assert context.connection is not None, "revision compares a database"
        add_searches(script, tables, context.connection)
        if script.upgrade_ops is not None and script.upgrade_ops.is_empty():
            directives.clear()

    return complete


@contextmanager
def comparing_database(app: Flask) -> Iterator[None]:
    """Let the application stand on an empty SQLite file for a while, so that a migration says what the models changed.

    A development database has new tables already; on PostgreSQL there is no second one to be had, so it is compared.
    """
    with opened_store(app) as store:
        is_sqlite = store.database.dialect_name == "sqlite"
    if not is_sqlite:
        yield
        return
    kept = app.config.get("PORTERO_DATABASE_URL")
    with tempfile.TemporaryDirectory(prefix="portero-") as directory:
        app.config["PORTERO_DATABASE_URL"] = f"sqlite:///{directory}/compare.db"
        try:
            with opened_store(app) as store:
                migrations.upgrade(store.database)
            yield
        finally:
            extension_of(app).close(app)
            app.config.pop("PORTERO_DATABASE_URL")
            if kept is not None:
                app.config["PORTERO_DATABASE_URL"] = kept


def has_history() -> bool:
    """Tell whether the working directory is a project with an Alembic history."""
    return Path(PROJECT_HISTORY).is_file()


def project_config() -> Config:
    """Read the project's `alembic.ini`."""
    return Config(PROJECT_HISTORY, stdout=io.StringIO())


def upgrade_project(app: Flask) -> None:
    """Bring the project's own tables to the newest revision of its history."""
    try:
        alembic.command.upgrade(project_config(), "head")
    except sa.exc.DBAPIError as error:
        raise click.ClickException(_failed(error)) from error
    finally:
        extension_of(app).close(app)


def _failed(error: sa.exc.DBAPIError) -> str:
    """Say which statement of a migration the database refused, and what usually mends it."""
    told = f"A migration in {Path('migrations', 'versions')} failed: {error.orig}\n  {error.statement}"
    if "null" in str(error.orig).lower():
        told += "\nGive the new column a server_default in that file: it is the value of the rows that are there."
    return told
