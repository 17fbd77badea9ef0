"""The one way to the database: many readers, one writer, and one word (`DatabaseUnavailable`) for "not now".

It never makes SQL from a request and never changes the developer's own engine or sessions. What holds is in
docs/explanation/storage.md: one SQLite library per process, one writer per file, an fsync before each acknowledgement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from portero import deadline
from portero.errors import ConfigurationError
from portero.figures import CacheFigures, CommitFigures
from portero.settings import SQLITE_CACHE, STATEMENT_TIMEOUT
from portero.store.driver_calls import Again
from portero.store.group_commit import Undo
from portero.store.postgresql import PostgresqlServer
from portero.store.sqlite import LONGEST_WAIT, SqliteFile, SqliteFunction

Parameters = Sequence[Any] | Mapping[str, Any]
Made = TypeVar("Made")


class _Way(Protocol):
    """What each of the two databases offers."""

    engine: sa.Engine

    def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]: ...
    def fetch_documents(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]: ...
    def reading(self) -> AbstractContextManager[sa.Connection]: ...
    def writing(self, timeout: timedelta | None, durable: bool) -> AbstractContextManager[sa.Connection]: ...
    def write_together(self, work: Callable[[sa.Connection], Made], undo: Undo) -> Made: ...
    def commits(self) -> CommitFigures: ...
    def caches(self) -> dict[str, CacheFigures]: ...
    def migrating(self) -> AbstractContextManager[sa.Connection]: ...
    def close(self) -> None: ...


class Database:
    """An opened database; threads share it, processes do not (each opens its connections on first use).

    Attributes:
        url: the SQLAlchemy URL it was opened with.
        dialect_name: `sqlite` or `postgresql`.
        engine: for compiling and reflection. On SQLite its connections cannot write: writes go through `writing`.
        fetch_all: `fetch_all(sql, parameters) -> list[tuple]`, the hot path. One statement in the driver's own
            paramstyle (`?` or `:name` on SQLite, `%s` or `%(name)s` on PostgreSQL), read-only, all rows at once.
        fetch_documents: the same of a statement whose one row begins with a JSON document, as bytes in UTF-8, and has
            whole numbers behind it. What gives it is of type `json` on PostgreSQL, a BLOB on SQLite.
    """

    def __init__(self, url: sa.URL, way: _Way) -> None:
        self.url = url
        self.dialect_name = url.get_backend_name()
        self.engine: sa.Engine = way.engine
        self.fetch_all: Callable[[str, Parameters], list[tuple[Any, ...]]] = way.fetch_all
        self.fetch_documents: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]] = way.fetch_documents
        self._way = way

    @classmethod
    def open(
        cls,
        url: str | sa.URL,
        *,
        statement_timeout: timedelta = STATEMENT_TIMEOUT,
        longest_wait: timedelta = LONGEST_WAIT,
        sqlite_cache: int = SQLITE_CACHE,
        sqlite_functions: Sequence[SqliteFunction] = (),
    ) -> Database:
        """Open a database by its SQLAlchemy URL; nothing is connected before the first use.

        Args:
            url: `sqlite:///…` (a file), `postgresql://…` or `postgresql+psycopg://…`.
            statement_timeout: the longest run of one statement; on SQLite also of one transaction.
            longest_wait: how long a writer waits for its turn (SQLite).
            sqlite_cache: megabytes of pages that each of SQLite's reading connections keeps.
            sqlite_functions: SQL functions that every SQLite connection gets.

        Raises:
            ConfigurationError: a database in memory, another database or driver, or a SQLite that is not safe.
        """
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
        if backend == "sqlite":
            functions = tuple(sqlite_functions)
            return cls(parsed, SqliteFile(parsed, statement_timeout, longest_wait, sqlite_cache, functions))
        if backend == "postgresql":
            return cls(parsed, PostgresqlServer(parsed, statement_timeout))
        raise ConfigurationError(f"Portero keeps its data in SQLite or PostgreSQL, not in {backend!r}.")

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """Give a connection that sees one state of the database throughout; nothing it does is kept.

        Raises:
            DatabaseUnavailable: not reachable, too busy, or a statement took too long.
        """
        deadline.check()
        return self._way.reading()

    def writing(
        self, *, timeout: timedelta | None = None, durable: bool = True
    ) -> AbstractContextManager[sa.Connection]:
        """Give the writing connection in a transaction: committed and on disk at the end, undone at an exception.

        On SQLite one writer at a time per file, over all threads and processes; never nest it.

        Args:
            timeout: how long its statements may run; default: the database's statement timeout.
            durable: false does not wait for the disk at the commit: a power cut may undo it (not a killed process).
                For throttle counters only.

        Raises:
            DatabaseUnavailable: the turn did not come in time, the disk is full, the server is away.
            DeadlinePassed: the request's time is over; also from `reading` and `write_together`.
            sqlalchemy.exc.IntegrityError: as the database says it.
        """
        deadline.check()
        return self._way.writing(timeout, durable)

    def write_together(self, work: Callable[[sa.Connection], Made], *, undo: Undo = Undo.SAVEPOINT) -> Made:
        """Do a short piece of work in a write transaction and give its result when it is on disk.

        On SQLite writers that come at the same time share a transaction and its sync; what fails, fails alone. The work
        may run in another thread and more than once: it touches nothing but the database, and runs no function of the
        application's. Long work takes `writing`.

        Args:
            work: what to do on the connection.
            undo: what undoes it in such a transaction if it fails; without a savepoint it is quicker.

        Raises:
            DatabaseUnavailable: as `writing`.
            Exception: what the work raises; nothing of it is kept then.
        """
        deadline.check()
        return self._way.write_together(work, undo)

    def do_alone(self, work: Callable[[sa.Connection], Made], *, writes: bool = True) -> Made:
        """Do work in a transaction of its own, and give its result; undone at an exception.

        It is done once more where a statement could not run for a reason that is over: a table was altered under what
        was prepared, the server was away. The work runs no function of the application's.

        Args:
            work: gets the connection.
            writes: without, it sees one state of the database, and nothing it does is kept.

        Raises:
            DatabaseUnavailable: as `writing`.
            Exception: what the work raises.
        """
        opened = self.writing if writes else self.reading
        try:
            with opened() as connection:
                return work(connection)
        except Again:
            with opened() as connection:
                return work(connection)

    def commits(self) -> CommitFigures:
        """Give how many writes of `write_together` were done in how many transactions by this process (SQLite)."""
        return self._way.commits()

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of what is kept for the database: statements that SQLAlchemy wrote, or a server prepared."""
        return self._way.caches()

    def migrating(self) -> AbstractContextManager[sa.Connection]:
        """Give the writing connection in a transaction that changes tables; one process at a time.

        Foreign keys are checked at its end instead of at each statement, so that a table can be made anew on SQLite.

        Raises:
            DatabaseUnavailable: as `writing`.
        """
        return self._way.migrating()

    def close(self) -> None:
        """Close every connection of this process; the next use opens anew."""
        self._way.close()

    def __repr__(self) -> str:
        return f"<Database {self.url.render_as_string(hide_password=True)}>"
