"""Tests of portero.store.sqlite: one file, many readers, one writer, private, synced, never without a bound."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from portero.errors import ConfigurationError, DatabaseUnavailable
from portero.store import driver_calls
from portero.store.engine import Database
from portero.store.long_statements import LONGEST_KEPT
from portero.store.sqlite import SqliteFunction
from portero.store.sqlite_driver import DRIVER

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
A_MOMENT = timedelta(milliseconds=100)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{path}", statement_timeout=A_MOMENT, longest_wait=A_MOMENT)
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER NOT NULL UNIQUE)")
    yield database
    database.close()


def _insert(database: Database, number: int) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (?)", (number,))


def _numbers(database: Database) -> list[int]:
    return [row[0] for row in database.fetch_all("SELECT n FROM t ORDER BY n", ())]


def _pragmas(run: Any) -> dict[str, Any]:
    names = ("busy_timeout", "journal_mode", "synchronous", "foreign_keys", "trusted_schema", "mmap_size", "query_only")
    return {name: next(iter(run(f"PRAGMA {name}")))[0] for name in names}


# -- which file


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///x?mode=memory",
        "sqlite:///file:x?uri=true",
        "sqlite+aiosqlite:///x",
    ],
)
def test_what_is_not_a_plain_file_with_the_one_driver_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Database.open(url)


def test_every_file_is_readable_by_its_owner_only_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        database = Database.open(f"sqlite:///{path}")
        with database.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE t (n)")
            files = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
        database.close()
    finally:
        os.umask(before)
    assert files == dict.fromkeys(["app.db", "app.db-wal", "app.db-shm", "app.db.writer"], 0o600)


def test_a_file_that_others_could_read_is_made_private(path: Path) -> None:
    path.touch(0o644)
    database = Database.open(f"sqlite:///{path}")
    database.fetch_all("SELECT 1", ())
    database.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_that_another_process_takes_away_meanwhile_are_no_fault(path: Path) -> None:
    """Whose connection is the last takes the log along, at any moment."""
    opened: Any = Database.open(f"sqlite:///{path}")
    beside, ends = path.with_name("app.db-wal"), threading.Event()

    def come_and_go() -> None:
        while not ends.is_set():
            beside.touch()
            beside.unlink()

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        for _ in range(3000):
            opened._way._make_private()
    finally:
        ends.set()
        other.join()
    assert path.exists()


def test_a_place_that_cannot_hold_the_file_is_named(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'nowhere' / 'app.db'}")
    with pytest.raises(ConfigurationError, match="nowhere"):
        database.fetch_all("SELECT 1", ())


def test_a_file_that_is_no_database_is_unavailable(path: Path) -> None:
    path.write_text("this is no database" * 100)
    database = Database.open(f"sqlite:///{path}")
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        database.fetch_all("SELECT 1", ())
    database.close()


def test_a_missing_descriptor_is_unavailable_and_not_a_fault_of_the_configuration(path: Path) -> None:
    path.symlink_to(path)  # ELOOP: neither missing nor forbidden
    with pytest.raises(DatabaseUnavailable):
        Database.open(f"sqlite:///{path}").fetch_all("SELECT 1", ())


# -- how connections are set


def test_every_connection_syncs_each_commit_and_checks_foreign_keys(database: Database) -> None:
    safe = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "mmap_size": 0}
    assert _pragmas(lambda sql: database.fetch_all(sql, ())) == {**safe, "busy_timeout": 100, "query_only": 1}
    with database.reading() as connection:
        assert _pragmas(connection.exec_driver_sql) == {**safe, "busy_timeout": 100, "query_only": 1}
    with database.writing() as connection:
        assert _pragmas(connection.exec_driver_sql) == {**safe, "busy_timeout": 100, "query_only": 0}


def test_a_reading_connection_keeps_so_many_megabytes_of_pages(path: Path) -> None:
    database = Database.open(f"sqlite:///{path}", sqlite_cache=3)
    assert database.fetch_all("PRAGMA cache_size") == [(-3_000,)]
    database.close()


def test_a_write_that_need_not_be_durable_leaves_the_next_one_durable(database: Database) -> None:
    with database.writing(durable=False) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DRIVER.OperationalError, match="readonly"):
        database.fetch_all("INSERT INTO t VALUES (1)", ())
    with pytest.raises(sa.exc.OperationalError, match="readonly"), database.reading() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    assert _numbers(database) == []


def test_functions_given_at_opening_are_there_for_readers_and_the_writer(path: Path) -> None:
    double = SqliteFunction("double", 1, lambda value: 2 * value)
    database = Database.open(f"sqlite:///{path}", sqlite_functions=[double])
    assert database.fetch_all("SELECT double(?)", (21,)) == [(42,)]
    with database.writing() as connection:
        assert connection.exec_driver_sql("SELECT double(21)").scalar() == 42
    database.close()


def test_a_read_transaction_sees_one_state(database: Database) -> None:
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
        _insert(database, 1)
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
    assert _numbers(database) == [1]


# -- bounds


def test_a_statement_that_takes_too_long_is_stopped_wherever_it_runs(database: Database) -> None:
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="too long"):
        database.fetch_all(ENDLESS, ())
    with pytest.raises(DatabaseUnavailable, match="too long"), database.reading() as connection:
        connection.exec_driver_sql(ENDLESS)
    with pytest.raises(DatabaseUnavailable, match="too long"), database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        connection.exec_driver_sql(ENDLESS)
    assert time.monotonic() - started < 3
    _insert(database, 2)
    assert _numbers(database) == [2]


def test_a_write_may_be_given_more_time(database: Database) -> None:
    with database.writing(timeout=timedelta(seconds=30)) as connection:
        time.sleep(0.15)
        connection.exec_driver_sql(ENDLESS.replace("FROM n)", "FROM n WHERE x < 300000)"))


def test_a_foreign_program_that_keeps_the_lock_makes_writes_unavailable_and_reads_not(
    database: Database, path: Path
) -> None:
    foreign = DRIVER.connect(str(path), isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable, match="another program"):
        _insert(database, 1)
    assert _numbers(database) == []
    foreign.close()
    _insert(database, 1)
    assert _numbers(database) == [1]


def test_a_thread_that_keeps_writing_makes_others_unavailable(database: Database) -> None:
    with ThreadPoolExecutor(1) as pool, database.writing(), pytest.raises(DatabaseUnavailable, match="too many"):
        pool.submit(_insert, database, 1).result()


def test_a_full_disk_makes_writes_unavailable_keeps_reads_and_recovers(database: Database) -> None:
    _insert(database, 1)
    with pytest.raises(DatabaseUnavailable, match="full"), database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 2").close()
        connection.exec_driver_sql("CREATE TABLE big AS SELECT zeroblob(100000) AS b")
    assert _numbers(database) == [1]
    _insert(database, 2)
    assert _numbers(database) == [1, 2]


def test_a_database_that_became_read_only_is_unavailable_for_writers(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be written"), database.writing() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON").close()
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    _insert(database, 1)


def test_more_readers_than_connections_wait_and_are_refused_in_time(database: Database) -> None:
    opened = [database.reading() for _ in range(32)]
    for each in opened:
        each.__enter__()
    with pytest.raises(DatabaseUnavailable, match="read"), database.reading():
        raise AssertionError("there is no thirty-third connection")
    for each in opened:
        each.__exit__(None, None, None)


# -- transactions


def test_an_exception_undoes_the_write(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        raise ZeroDivisionError
    assert _numbers(database) == []


def test_a_constraint_speaks_for_itself(database: Database) -> None:
    _insert(database, 1)
    with pytest.raises(sa.exc.IntegrityError):
        _insert(database, 1)
    _insert(database, 2)
    assert _numbers(database) == [1, 2]


def test_a_writer_inside_a_writer_is_a_mistake_in_the_program(database: Database) -> None:
    with database.writing(), pytest.raises(RuntimeError, match="writes already"):
        _insert(database, 1)
    _insert(database, 2)


def test_a_thread_may_read_while_it_writes_and_sees_what_was_there_before(database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        assert _numbers(database) == []
        with database.reading() as reader:
            assert reader.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
    assert _numbers(database) == [1]


def test_threads_that_read_and_write_back_lose_nothing(path: Path) -> None:
    database = Database.open(f"sqlite:///{path}")
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE c AS SELECT 0 AS n")

    def add_one(_: int) -> None:
        with database.writing() as connection:
            before = connection.exec_driver_sql("SELECT n FROM c").scalar()
            connection.exec_driver_sql("UPDATE c SET n = ?", (before + 1,))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, range(200)))
    assert database.fetch_all("SELECT n FROM c", ()) == [(200,)]
    database.close()


def test_a_migration_that_leaves_rows_pointing_nowhere_is_undone(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="refer to nothing"), database.migrating() as connection:
        connection.exec_driver_sql("CREATE TABLE child (t INTEGER REFERENCES t (n))")
        connection.exec_driver_sql("INSERT INTO child VALUES (7)")
    with pytest.raises(DRIVER.OperationalError, match="no such table"):
        database.fetch_all("SELECT * FROM child", ())
    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


# -- threads and processes


def test_threads_that_read_one_after_the_other_share_a_connection(database: Database) -> None:
    way: Any = database._way
    for _ in range(2):
        thread = threading.Thread(target=database.fetch_all, args=("SELECT 1", ()))
        thread.start()
        thread.join()
    assert (len(way._readers._opened), len(way._readers.free)) == (1, 1)


def test_however_many_read_for_long_nobody_waits_for_them(path: Path) -> None:
    many = 6
    all_read = threading.Barrier(many)
    meeting = SqliteFunction("meet", 0, lambda: all_read.wait(30) >= 0)
    database = Database.open(f"sqlite:///{path}", sqlite_functions=[meeting])
    with ThreadPoolExecutor(many) as pool:
        found = list(pool.map(lambda _: database.fetch_all("SELECT meet()"), range(many)))
    database.close()
    assert found == [[(1,)]] * many


def test_the_connection_that_was_given_back_last_reads_next(path: Path) -> None:
    both_read = threading.Barrier(2)
    meeting = SqliteFunction("meet", 0, lambda: both_read.wait(30) >= 0)
    database = Database.open(f"sqlite:///{path}", sqlite_functions=[meeting])
    way: Any = database._way
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: database.fetch_all("SELECT meet()"), range(2)))
    first, last = way._readers.free
    before = first.clock.started
    for _ in range(3):
        database.fetch_all("SELECT 1")
    assert way._readers.free == [first, last]
    assert first.clock.started == before < last.clock.started
    database.close()


def test_a_read_that_fails_leaves_its_connection_to_the_next(database: Database) -> None:
    way: Any = database._way
    for _ in range(2):
        with pytest.raises(DRIVER.OperationalError):
            database.fetch_all("SELECT nothing FROM nowhere")
    assert database.fetch_all("SELECT 1") == [(1,)]
    assert (len(way._readers._opened), len(way._readers.free)) == (1, 1)


def test_a_thread_that_is_none_of_pythons_may_end(path: Path) -> None:
    """A server's own threads come and go; one that took its connection with it would end the process."""
    script = """
        import ctypes, sys
        from portero.data.dialects import SQLITE_FUNCTIONS
        from portero.store.engine import Database
        database = Database.open(f"sqlite:///{sys.argv[1]}", sqlite_functions=SQLITE_FUNCTIONS)
        rows = []
        kind = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
        read = kind(lambda _: rows.extend(database.fetch_all("SELECT 1")))
        libc = ctypes.CDLL(None)
        for _ in range(2):
            thread = ctypes.c_ulong()
            libc.pthread_create(ctypes.byref(thread), None, read, None)
            libc.pthread_join(thread, None)
        database.close()
        print(rows)
    """
    assert _run(textwrap.dedent(script), str(path)) == "[(1,), (1,)]"


