"""Tests of portero.store.postgresql_reads: one round trip, few plans, bounded waits, and back after a loss."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from portero.errors import DatabaseUnavailable
from portero.store import postgresql_reads
from portero.store.engine import Database
from portero.store.postgresql_reads import ReadingConnection, ReadingPool


@pytest.fixture
def connect(empty_postgresql_url: str) -> Callable[[], Any]:
    """What opens a connection of psycopg."""
    return lambda: psycopg.connect(empty_postgresql_url.replace("+psycopg", ""), autocommit=True)


@pytest.fixture
def connection(connect: Callable[[], Any]) -> Iterator[ReadingConnection]:
    """One connection of the reading path."""
    reading = ReadingConnection(connect())
    yield reading
    reading.close()


@pytest.fixture
def pool(connect: Callable[[], Any]) -> Iterator[ReadingPool]:
    """A pool of two connections that waits a tenth of a second."""
    pool = ReadingPool(connect, 2, 0.1)
    yield pool
    pool.close()


def _prepared(connection: ReadingConnection) -> int:
    query = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'portero%%'"
    return int(connection.connection.execute(query, ()).fetchone()[0])


def test_values_come_back_as_psycopg_gives_them(connection: ReadingConnection) -> None:
    values = (
        7,
        2**40,
        "é%'",
        None,
        True,
        1.5,
        Decimal("1.20"),
        UUID(int=5),
        datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
        b"\x00\xff",
        [1, 2],
        ["a", None],
        Jsonb({"a": [1]}),
    )
    sql = (
        "SELECT %s::int, %s::bigint, %s::text, %s::text, %s::bool, %s::float8, %s::numeric, %s::uuid, %s::timestamptz, "
        "%s::bytea, %s::int[], %s::text[], %s::jsonb, '100%%'"
    )
    expected = connection.connection.execute(sql, values).fetchall()
    for _ in range(3):
        assert connection.fetch_all(sql, values) == expected


def test_parameters_may_have_names_and_be_used_twice(connection: ReadingConnection) -> None:
    for _ in range(3):
        found = connection.fetch_all("SELECT %(b)s::int - %(a)s::int, %(b)s::int", {"a": 1, "b": 9})
        assert found == [(8, 9)]
    assert connection.fetch_all("SELECT 1", {}) == [(1,)]


def test_a_statement_is_prepared_at_its_second_use_and_once_for_numbers_of_every_size(
    connection: ReadingConnection,
) -> None:
    sql = "SELECT %s::bigint"
    assert connection.fetch_all(sql, (1,)) == [(1,)]
    assert _prepared(connection) == 0
    for number in (2, 70_000, 2**40):
        assert connection.fetch_all(sql, (number,)) == [(number,)]
    assert _prepared(connection) == 1


def test_no_more_statements_are_prepared_than_the_bound(
    connection: ReadingConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_reads, "_MOST_PREPARED", 3)
    for number in range(5):
        for _ in range(2):
            assert connection.fetch_all(f"SELECT {number}", ()) == [(number,)]
    assert _prepared(connection) == 3


def test_statements_that_never_come_again_push_out_none_that_is_prepared(
    connection: ReadingConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_reads, "_MOST_PREPARED", 2)
    monkeypatch.setattr(postgresql_reads, "_MOST_SEEN", 4)
    for _ in range(2):
        connection.fetch_all("SELECT 'often'", ())
    before = list(connection._statements)
    for number in range(10):
        assert connection.fetch_all(f"SELECT {number}", ()) == [(number,)]
    assert list(connection._statements) == before
    assert len(connection._seen) == 4


def test_a_statement_that_is_refused_when_it_is_prepared_is_refused(connection: ReadingConnection) -> None:
    for _ in range(3):
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.fetch_all("SELECT * FROM nothing", ())
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.fetch_all("SELECT 1 / %s::int", (0,))
    assert connection.fetch_all("SELECT 1", ()) == [(1,)]


def test_a_server_that_forgot_what_was_prepared_is_asked_unprepared_from_then_on(connection: ReadingConnection) -> None:
    for number in range(3):
        connection.fetch_all("SELECT %s::int", (number,))
    connection.connection.execute("DEALLOCATE ALL")
    for number in range(3):
        assert connection.fetch_all("SELECT %s::int", (number,)) == [(number,)]
        assert connection.fetch_all("SELECT %s::int + 1", (number,)) == [(number + 1,)]
    assert _prepared(connection) == 0


def test_a_column_that_got_another_type_is_read_with_it(connection: ReadingConnection) -> None:
    connection.connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    for _ in range(3):
        assert connection.fetch_all("SELECT n FROM t", ()) == [(1,)]
    connection.connection.execute("ALTER TABLE t ALTER n TYPE text USING n || '!'")
    for _ in range(3):
        assert connection.fetch_all("SELECT n FROM t", ()) == [("1!",)]
    assert _prepared(connection) == 1
    for _ in range(3):
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.fetch_all("SELECT n FROM another.public.t", ())


def test_who_finds_every_connection_in_use_waits_for_one_but_not_for_long(pool: ReadingPool) -> None:
    with ThreadPoolExecutor(4) as threads:
        busy = [threads.submit(pool.fetch_all, "SELECT pg_sleep(0.5)", ()) for _ in range(2)]
        time.sleep(0.2)
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="in use"):
            pool.fetch_all("SELECT 1", ())
        assert time.monotonic() - started < 0.3
        for each in busy:
            each.result()
        assert pool.fetch_all("SELECT 1", ()) == [(1,)]


def test_a_connection_that_is_given_back_goes_to_who_waits(connect: Callable[[], Any]) -> None:
    pool = ReadingPool(connect, 2, 30)
    numbers = range(200)
    with ThreadPoolExecutor(8) as threads:
        found = threads.map(lambda number: pool.fetch_all("SELECT %s::int", (number,))[0][0], numbers)
        assert list(found) == list(numbers)
    assert pool._open == len(pool._idle) <= 2
    pool.close()
    assert pool._open == 0


def test_a_connection_that_cannot_be_opened_leaves_its_place_to_others(connect: Callable[[], Any]) -> None:
    wanted = [False, True]

    def sometimes() -> Any:
        if not wanted.pop(0):
            raise psycopg.OperationalError("not now")
        return connect()

    pool = ReadingPool(sometimes, 1, 0.1)
    with pytest.raises(psycopg.OperationalError):
        pool.fetch_all("SELECT 1", ())
    assert pool.fetch_all("SELECT 1", ()) == [(1,)]
    pool.close()


def test_a_crowd_leaves_no_more_connections_than_are_kept(connect: Callable[[], Any]) -> None:
    pool = ReadingPool(connect, 12, 5)
    everybody = threading.Barrier(12)

    def ask() -> Any:
        everybody.wait()
        return pool.fetch_all("SELECT pg_sleep(0.3)", ())

    with ThreadPoolExecutor(12) as threads:
        for each in [threads.submit(ask) for _ in range(12)]:
            each.result()
    assert pool._open == len(pool._idle) == 8
    pool.close()


def test_a_statement_that_ends_its_own_server_process_is_run_twice_and_then_given_up(pool: ReadingPool) -> None:
    with pytest.raises(DatabaseUnavailable, match="reached"):
        pool.fetch_all("SELECT pg_terminate_backend(pg_backend_pid())", ())
    assert pool.fetch_all("SELECT 1", ()) == [(1,)]


def test_values_that_cannot_be_sent_cost_no_connection(pool: ReadingPool) -> None:
    with pytest.raises(psycopg.ProgrammingError):
        pool.fetch_all("SELECT %s", (object(),))
    with pytest.raises(TypeError):
        pool.fetch_all("SELECT %s", 5)  # type: ignore[arg-type]
    assert pool.fetch_all("SELECT 1", ()) == [(1,)]


def test_readers_of_the_hot_path_cannot_write(empty_postgresql_url: str) -> None:
    database = Database.open(empty_postgresql_url, statement_timeout=timedelta(seconds=5))
    with pytest.raises(DatabaseUnavailable, match="25006"):
        database.fetch_all("CREATE TABLE t (n integer)", ())
    database.close()
