"""Attempts in a row, taken by compare-and-set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from portero.store import attempts
from portero.store.attempts import Attempts
from portero.store.engine import Database

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_of_two_who_saw_the_same_one_takes_the_attempt(database: Database) -> None:
    with database.writing() as connection:
        seen = attempts.read(connection, "a", NOW)
        assert Attempts(0, None) == seen
        assert [True, False] == [attempts.take(connection, "a", seen, NOW) for _ in range(2)]
        again = attempts.read(connection, "a", NOW + SECOND)
        assert Attempts(1, NOW) == again
        assert [True, False] == [attempts.take(connection, "a", again, NOW + SECOND) for _ in range(2)]
        assert Attempts(2, NOW + SECOND) == attempts.read(connection, "a", NOW + SECOND)


def test_attempts_are_forgotten_by_time_and_on_demand(database: Database) -> None:
    with database.writing() as connection:
        for name in ("a", "b"):
            attempts.take(connection, name, Attempts(0, None), NOW)
        later = NOW + attempts.KEPT
        assert Attempts(0, None) == attempts.read(connection, "a", later)
        assert attempts.take(connection, "a", Attempts(0, None), later)
        attempts.clear(connection, ["a", "b"])
        assert Attempts(0, None) == attempts.read(connection, "a", later)


def test_what_is_remembered_is_known_until_then(database: Database) -> None:
    with database.writing() as connection:
        for until in (NOW + SECOND, NOW + 2 * SECOND):
            attempts.remember(connection, "home", until)
        assert [True, False] == [attempts.is_known(connection, "home", NOW + s * SECOND) for s in (1, 2)]
        assert not attempts.is_known(connection, "elsewhere", NOW)
