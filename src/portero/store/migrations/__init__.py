"""Portero's own tables through time: Alembic inside the package, with a version table of its own.

A step happens whole or not at all, on both databases; of several processes that start together one migrates and the
others find it done. A database from a newer Portero is refused: old code never writes into tables it does not know.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory

from portero.errors import ConfigurationError
from portero.store.engine import Database
from portero.store.tables import OwnTable

VERSION_TABLE = "portero_version"


@lru_cache(maxsize=1)
def _steps() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent))


def head() -> str:
    """Give the revision this release of Portero works with."""
    revision = _steps().get_current_head()
    assert revision is not None
    return revision


def current(database: Database) -> str | None:
    """Give the revision the database is at; None if Portero has no tables there.

    Raises:
        DatabaseUnavailable: it cannot be asked.
    """
    with database.reading() as connection:
        return _revision(connection)


def check(database: Database) -> None:
    """Refuse a database that is not at `head()`.

    Raises:
        ConfigurationError: tables are missing, or are those of a newer Portero.
        DatabaseUnavailable: it cannot be asked.
    """
    revision = current(database)
    _refuse_newer(revision)
    if revision != head():
        raise ConfigurationError("Portero's tables are missing or old: run `portero db upgrade`.")


def upgrade(database: Database) -> bool:
    """Bring Portero's own tables to `head()`; give whether there was something to do.

    Raises:
        ConfigurationError: the database was migrated by a newer Portero.
        DatabaseUnavailable: it cannot be asked, or another process migrates for too long.
    """
    if current(database) == head():
        return False
    with database.migrating() as connection:
        revision = _revision(connection)  # again: another process may have done it while we waited
        _refuse_newer(revision)
        if revision == head():
            return False
        _run(connection)
    return True


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision not in {step.revision for step in _steps().walk_revisions()}:
        raise ConfigurationError(
            f"The database is at revision {revision} of Portero's tables, which this release does not know: "
            "it was migrated by a newer Portero. Install that one, or restore a backup made before."
        )


def _run(connection: sa.Connection) -> None:
    def steps(revision: tuple[str, ...] | str | None, _context: MigrationContext) -> list[RevisionStep]:
        return _steps()._upgrade_revs("head", revision)  # type: ignore[arg-type]

    with EnvironmentContext(Config(), _steps(), fn=steps) as environment:
        # The transaction is ours and covers all steps: SQLite's tables are transactional too.
        environment.configure(
            connection=connection,
            target_metadata=OwnTable.metadata,
            version_table=VERSION_TABLE,
            render_as_batch=True,
            transactional_ddl=True,
        )
        environment.run_migrations()
