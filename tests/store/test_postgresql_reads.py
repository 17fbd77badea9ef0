"""Tests of portero.store.postgresql_reads: one round trip, few plans, bounded waits, and back after a loss."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from portero.errors import DatabaseUnavailable
from portero.store.engine import Database
from portero.store.postgresql_reads import ReadingPool


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


def test_the_connections_of_a_crowd_are_there_for_the_next(connect: Callable[[], Any]) -> None:
    pool = ReadingPool(connect, 12, 5)
    everybody = threading.Barrier(12)

    def ask() -> Any:
        everybody.wait()
        return pool.fetch_all("SELECT pg_sleep(0.3)", ())

    with ThreadPoolExecutor(12) as threads:
        for each in [threads.submit(ask) for _ in range(12)]:
            each.result()
    assert pool._open == len(pool._idle) == 12
    pool.close()
    assert pool._open == 0


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


def test_a_read_that_is_interrupted_says_so_and_leaves_its_connection_to_nobody(
    connect: Callable[[], Any], interrupted: Callable[[], Any]
) -> None:
    pool = ReadingPool(connect, 1, 0.1)
    pool.fetch_all("SELECT pg_sleep(%s)", (0,))
    with interrupted():
        pool.fetch_all("SELECT pg_sleep(%s)", (10,))
    assert pool.fetch_all("SELECT 1", ()) == [(1,)]
    pool.close()
