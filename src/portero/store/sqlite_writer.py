"""The one writing connection of a SQLite file, and whose turn it is: of the threads here, then of the processes.

What a group of writers shares is straight code: each write pays for it, and a generator's context costs more than what
SQLite does to begin. It makes no statement of a caller's, and never keeps a connection whose state nobody knows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, TypeVar

import sqlalchemy as sa

from portero import deadline
from portero.errors import DatabaseUnavailable
from portero.store import long_statements
from portero.store.driver_calls import named
from portero.store.sqlite_driver import DRIVER
from portero.store.sqlite_errors import not_now
from portero.store.sqlite_readers import Clock
from portero.store.writer_turn import WriterTurn

Made = TypeVar("Made")


class Writer:
    """Writes to one file for this process, one thread at a time.

    Args:
        engine: opens the connection, of which it keeps one.
        turn: the turn of this process.
        prepare: makes the file ready; called by each who has the mutex.
        limit: seconds that a statement of a group may take.
        longest_wait: seconds that a thread waits for its turn.

    Attributes:
        mutex: who has it is the only one here who writes, opens or closes.
    """

    def __init__(
        self, engine: sa.Engine, turn: WriterTurn, prepare: Callable[[], None], limit: float, longest_wait: float
    ) -> None:
        self.mutex = threading.Lock()
        self._engine = engine
        self._turn = turn
        self._prepare = prepare
        self._limit = limit
        self._wait = longest_wait
        self._thread: int | None = None
        self._connection: sa.Connection | None = None
        self._clock: Clock
        sa.event.listen(engine, "begin", _begin_immediate)

    def is_mine(self) -> bool:
        """Tell whether this thread writes now."""
        return self._thread == threading.get_ident()

    def check_not_mine(self) -> None:
        """Refuse to write in a thread that writes already.

        Raises:
            RuntimeError: it does.
        """
        if self._thread == threading.get_ident():
            raise RuntimeError("this thread writes already: a second writer would wait for the first for ever")

    @contextmanager
    def turn(self, limit: float) -> Iterator[sa.Connection]:
        """Give the connection, in no transaction yet, to be the only writer until the end.

        Args:
            limit: seconds that what is done with it may take.

        Raises:
            DatabaseUnavailable: the turn did not come in time, or an error meant "not now".
            RuntimeError: this thread writes already.
        """
        self.check_not_mine()
        self._take_turn(deadline.bounded(self._wait))
        try:
            yield self._connected(limit)
        except BaseException as error:
            self._end_with(error)
            raise
        finally:
            self._give_turn_back()

    def transact(self, work: Callable[[sa.Connection], None]) -> None:
        """Do work in one transaction: committed and on disk at the end, undone at an exception.

        No request's deadline is asked: that of who leads a group is none of those whose work is done. Whoever leads has
        asked `check_not_mine`.

        Raises:
            DatabaseUnavailable: as `turn`.
            Exception: what the work raises.
        """
        self._take_turn(self._wait)
        try:
            connection = self._connected(self._limit)
            with begun(connection):
                work(connection)
        except BaseException as error:
            self._end_with(error)
            raise
        finally:
            self._give_turn_back()

    def run(self, connection: sa.Connection, work: Callable[[sa.Connection], Made]) -> Made:
        """Do one of the pieces of work of a transaction, each with the whole time.

        Raises:
            DatabaseUnavailable: an error meant "not now".
            Exception: what the work raises.
        """
        self._clock.started = time.monotonic()
        try:
            return work(connection)
        except Exception as error:
            found = not_now(error, writing=True)
            if found is None:
                raise
            raise found from error

    def drop(self) -> None:
        """Close the connection; the next write opens another. For who has the mutex."""
        connection, self._connection = self._connection, None
        with suppress(sa.exc.DBAPIError):
            if connection is not None:
                connection.close()
            self._engine.dispose()

    def after_fork(self) -> sa.Connection | None:
        """Forget what was inherited, without touching it; give it, to be kept from being closed."""
        connection, self._connection = self._connection, None
        self.mutex = threading.Lock()
        self._thread = None
        if connection is not None:
            self._engine.dispose(close=False)
        return connection

    def _take_turn(self, patience: float) -> None:
        until = time.monotonic() + patience
        if not self.mutex.acquire(timeout=patience):
            raise DatabaseUnavailable("too many wait to write")
        try:
            self._thread = threading.get_ident()
            self._prepare()
            self._turn.take(until - time.monotonic())
        except BaseException:
            self._let_others()
            raise

    def _give_turn_back(self) -> None:
        try:
            self._turn.give_back()
        finally:
            self._let_others()

    def _let_others(self) -> None:
        self._thread = None
        self.mutex.release()

    def _connected(self, limit: float) -> sa.Connection:
        connection = self._connection
        if connection is not None and long_statements.are_too_many(connection.info):
            self.drop()
            connection = None
        if connection is None:
            connection = self._connection = self._engine.connect()
        self._clock = clock = connection.info["clock"]
        clock.limit, clock.started = limit, time.monotonic()
        return connection

    def _end_with(self, error: BaseException) -> None:
        """Drop a connection of whose state nobody is sure, and name what means "not now".

        A commit that a deferred constraint refuses leaves the transaction open, and SQLAlchemy thinks it over.
        """
        found = not_now(error, writing=True)
        connection = self._connection
        is_doubtful = found is not None or isinstance(error, DatabaseUnavailable)
        if is_doubtful or (connection is not None and driver_of(connection).in_transaction):
            self.drop()
        if found is not None:
            raise found from error


class begun(AbstractContextManager[None]):  # noqa: N801 - said like a function
    """Begin and commit past SQLAlchemy, which takes longer for both than a row takes; it joins in where it is used."""

    __slots__ = ("_connection", "_driver")

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._driver = driver_of(connection)

    def __enter__(self) -> None:
        self._driver.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._undo()
            return
        try:
            self._commit()
        except BaseException:
            self._undo()
            raise

    def _commit(self) -> None:
        if self._connection.in_transaction():
            self._connection.commit()
        try:
            self._driver.commit()  # nothing, where it was done
        except DRIVER.Error as error:
            raise named(error, self._connection, "COMMIT") from error

    def _undo(self) -> None:
        with suppress(sa.exc.SQLAlchemyError, DRIVER.Error):
            self._connection.rollback()
            self._driver.rollback()


@contextmanager
def set_for_once(connection: sa.Connection, pragma: str, inside: str, outside: str) -> Iterator[None]:
    """Set a pragma that cannot be changed in a transaction, and set it back."""
    driver = driver_of(connection)
    driver.execute(f"PRAGMA {pragma}={inside}").close()  # words of Portero's own only
    try:
        yield
    finally:
        driver.execute(f"PRAGMA {pragma}={outside}").close()  # words of Portero's own only


def driver_of(connection: sa.Connection) -> Any:
    """Give the driver's own connection."""
    return connection.connection.dbapi_connection


def _begin_immediate(connection: sa.Connection) -> None:
    driver = driver_of(connection)
    if not driver.in_transaction:  # else it joins in
        driver.execute("BEGIN IMMEDIATE").close()
