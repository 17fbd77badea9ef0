"""Tests of portero.store.engine: one reader, one writer, one word for "not now"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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
