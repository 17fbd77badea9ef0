"""The reading path of PostgreSQL: one statement, one round trip, on few connections of its own.

psycopg's cursors cost more than many a statement does: they are made anew, parse the text, and wait in Python. Here
libpq runs a statement by itself (`psycopg.pq`), prepared at its second use on a connection, while psycopg's adapters
turn values into PostgreSQL's and back, so that a value looks as it does everywhere else. The connections are in
autocommit and read-only: no transaction is begun, none is ended, nothing has to be undone when one is given back.

Who finds every connection in use waits for a bounded time. A connection that was lost is replaced and its statement,
which only reads, run again: once, on a new connection. Statements that a pooler between us and the server has
forgotten are run unprepared. Never writes, and never makes SQL.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from psycopg import errors, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.numeric import Int8Dumper

from portero.errors import DatabaseUnavailable

#: Prepared statements of a connection (the server keeps a plan for each, in each of its processes), and texts that were
#: run once: whoever asks something new again and again pushes out only these.
_MOST_PREPARED = 128
_MOST_SEEN = 256
#: Connections that are kept open; more are opened for a crowd, and closed after it.
_MOST_IDLE = 8
_PLACES = re.compile(r"%(?:\(([^)]*)\)s|s|%)")
#: The server does not know the prepared statement; its table was altered so that it would answer with other types.
_UNKNOWN, _ALTERED = b"26000", b"0A000"
DONE: Final = pq.ExecStatus.COMMAND_OK
_ROWS: Final = pq.ExecStatus.TUPLES_OK


class LostConnection(DatabaseUnavailable):
    """The connection was gone before the statement's answer came."""


