"""Rows that the store's tests begin with."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from portero.store import users
from portero.store.engine import Database
from portero.store.users import UserRecord

NOW = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


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
