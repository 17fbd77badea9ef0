"""The reading path of PostgreSQL: one statement, one round trip, on few connections of its own.

The connections are in autocommit and read-only: no transaction is begun, none is ended, nothing has to be undone when
one is given back. They stay open: if a crowd's were closed when it pauses, they would be opened again at once, and
opening one takes as long as a hundred reads. Who finds every connection in use waits for a bounded time. A connection
that was lost is replaced and its statement, which only reads, run again: once, on a new connection. Never writes.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from portero.errors import DatabaseUnavailable
from portero.store.postgresql_lines import Line, LostConnection
from portero.store.postgresql_statements import Document, Parameters

Made = TypeVar("Made")
Run = Callable[[Line, str, Parameters], Made]


class ReadingPool:
    """The connections of the reading path.

    Args:
        connect: opens one; may raise what the driver raises.
        most: how many there may be.
        longest_wait: seconds that a statement waits for one.
        line: makes a connection's line.
    """

    def __init__(
        self, connect: Callable[[], Any], most: int, longest_wait: float, line: Callable[..., Line] = Line
    ) -> None:
        self._connect = connect
        self._line = line
        self._most = most
        self._longest_wait = longest_wait
        self._given_back = threading.Condition()
        self._idle: list[Line] = []
        self._open = 0
        self._waiting = 0
        self._inherited: list[Line] = []

    def fetch_all(self, sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
        """Run one reading statement.

        Raises:
            DatabaseUnavailable: no free connection in time, or it was lost twice.
            psycopg.Error: what the server refused, or no connection could be opened.
        """
        return self._fetched(Line.run, sql, parameters).rows

    def fetch_document(self, sql: str, parameters: Parameters) -> Document:
        """Run one reading statement that gives a document, as `Line.document` says.

        Raises:
            DatabaseUnavailable: as `fetch_all`.
            psycopg.Error: as `fetch_all`.
        """
        return self._fetched(Line.document, sql, parameters)

    def _fetched(self, run: Run[Made], sql: str, parameters: Parameters) -> Made:
        try:
            return self._run(run, self._take(), sql, parameters)
        except LostConnection:
            self.close()  # what else is idle was lost with it
            return self._run(run, self._take(), sql, parameters)

    def _run(self, run: Run[Made], connection: Line, sql: str, parameters: Parameters) -> Made:
        is_sound = False
        try:
            made = run(connection, sql, parameters)
            is_sound = True
        finally:
            # A statement that was refused leaves its connection sound; an answer that nobody waited for does not.
            self._give_back(connection, is_sound or connection.is_idle)
        return made

    def close(self) -> None:
        """Close what is not in use; the next statement opens anew."""
        with contextlib.suppress(IndexError):  # none is left
            while True:
                self._close(self._idle.pop())

    def forget(self) -> None:
        """Begin anew in a forked child, where nothing of the parent's may be touched, not even closed."""
        self._inherited.extend(self._idle)
        self._given_back = threading.Condition()
        self._idle = []
        self._open = self._waiting = 0

    def _take(self) -> Line:
        try:
            return self._idle.pop()  # one step under the interpreter's lock: it needs none of ours
        except IndexError:
            found = self._awaited()
        if found is not None:
            return found
        try:
            return self._line(self._connect(), begins=False)
        except BaseException:
            self._count_closed()
            raise

    def _awaited(self) -> Line | None:
        """Wait for a connection; None for leave to open one."""
        found: list[Line] = []

        def is_settled() -> bool:
            with contextlib.suppress(IndexError):
                found.append(self._idle.pop())
                return True
            is_free = self._open < self._most
            self._open += is_free
            return is_free

        with self._given_back:
            # Counted before the list is looked at: who gives one back looks here after it put it there.
            self._waiting += 1
            try:
                if not self._given_back.wait_for(is_settled, self._longest_wait):
                    raise DatabaseUnavailable("every connection to the database is in use")
            finally:
                self._waiting -= 1
        return found[0] if found else None

    def _give_back(self, connection: Line, is_sound: bool) -> None:
        if not is_sound:
            self._close(connection)
            return
        self._idle.append(connection)
        if self._waiting:
            with self._given_back:
                self._given_back.notify()

    def _close(self, connection: Line) -> None:
        connection.close()
        self._count_closed()

    def _count_closed(self) -> None:
        with self._given_back:
            self._open -= 1
            self._given_back.notify()