class _Statement:
    """A statement as PostgreSQL takes it.

    Attributes:
        text: with `$1`, `$2`, …
        names: of the parameters, where they have any.
        formats: one a parameter: psycopg chooses.
        prepared: parameter types → the name it is prepared under.
        is_kept: it came before, and is worth preparing.
    """

    __slots__ = ("formats", "is_kept", "names", "prepared", "text")

    def __init__(self, sql: str, is_kept: bool) -> None:
        self.is_kept = is_kept
        self.names: list[str] = []
        self.formats: list[Any] = []
        self.prepared: dict[tuple[int, ...], bytes] = {}
        self.text = _PLACES.sub(self._place, sql).encode()

    def values(self, parameters: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
        """Give the values in order."""
        if self.names:
            given: Any = parameters
            return [given[name] for name in self.names]
        return parameters if self.formats else ()  # type: ignore[return-value]

    def _place(self, match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        name = match[1]
        if name is None:
            self.formats.append(PyFormat.AUTO)
        elif name not in self.names:
            self.names.append(name)
            self.formats.append(PyFormat.AUTO)
        return f"${len(self.formats) if name is None else self.names.index(name) + 1}"


class ReadingConnection:
    """One connection; whoever has it is alone with it.

    Args:
        connection: psycopg's, in autocommit.
    """

    def __init__(self, connection: Any) -> None:
        # Without it 5 and 70000 are of two types, and a statement with three numbers is prepared 27 times.
        connection.adapters.register_dumper(int, Int8Dumper)
        self.connection = connection
        self._libpq = connection.pgconn
        self._adapters = Transformer(connection)
        self._statements: OrderedDict[str, _Statement] = OrderedDict()
        self._seen: OrderedDict[int, None] = OrderedDict()
        # Behind a pooler others prepare on the same server: a name of theirs must never be taken for one of ours.
        self._names = f"portero_{secrets.token_hex(6)}"
        self._named = 0
        self._prepares = True

    def fetch_all(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run one statement.

        Raises:
            LostConnection: the connection is gone.
            psycopg.Error: what the server refused.
        """
        statement = self._statements.get(sql)
        if statement is None:
            statement = self._found(sql)
        else:
            self._statements.move_to_end(sql)
        adapters = self._adapters
        given = adapters.dump_sequence(statement.values(parameters), statement.formats)
        types = adapters.types or ()
        name = statement.prepared.get(types)
        if name is None:
            result = self._run(statement, given, types)
        else:
            result = self._libpq.exec_prepared(name, given, adapters.formats)
        if result.status != _ROWS:
            result = self._run_again(statement, given, types, result)
        adapters.set_pgresult(result)
        rows: list[tuple[Any, ...]] = adapters.load_rows(0, result.ntuples, tuple)
        return rows

    def close(self) -> None:
        """Close it."""
        self.connection.close()

    def _run(self, statement: _Statement, given: Sequence[Any], types: tuple[int, ...]) -> Any:
        """Run a statement that is not prepared; prepare it if it is worth it."""
        libpq, formats = self._libpq, self._adapters.formats
        if not (statement.is_kept and self._prepares):
            return libpq.exec_params(statement.text, given, types, formats)
        self._named += 1
        name = f"{self._names}_{self._named}".encode()
        result = libpq.prepare(name, statement.text, types)
        if result.status != DONE:
            return result
        statement.prepared[types] = name
        return libpq.exec_prepared(name, given, formats)

    def _run_again(self, statement: _Statement, given: Sequence[Any], types: tuple[int, ...], result: Any) -> Any:
        """Run a prepared statement unprepared that the server has forgotten or that no longer fits its tables.

        A pooler that gives each statement another server cannot keep any: after such an answer none is prepared.
        """
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        name = statement.prepared.pop(types, None) if state in (_UNKNOWN, _ALTERED) else None
        if name is None:
            raise self._error(result)
        if state == _ALTERED:
            self._libpq.exec_(b"DEALLOCATE " + name)
        else:
            self._prepares = False
        result = self._libpq.exec_params(statement.text, given, types, self._adapters.formats)
        if result.status != _ROWS:
            raise self._error(result)
        return result

    def _found(self, sql: str) -> _Statement:
        """Keep a text that was seen before; of a new one remember only that it was there."""
        seen = hash(sql)
        statement = _Statement(sql, seen in self._seen)
        if not statement.is_kept:
            self._seen[seen] = None
            if len(self._seen) > _MOST_SEEN:
                self._seen.popitem(last=False)
            return statement
        del self._seen[seen]
        if len(self._statements) >= _MOST_PREPARED:
            _, oldest = self._statements.popitem(last=False)
            for name in oldest.prepared.values():
                self._libpq.exec_(b"DEALLOCATE " + name)
        self._statements[sql] = statement
        return statement

    def _error(self, result: Any) -> Exception:
        refused: Exception = errors.error_from_result(result)
        if self._libpq.status == pq.ConnStatus.OK:
            return refused
        lost = LostConnection("the database server cannot be reached")
        lost.__cause__ = refused
        return lost


class ReadingPool:
    """The connections of the reading path.

    Args:
        connect: opens one; may raise what the driver raises.
        most: how many there may be.
        longest_wait: seconds that a statement waits for one.
    """

    def __init__(self, connect: Callable[[], Any], most: int, longest_wait: float) -> None:
        self._connect = connect
        self._most = most
        self._longest_wait = longest_wait
        self._given_back = threading.Condition()
        self._idle: list[ReadingConnection] = []
        self._open = 0
        self._waiting = 0
        self._inherited: list[ReadingConnection] = []

    def fetch_all(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run one reading statement.

        Raises:
            DatabaseUnavailable: no free connection in time, or it was lost twice.
            psycopg.Error: what the server refused, or no connection could be opened.
        """
        try:
            return self._fetch_all(self._take(), sql, parameters)
        except LostConnection:
            self.close()  # what else is idle was lost with it
            return self._fetch_all(self._take(), sql, parameters)

    def _fetch_all(
        self, connection: ReadingConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        is_sound = False
        try:
            rows = connection.fetch_all(sql, parameters)
            is_sound = True
        except errors.Error:
            is_sound = True  # the statement was refused, not the connection
            raise
        finally:
            self._give_back(connection, is_sound)
        return rows

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

    def _take(self) -> ReadingConnection:
        try:
            return self._idle.pop()  # one step under the interpreter's lock: it needs none of ours
        except IndexError:
            found = self._awaited()
        if found is not None:
            return found
        try:
            return ReadingConnection(self._connect())
        except BaseException:
            self._count_closed()
            raise

    def _awaited(self) -> ReadingConnection | None:
        """Wait for a connection; None for leave to open one."""
        found: list[ReadingConnection] = []

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

    def _give_back(self, connection: ReadingConnection, is_sound: bool) -> None:
        if not is_sound or len(self._idle) >= _MOST_IDLE:
            self._close(connection)
            return
        self._idle.append(connection)
        if self._waiting:
            with self._given_back:
                self._given_back.notify()

    def _close(self, connection: ReadingConnection) -> None:
        connection.close()
        self._count_closed()

    def _count_closed(self) -> None:
        with self._given_back:
            self._open -= 1
            self._given_back.notify()
