"""Tests of portero.store.migrations: whole or not at all, once for all processes, never over a newer schema."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from portero.errors import ConfigurationError
from portero.store import migrations
from portero.store.engine import Database
from portero.store.migrations import steps
from portero.store.tables import OWN_TABLES, OwnTable


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    yield database
    database.close()


def _upgrade(url: str) -> bool:
    database = Database.open(url)
    try:
        return migrations.upgrade(database)
    finally:
        database.close()


def test_the_steps_make_exactly_the_tables_that_are_mapped(empty: Database) -> None:
    assert migrations.upgrade(empty) is True
    with empty.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": migrations.VERSION_TABLE, "compare_server_default": True}
        )
        assert compare_metadata(context, OwnTable.metadata) == []


def test_the_revisions_that_are_known_are_the_steps_that_are_there() -> None:
    assert [step.revision for step in steps.directory().walk_revisions()] == [*reversed(migrations.REVISIONS)]


def test_a_second_upgrade_has_nothing_to_do(empty: Database) -> None:
    assert migrations.current(empty) is None
    migrations.upgrade(empty)
    assert migrations.upgrade(empty) is False
    assert migrations.current(empty) == migrations.head()
    migrations.check(empty)


def test_missing_tables_are_refused_with_the_command_that_makes_them(empty: Database) -> None:
    with pytest.raises(ConfigurationError, match="portero db upgrade"):
        migrations.check(empty)


def test_tables_of_a_newer_portero_are_refused(empty: Database) -> None:
    migrations.upgrade(empty)
    with empty.writing() as connection:
        connection.execute(sa.text("UPDATE portero_version SET version_num = 'from-tomorrow'"))
    for refuse in (migrations.check, migrations.upgrade):
        with pytest.raises(ConfigurationError, match="newer Portero"):
            refuse(empty)


def test_of_four_processes_that_start_together_one_migrates(database_url: str) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert sorted(pool.map(_upgrade, [database_url] * 4)) == [False, False, False, True]


def test_a_step_that_fails_leaves_nothing_behind(empty: Database) -> None:
    with empty.writing() as connection:
        connection.execute(sa.text("CREATE TABLE portero_sessions (id integer)"))  # in the way of the last table
    with pytest.raises(sa.exc.DBAPIError, match="portero_sessions"):
        migrations.upgrade(empty)
    assert migrations.current(empty) is None
    assert set(OWN_TABLES) & set(sa.inspect(empty.engine).get_table_names()) == {"portero_sessions"}
    with empty.writing() as connection:
        connection.execute(sa.text("DROP TABLE portero_sessions"))
    assert migrations.upgrade(empty) is True


def test_the_steps_can_be_taken_back(empty: Database) -> None:
    migrations.upgrade(empty)
    for step in steps.directory().walk_revisions():
        with empty.migrating() as connection, Operations.context(MigrationContext.configure(connection)):
            step.module.downgrade()
    assert set(sa.inspect(empty.engine).get_table_names()) == {migrations.VERSION_TABLE}
