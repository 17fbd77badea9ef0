"""Tests of portero.store.engine: one reader, one writer, one word for "not now"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from portero.store import counters
from portero.store.engine import Database
from portero.store.tables import User


def test_an_opened_database_has_the_tables_and_reads_what_was_written(database: Database) -> None:
    with database.writing(durable=False) as connection:
        counters.hit(connection, "a", 1, timedelta(minutes=1), datetime.now(UTC))
    assert database.fetch_all("SELECT name, hits FROM portero_counters", ()) == [("a", 1)]
    with database.reading() as connection:
        assert connection.execute(sa.select(User.id)).all() == []


def test_a_fault_tells_no_values(database: Database) -> None:
    """They go into logs, and may be hashes of passwords (threats OP-03)."""
    for opened in (database.reading, database.writing):
        with pytest.raises(sa.exc.DBAPIError) as caught, opened() as connection:
            connection.execute(sa.text("SELECT * FROM nowhere WHERE a = :value"), {"value": "a-secret-hash"})
        assert "a-secret-hash" not in str(caught.value)
