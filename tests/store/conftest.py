"""Rows that the store's tests begin with."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from portero.store import users
from portero.store.engine import Database
from portero.store.postgresql_lines import Line
from portero.store.postgresql_reads import ReadingPool
from portero.store.users import UserRecord

NOW = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def connect(empty_postgresql_url: str) -> Callable[[], Any]:
    """What opens a connection of psycopg."""
    return lambda: psycopg.connect(empty_postgresql_url.replace("+psycopg", ""), autocommit=True)


@pytest.fixture
def connection(connect: Callable[[], Any]) -> Iterator[Line]:
    """One connection of the reading path."""
    reading = Line(connect(), begins=False)
    yield reading
    reading.close()


@pytest.fixture
def pool(connect: Callable[[], Any]) -> Iterator[ReadingPool]:
    """A pool of two connections that waits a tenth of a second."""
    pool = ReadingPool(connect, 2, 0.1)
    yield pool
    pool.close()


@pytest.fixture
def interrupted() -> Callable[[], Any]:
    """Give a context manager: what runs in it is interrupted soon, as by who stops a program, and says so."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    @contextmanager
    def soon() -> Iterator[None]:
        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(KeyboardInterrupt):
                yield
        finally:
            signal.signal(signal.SIGALRM, before)

    return soon


@pytest.fixture
def ana(database: Database) -> UserRecord:
    """A user in the database."""
    with database.writing() as connection:
        return users.insert(
            connection,
            UserRecord(
                email="Ana@Example.org", username="Ana", password_hash="$argon2id$…", created_at=NOW, updated_at=NOW
            ),
        )
