"""Rows that the store's tests begin with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from portero.store import users
from portero.store.engine import Database
from portero.store.users import UserRecord

NOW = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


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
