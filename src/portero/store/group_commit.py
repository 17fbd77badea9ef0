"""Group commit: writers that come at the same time share one transaction, and with it one sync of the disk.

Who finds nobody leading leads: it begins the transaction, does its own work and then that of everybody who has come
meanwhile, each in a savepoint, commits once, and hands the lead to the first who came too late. Nobody waits for
company: the sync of one group is the time in which the next one gathers. A result is given back after the commit only,
and what fails, fails alone.

A savepoint is one more call to the database and copies of all pages that are written after it, and the writer's lock is
held for it. What the database refuses of one statement it undoes by itself, so that goes without; so does what hardly
ever fails, because its refusals are results. Where such work fails after all, the whole group is undone and done again
with a savepoint each, and for a while all groups after it have them: see `Undo`.

A piece of work may be done twice, and by another thread, so it must touch nothing but the database; it is done in the
context (`contextvars`) of who wants it, whose column defaults it may ask for. It never runs the application's functions
or hooks. Obeys docs/decisions/0011-group-commit.md.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Generic, TypeVar

import sqlalchemy as sa

from portero import deadline
from portero.errors import DatabaseUnavailable
from portero.figures import CommitFigures

Made = TypeVar("Made")
#: Pieces of work of one group.
MOST: Final = 64
#: Seconds in which every piece of work has its savepoint, after one was refused that had none.
_CAREFUL: Final = 1.0


class Undo(Enum):
    """What undoes a piece of work of a group that fails, and only that.

    Attributes:
        SAVEPOINT: a savepoint before it.
        STATEMENT: the database, as far as that refused it: it changes rows by one statement, which does all or nothing.
            What the work itself refuses then is undone as by REPETITION.
        REPETITION: nothing by itself, so the others of the group are done again; for work that raises no refusals.
    """

    SAVEPOINT = 1
    STATEMENT = 2
    REPETITION = 3

    def has_undone(self, error: Exception) -> bool:
        """Tell whether nothing is left of work that failed so without a savepoint."""
        return self is Undo.STATEMENT and isinstance(error, sa.exc.DBAPIError)


class _Job(Generic[Made]):
    """One writer's work and what became of it.

    Until it is over, `result` and `error` are what the present attempt came to; nobody is told of them.
    """

    __slots__ = ("context", "error", "gate", "is_over", "leads", "result", "undo", "work")

    def __init__(self, work: Callable[[sa.Connection], Made], undo: Undo) -> None:
        self.work = work
        self.undo = undo
        # Whoever does the work, a column's default asks for the request of who wants it done.
        self.context = contextvars.copy_context()
        self.gate: threading.Lock  # of those who wait
        self.leads = False
        self.is_over = False
        self.result: Made
        self.error: BaseException | None = None

    def waits(self) -> None:
        """Get a gate that another thread will open."""
        self.gate = threading.Lock()
        self.gate.acquire()

    def ends(self, error: BaseException | None) -> None:
        """Note what became of it, for good."""
        self.error = error
        self.is_over = True

    def outcome(self) -> Made:
        """Give the result, or raise what went wrong."""
        if self.error is not None:
            raise self.error
        return self.result


class _Lost(DatabaseUnavailable):
    """The database rolled the whole transaction back because of one job."""


class _Spoiled(Exception):
    """What a piece of work did, and then refused, is in the transaction, and no savepoint is before it."""


class GroupCommit:
    """Runs work in shared transactions of one SQLite file.

    Args:
        transaction: does what it is given on the writing connection, in a transaction that is committed at the end.
        run: does one piece of work on the connection; it sees to time limits and to the names of errors.
        longest_wait: seconds that a writer waits until somebody begins with its work.
        longest_gathering: seconds after which a group takes in no more.
    """

    def __init__(
        self,
        transaction: Callable[[Callable[[sa.Connection], None]], None],
        run: Callable[[sa.Connection, Callable[[sa.Connection], Any]], Any],
        longest_wait: float,
        longest_gathering: float = 0.05,
    ) -> None:
        self._transaction = transaction
        self._run = run
        self._longest_wait = longest_wait
        self._longest_gathering = longest_gathering
        self._guard = threading.Lock()
        self._waiting: deque[_Job[Any]] = deque()
        self._is_led = False
        self._writes = self._groups = 0
        self._careful_until = 0.0

    def figures(self) -> CommitFigures:
        """Give how many pieces of work were done in how many transactions."""
        return CommitFigures(self._writes, self._groups)

    def write(self, work: Callable[[sa.Connection], Made], undo: Undo = Undo.SAVEPOINT) -> Made:
        """Do a piece of work in a transaction shared with others; give its result when it is on the disk.

        Args:
            work: what to do on the connection.
            undo: what undoes it if it fails.

        Raises:
            DatabaseUnavailable: nobody began with it in time, or the database could not be written.
            Exception: what the work raised; nothing of it is kept then.
        """
        job = _Job(work, undo)
        with self._guard:
            leads = not self._is_led
            if leads:
                self._is_led = True
            else:
                patience = deadline.bounded(self._longest_wait)
                job.waits()
                self._waiting.append(job)
        if leads or self._comes_to_lead(job, patience):
            self._lead(job)
        return job.outcome()

    def _comes_to_lead(self, job: _Job[Any], patience: float) -> bool:
        """Wait until the work was done by somebody (False), or it is this writer's turn to lead (True)."""
        try:
            if not job.gate.acquire(timeout=patience):
                if self._withdrawn(job):
                    raise DatabaseUnavailable("too many wait to write")
                job.gate.acquire()  # somebody has begun with it, and ends: see `_lead`
        except BaseException:
            # Who is interrupted here must not be waited for.
            if not self._withdrawn(job) and job.leads:
                self._hand_over([])
            raise
        return job.leads

    def _withdrawn(self, job: _Job[Any]) -> bool:
        """Take a job back that nobody has begun with; say whether it was there."""
        with self._guard:
            if job not in self._waiting:
                return False
            self._waiting.remove(job)
            return True

    def _lead(self, job: _Job[Any]) -> None:
        group = [job]
        try:
            again = self._done_together(group)
            if again:
                self._do_again(again)
        finally:
            self._writes, self._groups = self._writes + len(group), self._groups + 1
            self._hand_over(group)

    def _do_again(self, jobs: list[_Job[Any]]) -> None:
        """Do each alone; nobody waits for others' second attempts longer than for a turn."""
        until = time.monotonic() + self._longest_wait
        for one in jobs:
            if time.monotonic() >= until:
                break
            self._do_alone(one)

    def _done_together(self, group: list[_Job[Any]], is_careful: bool = False) -> list[_Job[Any]]:
        """Do the work of a group that grows meanwhile; give the jobs that have to be done again, each alone.

        What was refused in a transaction that came to nothing is done again too: it may have met another's rows. No job
        is over before the commit.
        """
        try:
            self._transaction(lambda connection: self._gather(connection, group, is_careful))
        except _Spoiled:
            self._careful_until = time.monotonic() + _CAREFUL
            return self._done_together(group, is_careful=True)
        except _Lost:
            for one in group:
                if isinstance(one.error, DatabaseUnavailable):
                    one.ends(one.error)
            return [one for one in group if not one.is_over]
        except sa.exc.IntegrityError:
            return list(group)  # a constraint that is checked at the commit: the fault of one of them
        except Exception as error:
            for one in group:
                # At a commit that failed nobody knows what the disk has: nothing is done twice.
                one.ends(error)
            return []
        for one in group:
            one.ends(one.error)
        return []

    def _gather(self, connection: sa.Connection, group: list[_Job[Any]], is_careful: bool) -> None:
        driver = connection.connection.dbapi_connection
        begun_at = time.monotonic()
        is_careful = is_careful or begun_at < self._careful_until
        for one in group:
            self._do(one, connection, driver, is_careful)
        # Who is alone sees that without the guard.
        while self._waiting and len(group) < MOST and time.monotonic() - begun_at < self._longest_gathering:
            with self._guard:
                if not self._waiting:
                    return
                group.append(self._waiting.popleft())
            self._do(group[-1], connection, driver, is_careful)

    def _do(self, job: _Job[Any], connection: sa.Connection, driver: Any, is_careful: bool) -> None:
        """Do one piece of work, if need be in a savepoint, which the commit ends.

        A name means the youngest savepoint of that name, so those of a group need not end before.
        """
        has_savepoint = is_careful or job.undo is Undo.SAVEPOINT
        if has_savepoint:
            driver.execute("SAVEPOINT portero_job")
        job.error = None
        try:
            job.result = job.context.run(self._run, connection, job.work)
        except Exception as error:
            job.error = error
            if not driver.in_transaction:  # a full disk, an interrupt: SQLite undid everybody's work
                raise _Lost("the transaction was undone") from error
            if has_savepoint:
                driver.execute("ROLLBACK TO portero_job")
            elif not job.undo.has_undone(error):
                raise _Spoiled from error

    def _do_alone(self, job: _Job[Any]) -> None:
        def do(connection: sa.Connection) -> None:
            job.result = job.context.run(self._run, connection, job.work)

        try:
            self._transaction(do)
            job.ends(None)
        except Exception as error:
            job.ends(error)

    def _hand_over(self, group: list[_Job[Any]]) -> None:
        """Let the next one lead, and wake everybody of this group, whatever happened."""
        with self._guard:
            successor = self._waiting.popleft() if self._waiting else None
            self._is_led = successor is not None
            if successor is not None:
                successor.leads = True
        if successor is not None:
            successor.gate.release()
        for one in group:
            if not one.is_over:
                one.ends(DatabaseUnavailable("the writer was stopped"))
        for one in group[1:]:
            one.gate.release()
