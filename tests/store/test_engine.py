"""Tests of portero.store.engine: one reader, one writer, one word for "not now"."""

from __future__ import annotations

import sqlalchemy as sa

from portero.store.engine import Database
from portero.store.tables import User


def test_an_opened_database_has_the_tables_and_reads_what_was_written(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(
            sa.text("INSERT INTO portero_counters (name, hits, window_ends_at) VALUES ('a', 1, '2026-01-01')")
        )
    assert database.fetch_all("SELECT name, hits FROM portero_counters", ()) == [("a", 1)]
    with database.reading() as connection:
        assert connection.execute(sa.select(User.id)).all() == []
