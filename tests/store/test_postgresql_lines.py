"""Tests of portero.store.postgresql_lines: prepared once, few plans, several statements in one round trip."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from portero.errors import DatabaseUnavailable
from portero.store import postgresql_lines
from portero.store.driver_calls import Again
from portero.store.long_statements import LONGEST_KEPT
from portero.store.postgresql_lines import Line, LostConnection
from portero.store.postgresql_statements import Shared


def _prepared(connection: Line) -> int:
    query = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'portero%%'"
    return int(connection.connection.execute(query, ()).fetchone()[0])


def test_values_come_back_as_psycopg_gives_them(connection: Line) -> None:
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
        assert connection.run(sql, values).rows == expected


@pytest.mark.parametrize("way", ["connection", "line"])
def test_a_document_comes_as_it_was_written_with_numbers_behind_it(way: str, request: pytest.FixtureRequest) -> None:
    one: Line = request.getfixturevalue(way)
    sql = "SELECT json_agg(x::json), count(*), NULL::bigint, -1 FROM unnest(%s::text[]) AS x"
    for prepares in (False, True, True, True):
        found = one.document(sql, (['{"é":1.50,  "n":2}', "null"],), prepares=prepares)
        assert found == ('[{"é":1.50,  "n":2}, null]'.encode(), 2, None, -1)
        assert one.run("SELECT '[1.50]'::json", ()).rows == [([1.5],)]


def test_parameters_may_have_names_and_be_used_twice(connection: Line) -> None:
    for _ in range(3):
        found = connection.run("SELECT %(b)s::int - %(a)s::int, %(b)s::int", {"a": 1, "b": 9}).rows
        assert found == [(8, 9)]
    assert connection.run("SELECT 1", {}).rows == [(1,)]


def test_a_statement_is_prepared_at_its_second_use_and_once_for_numbers_of_every_size(
    connection: Line,
) -> None:
    sql = "SELECT %s::bigint"
    assert connection.run(sql, (1,)).rows == [(1,)]
    assert _prepared(connection) == 0
    for number in (2, 70_000, 2**40):
        assert connection.run(sql, (number,)).rows == [(number,)]
    assert _prepared(connection) == 1


def test_no_more_statements_are_prepared_than_the_bound(connection: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql_lines, "MOST_PREPARED", 3)
    for number in range(5):
        for _ in range(2):
            assert connection.run(f"SELECT {number}", ()).rows == [(number,)]
    assert _prepared(connection) == 3


def test_a_long_statement_is_never_prepared(connection: Line) -> None:
    """Its text may be as long as a request, and the server keeps a plan of it beside."""
    sql = f"SELECT '{'x' * LONGEST_KEPT}'"
    for _ in range(3):
        assert connection.run(sql, ()).rows == [("x" * LONGEST_KEPT,)]
    assert (_prepared(connection), len(connection.statements)) == (0, 0)


def test_lines_of_a_database_count_together_how_often_a_statement_was_kept(connect: Callable[[], Any]) -> None:
    shared = Shared()
    lines = [Line(connect(), begins=False, shared=shared) for _ in range(2)]
    for line in lines:
        for _ in range(4):
            line.run("SELECT 1", ())
    assert shared.figures(256) == (4, 4, 2, 256)
    for line in lines:
        line.close()


def test_statements_that_never_come_again_push_out_none_that_is_prepared(
    connection: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_lines, "MOST_PREPARED", 2)
    monkeypatch.setattr(postgresql_lines, "_MOST_SEEN", 4)
    for _ in range(2):
        connection.run("SELECT 'often'", ())
    before = list(connection.statements)
    for number in range(10):
        assert connection.run(f"SELECT {number}", ()).rows == [(number,)]
    assert list(connection.statements) == before
    assert len(connection._seen) == 4


def test_a_statement_that_is_refused_when_it_is_prepared_is_refused(connection: Line) -> None:
    for _ in range(3):
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.run("SELECT * FROM nothing", ())
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.run("SELECT 1 / %s::int", (0,))
    assert connection.run("SELECT 1", ()).rows == [(1,)]


def test_a_server_that_forgot_what_was_prepared_is_asked_unprepared_from_then_on(connection: Line) -> None:
    for number in range(3):
        connection.run("SELECT %s::int", (number,))
    connection.connection.execute("DEALLOCATE ALL")
    for number in range(3):
        assert connection.run("SELECT %s::int", (number,)).rows == [(number,)]
        assert connection.run("SELECT %s::int + 1", (number,)).rows == [(number + 1,)]
    assert _prepared(connection) == 0


def test_a_column_that_got_another_type_is_read_with_it(connection: Line) -> None:
    connection.connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    for _ in range(3):
        assert connection.run("SELECT n FROM t", ()).rows == [(1,)]
    connection.connection.execute("ALTER TABLE t ALTER n TYPE text USING n || '!'")
    for _ in range(3):
        assert connection.run("SELECT n FROM t", ()).rows == [("1!",)]
    assert _prepared(connection) == 1
    for _ in range(3):
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.run("SELECT n FROM another.public.t", ())


@pytest.fixture
def line(connect: Callable[[], Any]) -> Iterator[Line]:
    """A line for transactions."""
    connection = connect()
    connection.autocommit = False
    connection.execute("CREATE TABLE t (n integer PRIMARY KEY)")
    connection.commit()
    line = Line(connection, begins=True)
    yield line
    line.close()


def test_a_document_need_not_be_prepared_and_then_never_has_to_be_asked_for_again(line: Line) -> None:
    sql = "SELECT json_agg(t.*), count(*) FROM t"
    for change in ("ADD m integer", "DROP m", "ADD m text"):
        line.run("INSERT INTO t VALUES (1)", ())
        assert b'[{"n":1' in line.document(sql, (), prepares=False)[0]
        line.connection.rollback()
        assert _prepared(line) <= 1
        line.connection.rollback()
        line.connection.execute(f"ALTER TABLE t {change}".encode())
        line.connection.commit()


def test_a_transaction_is_begun_with_its_first_statement_and_what_waits_goes_before_the_next_one(line: Line) -> None:
    heard: list[list[tuple[Any, ...]]] = []
    for number in range(4):
        line.run_before("SELECT %s::int", (number,), heard.append)
        assert line.run("INSERT INTO t VALUES (%s::int)", (number,)).rowcount == 1
        assert heard == [[(number,)]]
        heard.clear()
        line.run_before("SELECT count(*) FROM t", (), heard.append)
        line.settle()
        assert heard == [[(number + 1,)]]
        heard.clear()
    line.connection.rollback()
    assert line.run("SELECT n FROM t", ()).fetchall() == []
    assert _prepared(line) == 3


def test_the_judge_speaks_before_the_error_of_the_statement_that_went_with_it(line: Line) -> None:
    def refuse(rows: list[tuple[Any, ...]]) -> None:
        raise PermissionError(rows)

    for _ in range(3):
        line.run_before("SELECT 'ended'", (), refuse)
        with pytest.raises(PermissionError, match="ended"):
            line.run("SELECT 1 / %s::int", (0,))
        line.connection.rollback()
        line.run_before("SELECT 'stands'", (), lambda rows: None)
        with pytest.raises(psycopg.errors.DivisionByZero):
            line.run("SELECT 1 / %s::int", (0,))
        line.connection.rollback()
    assert _prepared(line) == 3


def test_a_statement_that_fails_when_it_waits_is_what_is_told(line: Line) -> None:
    for _ in range(3):
        line.run_before("SELECT nothing", (), lambda rows: None)
        with pytest.raises(psycopg.errors.UndefinedColumn):
            line.run("INSERT INTO t VALUES (1)", ())
        line.connection.rollback()
    assert line.run("SELECT n FROM t", ()).rows == []


def test_what_waits_is_forgotten_with_its_transaction(line: Line) -> None:
    def refuse(rows: list[tuple[Any, ...]]) -> None:
        raise AssertionError(rows)

    line.run_before("SELECT 1", (), refuse)
    line.forget_waiting()
    line.settle()
    assert line.run("SELECT 2", ()).rows == [(2,)]


def test_a_line_that_is_lost_says_so(line: Line, connect: Callable[[], Any]) -> None:
    other = connect()
    line.run("SELECT 1", ())
    line.connection.rollback()
    other.execute("SELECT pg_terminate_backend(%s)", (line.connection.info.backend_pid,))
    line.run_before("SELECT 1", (), lambda rows: None)
    with pytest.raises(LostConnection):
        line.run("SELECT 1", ())
    assert line.is_lost
    with pytest.raises(LostConnection):
        line.run("SELECT 1", ())
    other.close()


def test_what_a_server_forgot_in_a_transaction_can_be_done_again(line: Line) -> None:
    for _ in range(2):
        line.run("SELECT 1", ())
    line.connection.execute("DEALLOCATE ALL")
    with pytest.raises(Again, match="forgot"):
        line.run("SELECT 1", ())
    line.connection.rollback()
    assert not line.is_lost
    assert line.run("SELECT 1", ()).rows == [(1,)]


def test_other_threads_run_while_a_line_waits_for_its_answers(line: Line) -> None:
    turns = 0
    with ThreadPoolExecutor(1) as threads:
        line.run_before("SELECT pg_sleep(0.3)", (), lambda rows: None)
        waiting = threads.submit(line.run, "SELECT 1", ())
        while not waiting.done():
            time.sleep(0.01)
            turns += 1
        assert waiting.result().rows == [(1,)]
    assert turns > 3


def test_values_larger_than_the_socket_takes_at_once_arrive_whole(line: Line) -> None:
    text = "é" * 1_000_000
    for _ in range(3):
        line.run_before("SELECT md5(%s::text)", (text,), lambda rows: None)
        assert line.run("SELECT %s::text", (text,)).rows == [(text,)]
        line.connection.rollback()


def test_a_server_that_is_silent_for_too_long_is_given_up(connect: Callable[[], Any]) -> None:
    line = Line(connect(), begins=True, longest_silence=0.2)
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        line.run("SELECT pg_sleep(10)", ())
    assert line.is_lost


def test_a_wait_that_is_interrupted_leaves_no_answer_to_others(line: Line, interrupted: Callable[[], Any]) -> None:
    with interrupted():
        line.run("SELECT pg_sleep(10)", ())
    assert line.is_lost


def test_null_is_of_the_type_that_its_place_had_and_a_text_is_prepared_in_four_ways_at_most(connection: Line) -> None:
    sql = "SELECT %s::bigint, %s::bigint, %s::boolean"
    for row in [(1, 2, True), (1, 2, True), (None, 2, True), (1, None, None), (None, None, None)]:
        assert connection.run(sql, row).rows == [row]
    assert _prepared(connection) == 1
    for value in (1, 1.5, Decimal(2), True, b"\x01", [1], UUID(int=1)):
        for _ in range(2):
            connection.run("SELECT pg_typeof(%s)::text", (value,))
    assert _prepared(connection) == 1 + 4


def test_what_is_pushed_out_in_a_transaction_does_not_end_it_where_the_server_lacks_the_name(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_lines, "MOST_PREPARED", 1)
    for _ in range(2):
        line.run("SELECT 1", ())
    line.connection.execute("DEALLOCATE ALL")
    for _ in range(3):
        assert line.run("SELECT 2", ()).rows == [(2,)]
    line.connection.rollback()
    assert line.run("SELECT 2", ()).rows == [(2,)]
    assert line._outdated == []


def test_a_server_that_forgot_everything_is_noticed_once_and_a_new_transaction_is_begun_anew(line: Line) -> None:
    for _ in range(2):
        for number in range(3):
            line.run(f"SELECT {number}", ())
    line.connection.rollback()
    line.connection.execute("DEALLOCATE ALL")
    line.connection.commit()
    heard: list[list[tuple[Any, ...]]] = []
    line.run_before("SELECT 0", (), heard.append)
    assert line.run("SELECT 1", ()).rows == [(1,)]
    assert heard == [[(0,)]]
    assert line.run("SELECT 2", ()).rows == [(2,)]
    assert line.connection.info.transaction_status.name == "INTRANS"


def test_what_a_trigger_refuses_as_not_supported_is_its_own_answer(line: Line) -> None:
    body = "BEGIN RAISE 'no' USING ERRCODE = '0A000'; END"
    line.connection.execute(f"CREATE FUNCTION no() RETURNS int AS $${body}$$ LANGUAGE plpgsql")
    line.connection.commit()
    line.run("SELECT 1", ())
    for _ in range(3):
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            line.run("SELECT no()", ())
        line.connection.rollback()
        line.run("SELECT 1", ())


def test_as_many_values_as_places_or_none_is_sent(connection: Line) -> None:
    for values in ((), (1,), (1, 2, 3)):
        with pytest.raises(psycopg.ProgrammingError):
            connection.run("SELECT %s::int, %s::int", values)


def test_a_table_that_one_line_found_altered_ends_no_transaction_of_another(connect: Callable[[], Any]) -> None:
    shared = Shared()
    reading, line = Line(connect(), begins=False, shared=shared), Line(connect(), begins=True, shared=shared)
    reading.connection.execute("CREATE TABLE t AS SELECT 1 AS n")
    for _ in range(2):
        assert reading.run("SELECT n FROM t", ()).rows == line.run("SELECT n FROM t", ()).rows == [(1,)]
    line.connection.rollback()
    reading.connection.execute("ALTER TABLE t ALTER n TYPE text USING n || '!'")
    assert reading.run("SELECT n FROM t", ()).rows == [("1!",)]
    line.run("SELECT 1", ())
    assert line.run("SELECT n FROM t", ()).rows == [("1!",)]
    assert _prepared(line) == 1
    for each in (reading, line):
        each.close()


class _Kept:
    """What is counted of a line."""

    statements = ("SELECT 1",)


def test_lines_are_counted_while_others_join() -> None:
    """The administrator's metrics are asked for at any moment."""
    shared, usual = Shared(), sys.getswitchinterval()
    held = [_Kept() for _ in range(5000)]
    joining = threading.Thread(target=lambda: [shared.join(each) for each in held])
    sys.setswitchinterval(1e-6)
    try:
        joining.start()
        while joining.is_alive():
            shared.figures(1)
    finally:
        sys.setswitchinterval(usual)
        joining.join()
    assert len(held) == shared.figures(1).entries
