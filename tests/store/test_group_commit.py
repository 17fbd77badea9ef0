"""Tests of portero.store.group_commit: one sync for many, each acknowledged after the commit, failing alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from portero.errors import DatabaseUnavailable
from portero.store.driver_calls import run
from portero.store.engine import Database
from portero.store.group_commit import MOST, GroupCommit, Undo, _Job
from portero.store.sqlite import SqliteFile

FEW = 8
Work = Callable[[sa.Connection], object]


class Refused(Exception):
    pass


class Gathering:
    """Holds a first writer back until others have queued, so that they come into its group."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.pool = ThreadPoolExecutor(MOST * 2)
        self.file._group._longest_gathering = 60  # however slow the machine is

    @property
    def file(self) -> SqliteFile:
        file = self.database._way
        assert isinstance(file, SqliteFile)
        return file

    def together(self, first: Work, *others: Work) -> list[Future[object]]:
        """Write all of them in one group, in this order; give what became of each."""
        has_begun, may_go = threading.Event(), threading.Event()

        def held_back(connection: sa.Connection) -> object:
            has_begun.set()
            may_go.wait(5)
            return first(connection)

        held_back.__dict__.update(first.__dict__)
        futures = [self._submitted(held_back)]
        assert has_begun.wait(5)
        for place, work in enumerate(others, 1):
            futures.append(self._submitted(work))
            _until(lambda place=place: len(self.file._group._waiting) == place)  # type: ignore[misc]
        may_go.set()
        for future in futures:
            future.exception(10)
        return futures

    def _submitted(self, work: Work) -> Future[object]:
        return self.pool.submit(self.database.write_together, work, **work.__dict__)

    def numbers(self) -> list[int]:
        return [row[0] for row in self.database.fetch_all("SELECT n FROM t ORDER BY n", ())]


def _until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(5000):
        if holds():
            return
        pause.wait(0.001)
    raise AssertionError("it never came to that")


def adding(number: int) -> Work:
    def work(connection: sa.Connection) -> int:
        connection.exec_driver_sql("INSERT INTO t VALUES (?)", (number,))
        return number

    return work


def refusing(number: int) -> Work:
    def work(connection: sa.Connection) -> None:
        adding(number)(connection)
        raise Refused(number)

    return work


@pytest.fixture
def gathering(tmp_path: Path) -> Iterator[Gathering]:
    database = Database.open(f"sqlite:///{tmp_path}/app.db", longest_wait=timedelta(seconds=5))
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE t (n INTEGER NOT NULL UNIQUE)")
        connection.exec_driver_sql(
            "CREATE TABLE child (n INTEGER REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED, of INTEGER)"
        )
    made = Gathering(database)
    yield made
    made.pool.shutdown()
    database.close()


def test_writers_that_come_at_the_same_time_share_one_transaction(gathering: Gathering) -> None:
    futures = gathering.together(*[adding(number) for number in range(FEW)])
    assert list(range(FEW)) == [future.result() for future in futures]
    assert list(range(FEW)) == gathering.numbers()
    assert (FEW, 1) == gathering.database.commits()


def test_a_group_has_a_largest_size_and_the_rest_goes_into_the_next(gathering: Gathering) -> None:
    gathering.together(*[adding(number) for number in range(MOST + 3)])
    assert list(range(MOST + 3)) == gathering.numbers()
    assert (MOST + 3, 2) == gathering.database.commits()


def test_what_is_refused_is_undone_alone(gathering: Gathering) -> None:
    one, two, three, four = gathering.together(adding(1), refusing(2), adding(1), adding(3))
    assert 1 == one.result()
    assert isinstance(two.exception(), Refused)
    assert isinstance(three.exception(), sa.exc.IntegrityError)
    assert 3 == four.result()
    assert [1, 3] == gathering.numbers()


def single(work: Work) -> Work:
    """Mark work as one statement for `Gathering.together`."""
    work.__dict__["undo"] = Undo.STATEMENT
    return work


def sure(work: Work) -> Work:
    """Mark work as such that hardly ever fails for `Gathering.together`."""
    work.__dict__["undo"] = Undo.REPETITION
    return work


def test_one_statement_that_its_writer_refuses_is_undone_alone_too(gathering: Gathering) -> None:
    works = [adding(1), single(adding(2)), single(refusing(3)), adding(1), single(adding(1)), single(adding(4))]
    one, two, three, four, five, six = gathering.together(*works)
    assert [1, 2, 4] == [one.result(), two.result(), six.result()]
    assert [Refused, sa.exc.IntegrityError, sa.exc.IntegrityError] == [
        type(each.exception()) for each in (three, four, five)
    ]
    assert [1, 2, 4] == gathering.numbers()
    assert (6, 1) == gathering.database.commits()


