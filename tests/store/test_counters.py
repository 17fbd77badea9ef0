"""Tests of portero.store.counters, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from portero.store import counters
from portero.store.counters import Hit
from portero.store.engine import Database

MINUTE = timedelta(minutes=1)


def test_a_window_allows_its_limit_and_begins_anew_when_it_is_over(database: Database, now: datetime) -> None:
    def hit(at: datetime) -> Hit:
        with database.writing(durable=False) as connection:
            return counters.hit(connection, "sign-in", 2, MINUTE, at)

    end = now + MINUTE
    assert [hit(now), hit(now), hit(now)] == [Hit(True, 1, end), Hit(True, 2, end), Hit(False, 3, end)]
    assert hit(end - timedelta(microseconds=1)) == Hit(False, 4, end)
    assert hit(end) == Hit(True, 1, end + MINUTE)


def test_of_many_hits_at_one_time_the_limit_is_allowed(database: Database, now: datetime) -> None:
    def hit(_: int) -> bool:
        with database.writing(durable=False) as connection:
            return counters.hit(connection, "sign-in", 5, MINUTE, now).allowed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(hit, range(40))) == 5


def test_the_table_holds_no_more_than_what_is_live(database: Database, now: datetime) -> None:
    """A stranger who makes a new name with each request makes room as well."""
    with database.writing() as connection:
        for second in range(100):
            counters.hit(connection, f"name {second}", 1, timedelta(seconds=10), now + timedelta(seconds=second))
        assert connection.exec_driver_sql("SELECT count(*) FROM portero_counters").scalar() == 10
        assert counters.sweep(connection, now + MINUTE * 5) == 10
