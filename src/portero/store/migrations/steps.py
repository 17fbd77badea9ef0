"""Runs the steps in `versions` with Alembic, inside a transaction that the caller opened and commits.

It never decides whether a database may be migrated: `migrations` does, and loads this when something is to be done.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory

from portero.figures import kept
from portero.store.tables import OwnTable


@kept("migration_steps", 1)
def directory() -> ScriptDirectory:
    """Read the steps."""
    return ScriptDirectory(str(Path(__file__).parent))


def run(connection: sa.Connection, version_table: str) -> None:
    """Bring Portero's tables to the newest step.

    Raises:
        sqlalchemy.exc.DBAPIError: a step could not be done; the caller undoes all of them.
    """

    def steps(revision: tuple[str, ...] | str | None, _context: MigrationContext) -> list[RevisionStep]:
        return directory()._upgrade_revs("head", revision)  # type: ignore[arg-type]

    with EnvironmentContext(Config(), directory(), fn=steps) as environment:
        # The transaction is ours and covers all steps: SQLite's tables are transactional too.
        environment.configure(
            connection=connection,
            target_metadata=OwnTable.metadata,
            version_table=version_table,
            render_as_batch=True,
            transactional_ddl=True,
        )
        environment.run_migrations()
