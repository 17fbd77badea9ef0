"""Portero's own tables through time: Alembic inside the package, with a version table of its own.

A step happens whole or not at all, on both databases; of several processes that start together one migrates and the
others find it done. A database from a newer Portero is refused: old code never writes into tables it does not know.
Alembic itself is in `steps`: a database at the newest revision, as nearly all are, is served without loading it.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from portero.errors import ConfigurationError
from portero.store.engine import Database

VERSION_TABLE: Final = "portero_version"
#: The steps in `versions`, oldest first.
REVISIONS: Final = ("0001", "0002", "0003")
_VERSION: Final = sa.table(VERSION_TABLE, sa.column("version_num"))


def head() -> str:
    """Give the revision this release of Portero works with."""
    return REVISIONS[-1]


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
        # Loaded where there is something to do: it would be a tenth of each start.
        from portero.store.migrations import steps  # noqa: PLC0415

        steps.run(connection, VERSION_TABLE)
    return True


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.execute(sa.select(_VERSION.c.version_num)).scalar_one_or_none()
    return revision


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision not in REVISIONS:
        raise ConfigurationError(
            f"The database is at revision {revision} of Portero's tables, which this release does not know: "
            "it was migrated by a newer Portero. Install that one, or restore a backup made before."
        )