def test_what_hardly_ever_fails_is_undone_alone_when_it_does(gathering: Gathering) -> None:
    def half(connection: sa.Connection) -> None:
        adding(5)(connection)
        adding(1)(connection)

    works = [sure(adding(1)), sure(half), sure(adding(2)), sure(refusing(3)), single(adding(4))]
    one, two, three, four, five = gathering.together(*works)
    assert [1, 2, 4] == [one.result(), three.result(), five.result()]
    assert [sa.exc.IntegrityError, Refused] == [type(two.exception()), type(four.exception())]
    assert [1, 2, 4] == gathering.numbers()
    assert (5, 1) == gathering.database.commits()


def test_after_a_refusal_nobody_else_does_work_twice_for_a_while(gathering: Gathering) -> None:
    done: list[int] = []

    def counted(number: int) -> Work:
        def work(connection: sa.Connection) -> None:
            done.append(number)
            adding(number)(connection)

        return single(work)

    gathering.together(counted(1), single(refusing(2)))
    assert [1, 1] == done
    gathering.file._group._careful_until += 60  # however slow the machine is
    gathering.together(counted(3), single(refusing(4)), counted(5))
    assert ([1, 1, 3, 5], [1, 3, 5]) == (done, gathering.numbers())


def test_what_the_database_refuses_of_one_statement_makes_nobody_work_twice(gathering: Gathering) -> None:
    done: list[int] = []

    def counted(connection: sa.Connection) -> None:
        done.append(1)
        adding(1)(connection)

    gathering.together(single(counted), single(adding(1)), single(adding(2)))
    assert ([1], [1, 2]) == (done, gathering.numbers())


def test_a_result_is_given_back_when_others_can_read_what_was_written(gathering: Gathering) -> None:
    for number in range(FEW):
        gathering.database.write_together(adding(number))
        assert number in gathering.numbers()