def test_forks_while_others_read_harm_nobody(path: Path) -> None:
    script = """
        import os, sys, threading, time, warnings
        from portero.store.engine import Database
        warnings.simplefilter("ignore")
        database = Database.open(f"sqlite:///{sys.argv[1]}")
        ends, wrong = time.monotonic() + 2, []

        def read():
            while time.monotonic() < ends:
                if database.fetch_all("SELECT 1") != [(1,)]:
                    wrong.append(1)
                time.sleep(0.0005)

        threads = [threading.Thread(target=read) for _ in range(12)]
        for each in threads:
            each.start()
        while time.monotonic() < ends:
            child = os.fork()
            if child == 0:
                os._exit(0)
            wrong.append(os.waitpid(child, 0)[1])
        for each in threads:
            each.join()
        print(set(wrong))
    """
    assert _run(script, str(path)) == "{0}"


def test_a_closed_database_opens_anew(database: Database) -> None:
    _insert(database, 1)
    database.close()
    assert _numbers(database) == [1]
    _insert(database, 2)
    assert _numbers(database) == [1, 2]


def _run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


OPENED = """
    import os, sys, threading
    from portero.errors import ConfigurationError
    from portero.store.engine import Database
    database = Database.open(f"sqlite:///{sys.argv[1]}")
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n)")
    database.fetch_all("SELECT * FROM t", ())
    with database.reading() as connection:
        connection.exec_driver_sql("SELECT * FROM t").all()
"""


