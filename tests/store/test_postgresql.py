"""Tests of portero.store.postgresql: bounded, prepared, and back after a lost connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from portero.errors import ConfigurationError, DatabaseUnavailable
from portero.store.documents import document
from portero.store.engine import Database
from portero.store.prepared import Prepared

A_MOMENT = timedelta(milliseconds=100)
NOBODY_LISTENS = "postgresql://127.0.0.1:1/x"


@pytest.fixture
def database(empty_postgresql_url: str) -> Iterator[Database]:
    database = Database.open(empty_postgresql_url, statement_timeout=A_MOMENT)
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n integer PRIMARY KEY)")
    yield database
    database.close()


def _terminate_others(url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


def test_another_driver_or_database_is_refused_and_the_password_is_not_shown() -> None:
    for url in ("postgresql+asyncpg://localhost/x", "mysql://localhost/x"):
        with pytest.raises(ConfigurationError):
            Database.open(url)
    assert "s3cret" not in repr(Database.open("postgresql://ana:s3cret@localhost/x"))


def test_a_document_is_utf_8_whatever_the_url_says_of_texts(empty_postgresql_url: str) -> None:
    database = Database.open(sa.make_url(empty_postgresql_url).update_query_dict({"client_encoding": "latin1"}))
    for _ in range(3):
        assert database.fetch_documents("SELECT json_build_array(%s::text), 1", ("é",)) == [('["é"]'.encode(), 1)]
        assert database.fetch_all("SELECT %s::text", ("é",)) == [("é",)]
    with database.reading() as connection:
        assert document(connection, "SELECT json_build_array(%s::text)", ("é",)) == ('["é"]'.encode(),)
    database.close()


def test_a_reading_statement_is_prepared_and_cannot_be_left_half_read(database: Database) -> None:
    for n in range(3):
        assert database.fetch_all("SELECT %s::integer + 1", (n,)) == [(n + 1,)]
        assert database.fetch_all("SELECT %(n)s::integer", {"n": n}) == [(n,)]
    prepared = database.fetch_all("SELECT count(*) FROM pg_prepared_statements WHERE from_sql IS FALSE", ())
    assert prepared[0][0] >= 2


def test_every_session_has_its_timeouts_and_speaks_utc(database: Database) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone")
    expected = ["100ms", "2s", "10s", "UTC"]
    assert [database.fetch_all(f"SHOW {name}", ())[0][0] for name in names] == expected
    with database.reading() as connection:
        assert [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names] == expected


def test_a_statement_that_takes_too_long_is_stopped_and_the_next_one_runs(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="too long"):
        database.fetch_all("SELECT pg_sleep(5)", ())
    with pytest.raises(DatabaseUnavailable, match="too long"), database.writing() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(5)")
    with database.writing(timeout=timedelta(seconds=5)) as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.15)")
    assert database.fetch_all("SELECT 1", ()) == [(1,)]


def test_readers_cannot_write_and_see_one_state(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable), database.reading() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
        with database.writing() as writer:
            writer.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0


def test_a_mistake_in_the_statement_speaks_for_itself(database: Database) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        database.fetch_all("SELECT * FROM nothing", ())
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1), (1)")
    assert database.fetch_all("SELECT 1", ()) == [(1,)]


def test_a_write_that_need_not_be_durable_does_not_wait_for_the_disk(database: Database) -> None:
    for durable, expected in ((True, "on"), (False, "off")):
        with database.writing(durable=durable) as connection:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = on" if durable else "SELECT 1")
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == expected


def test_lost_connections_are_replaced_without_anybody_noticing(database: Database, empty_postgresql_url: str) -> None:
    database.fetch_all("SELECT 1", ())
    _terminate_others(empty_postgresql_url)
    assert database.fetch_all("SELECT 1", ()) == [(1,)]
    with database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert database.fetch_all("SELECT n FROM t", ()) == [(1,)]


def test_a_connection_lost_in_a_transaction_is_unavailable_and_nothing_is_kept(
    database: Database, empty_postgresql_url: str
) -> None:
    with pytest.raises(DatabaseUnavailable), database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        _terminate_others(empty_postgresql_url)
        connection.exec_driver_sql("INSERT INTO t VALUES (2)")
    assert database.fetch_all("SELECT n FROM t", ()) == []


def test_a_server_that_is_away_is_unavailable_soon() -> None:
    database = Database.open(NOBODY_LISTENS)
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="reached"):
        database.fetch_all("SELECT 1", ())
    with pytest.raises(DatabaseUnavailable, match="reached"), database.reading():
        raise AssertionError("there is no server")
    with pytest.raises(DatabaseUnavailable, match="reached"), database.writing():
        raise AssertionError("there is no server")
    assert time.monotonic() - started < 5


def test_a_pool_that_is_empty_is_unavailable_in_time(database: Database) -> None:
    with ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(database.reading())
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="in use"), database.writing():
            raise AssertionError("there is no seventeenth connection")
        assert 1.5 < time.monotonic() - started < 4
        assert database.fetch_all("SELECT 1", ()) == [(1,)]


def test_a_child_forgets_the_parents_connections(database: Database) -> None:
    way: Any = database._way
    database.fetch_all("SELECT 1", ())
    with database.reading():
        pass
    pool, readers = way.engine.pool, list(way._reads._idle)
    way.before_fork()
    way.after_fork()
    assert way.engine.pool is not pool
    assert database.fetch_all("SELECT 1", ()) == [(1,)]
    assert way._reads._idle[0] not in readers
    pool.dispose()
    for reader in readers:
        assert not reader.connection.closed
        reader.close()


def test_waiting_for_a_lock_is_bounded(database: Database, empty_postgresql_url: str) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    with psycopg.connect(empty_postgresql_url.replace("+psycopg", "")) as other:
        other.execute("SELECT * FROM t FOR UPDATE")
        with pytest.raises(DatabaseUnavailable, match="55P03"), database.writing() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = 10")
            connection.exec_driver_sql("UPDATE t SET n = 2")


def test_a_transaction_whose_first_statement_was_forgotten_is_begun_anew_with_its_limits(database: Database) -> None:
    asked = Prepared(sa.text("SELECT current_setting('statement_timeout')"), list)
    ended = timedelta(milliseconds=77)
    for _ in range(3):
        with database.writing(timeout=ended) as connection:
            assert asked.all(connection) == [["77ms"]]
            connection.exec_driver_sql("DEALLOCATE ALL")