def test_a_transaction_that_the_database_undid_is_done_again_without_the_one_at_fault(gathering: Gathering) -> None:
    def losing(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")  # as SQLite does where a disk is full
        raise DatabaseUnavailable("the disk is full")

    one, two, three, four = gathering.together(adding(1), refusing(2), losing, adding(3))
    assert 1 == one.result()
    assert isinstance(two.exception(), Refused)
    assert isinstance(three.exception(), DatabaseUnavailable)
    assert 3 == four.result()
    assert [1, 3] == gathering.numbers()


def test_a_constraint_that_is_checked_at_the_commit_fails_its_own_writer_only(gathering: Gathering) -> None:
    def orphan(connection: sa.Connection) -> None:
        connection.exec_driver_sql("INSERT INTO child VALUES (77, 1)")

    one, two, three = gathering.together(adding(1), orphan, adding(2))
    assert 1 == one.result()
    assert isinstance(two.exception(), sa.exc.IntegrityError)
    assert 2 == three.result()
    assert [1, 2] == gathering.numbers()


def test_work_that_goes_through_sqlalchemy_and_work_that_does_not_share_a_transaction(gathering: Gathering) -> None:
    def prepared(connection: sa.Connection) -> None:
        run(connection, "INSERT INTO t VALUES (?)", (2,))

    def colliding(connection: sa.Connection) -> None:
        run(connection, "INSERT INTO t VALUES (?)", (1,))

    for work in (prepared, adding(1), colliding, adding(3)):
        futures = gathering.together(work)
        assert not gathering.file._writer._connection.in_transaction()  # type: ignore[union-attr]
        assert (work is colliding) == isinstance(futures[0].exception(), sa.exc.IntegrityError)
    futures = gathering.together(colliding, adding(4), colliding, adding(5))
    assert [True, False, True, False] == [isinstance(each.exception(), sa.exc.IntegrityError) for each in futures]
    assert [1, 2, 3, 4, 5] == gathering.numbers()


def test_a_refusal_that_rests_on_work_that_was_undone_is_judged_anew(gathering: Gathering) -> None:
    def doomed(connection: sa.Connection) -> None:
        adding(5)(connection)
        connection.exec_driver_sql("INSERT INTO child VALUES (77, 1)")

    one, two = gathering.together(doomed, adding(5))
    assert isinstance(one.exception(), sa.exc.IntegrityError)
    assert 5 == two.result()
    assert [5] == gathering.numbers()


class Broken(BaseException):
    pass


def test_nobody_is_acknowledged_where_the_commit_fails_and_nothing_is_done_twice() -> None:
    done: list[int] = []

    def failing(work: Callable[[sa.Connection], None]) -> None:
        with sa.create_engine("sqlite://").begin() as connection:
            work(connection)
        raise DatabaseUnavailable("reading or writing the disk failed")

    def work(connection: sa.Connection) -> None:
        done.append(1)

    with pytest.raises(DatabaseUnavailable):
        GroupCommit(failing, lambda connection, work: work(connection), 1).write(work)
    assert [1] == done


def test_a_leader_that_is_stopped_leaves_nobody_asleep(gathering: Gathering) -> None:
    def stopping(connection: sa.Connection) -> None:
        raise Broken

    one, two, three, four = gathering.together(adding(1), adding(3), stopping, adding(2))
    assert isinstance(one.exception(), Broken)
    assert isinstance(two.exception(), DatabaseUnavailable)
    assert isinstance(three.exception(), DatabaseUnavailable)
    assert 2 == four.result()
    assert [2] == gathering.numbers()


def test_a_leader_that_is_stopped_at_a_second_attempt_tells_nobody_of_the_first(gathering: Gathering) -> None:
    attempts: list[int] = []

    def orphan(connection: sa.Connection) -> None:
        attempts.append(1)
        if len(attempts) > 1:
            raise Broken
        connection.exec_driver_sql("INSERT INTO child VALUES (77, 1)")

    one, two, three = gathering.together(adding(1), orphan, adding(2))
    assert isinstance(one.exception(), Broken)
    assert isinstance(two.exception(), DatabaseUnavailable)
    assert isinstance(three.exception(), DatabaseUnavailable)
    assert [1] == gathering.numbers()


def test_work_is_done_in_the_context_of_who_wants_it(gathering: Gathering) -> None:
    who: ContextVar[int] = ContextVar("who")

    def mine(connection: sa.Connection) -> int:
        return adding(who.get())(connection)  # type: ignore[return-value]

    callers = {number: copy_context() for number in range(FEW)}
    for number, context in callers.items():
        context.run(who.set, number)
    has_begun, may_go = threading.Event(), threading.Event()

    def held_back(connection: sa.Connection) -> None:
        has_begun.set()
        may_go.wait(5)

    leader = gathering.pool.submit(gathering.database.write_together, held_back)
    assert has_begun.wait(5)
    write = gathering.database.write_together
    futures = [gathering.pool.submit(context.run, write, mine) for context in callers.values()]
    _until(lambda: len(gathering.file._group._waiting) == FEW)
    may_go.set()
    leader.result(5)
    assert list(range(FEW)) == [future.result(5) for future in futures]


def test_who_is_interrupted_while_waiting_is_not_waited_for(gathering: Gathering) -> None:
    group = gathering.file._group

    class Interrupted:
        """A gate whose wait is ended by a signal, once the job was made the leader."""

        def acquire(self, timeout: float = -1) -> bool:
            may_go.set()
            leader.result(5)
            raise Broken

        def release(self) -> None: ...

    has_begun, may_go = threading.Event(), threading.Event()

    def held_back(connection: sa.Connection) -> None:
        has_begun.set()
        may_go.wait(5)

    for gathering_time in (60, 0):  # it is done by the leader; it was made the next one to lead
        group._longest_gathering = gathering_time
        has_begun.clear()
        may_go.clear()
        leader = gathering.pool.submit(gathering.database.write_together, held_back)
        assert has_begun.wait(5)
        job = _Job(adding(gathering_time), Undo.SAVEPOINT)
        job.gate = Interrupted()  # type: ignore[assignment]
        group._waiting.append(job)
        with pytest.raises(Broken):
            group._comes_to_lead(job, 5)
        assert gathering_time + 1 == gathering.database.write_together(adding(gathering_time + 1))
    assert [1, 60, 61] == gathering.numbers()


def test_who_waits_too_long_for_a_group_is_told_so_and_never_written(gathering: Gathering) -> None:
    gathering.file._group._longest_wait = 0.05
    has_begun, may_go = threading.Event(), threading.Event()

    def long(connection: sa.Connection) -> None:
        has_begun.set()
        may_go.wait(5)

    leader = gathering.pool.submit(gathering.database.write_together, long)
    assert has_begun.wait(5)
    with pytest.raises(DatabaseUnavailable):
        gathering.database.write_together(adding(1))
    may_go.set()
    leader.result(5)
    gathering.database.write_together(adding(2))
    assert [2] == gathering.numbers()


def test_a_writer_does_not_write_inside_its_own_write(gathering: Gathering) -> None:
    with gathering.database.writing(), pytest.raises(RuntimeError):
        gathering.database.write_together(adding(1))