def test_a_forked_child_opens_its_own_connections(path: Path) -> None:
    script = (
        OPENED
        + """
    child = os.fork()
    for n in range(100):
        with database.writing() as connection:
            connection.exec_driver_sql("INSERT INTO t VALUES (?)", (n,))
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(database.fetch_all("SELECT count(*) FROM t", ()), database.fetch_all("PRAGMA integrity_check", ()))
    """
    )
    assert _run(script, str(path)) == "[(200,)] [('ok',)]"


@pytest.mark.parametrize("holder", ["a thread's reader", "the forking thread's write"])
def test_a_child_forked_while_the_database_was_in_use_refuses_it(path: Path, holder: str) -> None:
    hold = {
        "a thread's reader": """
    from portero.store.sqlite import SqliteFunction
    done, ready = threading.Event(), threading.Event()
    held = SqliteFunction("held", 0, lambda: (ready.set(), done.wait())[1])
    database = Database.open(f"sqlite:///{sys.argv[1]}", sqlite_functions=[held])
    threading.Thread(target=lambda: database.fetch_all("SELECT held()")).start()
    ready.wait()
    child = os.fork()
    """,
        "the forking thread's write": """
    done = threading.Event()
    with database.writing() as connection:
        child = os.fork()
        if child == 0:
            in_the_child()
    """,
    }[holder]
    script = (
        OPENED
        + """
    def in_the_child():
        try:
            database.fetch_all("SELECT 1", ())
        except ConfigurationError:
            os._exit(7)
        os._exit(1)
    """
        + hold
        + """
    if child == 0:
        in_the_child()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), database.fetch_all("SELECT 1", ()))
    done.set()
    """
    )
    assert _run(script, str(path)) == "7 [(1,)]"


def test_an_sqlite_with_the_race_serves_one_process_only(path: Path) -> None:
    """The standard library's SQLite is used where pysqlite3 has no wheel; an old one is not shared."""
    script = """
    import subprocess, sys
    sys.modules["pysqlite3"] = None
    import sqlite3
    sqlite3.dbapi2.sqlite_version_info = (3, 40, 1)
    from portero.errors import ConfigurationError
    from portero.store.engine import Database
    database = Database.open(f"sqlite:///{sys.argv[1]}")
    try:
        print(database.fetch_all("SELECT 1", ()), flush=True)
    except ConfigurationError as error:
        sys.exit("one worker" not in str(error))
    else:
        subprocess.run([sys.executable, "-c", sys.argv[2], sys.argv[1], ""], check=True)
    """
    script = textwrap.dedent(script)
    assert _run(script, str(path), script) == "[(1,)]"


def test_the_hooks_of_a_fork_close_what_is_idle(database: Database) -> None:
    """As the runs above show; here in one process, which sees both sides."""
    way: Any = database._way
    _insert(database, 1)
    assert _numbers(database) == [1]
    way.before_fork()
    way.after_fork()
    assert (len(way._readers._opened), way._writer._connection) == (0, None)
    _insert(database, 2)
    assert _numbers(database) == [1, 2]


def test_the_hooks_of_a_fork_leave_a_used_connection_alone_and_refuse_it_in_the_child(database: Database) -> None:
    way: Any = database._way
    with database.reading() as connection:
        way.before_fork()
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
    with database.writing():
        way.before_fork()
    way.after_fork()
    with pytest.raises(ConfigurationError, match="forked"):
        _insert(database, 1)


def test_an_old_sqlite_keeps_the_file_to_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DRIVER, "sqlite_version_info", (3, 40, 1))
    first, second = (Database.open(f"sqlite:///{path}", longest_wait=A_MOMENT) for _ in range(2))
    assert first.fetch_all("SELECT 1", ()) == [(1,)]
    with pytest.raises(ConfigurationError, match="one worker"):
        second.fetch_all("SELECT 1", ())
    first.close()
    assert second.fetch_all("SELECT 1", ()) == [(1,)]
    second.close()


def test_long_statements_are_read_like_others_and_closed_with_them(database: Database) -> None:
    """They have connections of their own, which keep none of them."""
    long = f"SELECT '{'x' * LONGEST_KEPT}'"
    for _ in range(2):
        assert [("x" * LONGEST_KEPT,)] == database.fetch_all(long)
        with ThreadPoolExecutor(8) as threads:
            assert [[(1,)]] * 8 == list(threads.map(database.fetch_all, [f"SELECT 1{' ' * LONGEST_KEPT}"] * 8))
        database.close()


def test_a_connection_that_ran_too_many_long_statements_is_replaced(database: Database) -> None:
    """The driver keeps what it ran; a transaction cannot change its connection, the next one does."""

    def used(opened: Any, length: int) -> Any:
        with opened() as connection:
            for number in range(3):
                connection.execute(sa.text(f"SELECT {number} -- {'x' * length}"))
                driver_calls.run(connection, f"SELECT {number} -- {'y' * length}", ()).fetchall()
            return connection.connection.dbapi_connection

    for opened in (database.reading, database.writing):
        first = used(opened, 10)
        assert first is used(opened, LONGEST_KEPT)
        assert first is used(opened, 200_000), "not before its transaction is over"
        assert first is not used(opened, 10)
