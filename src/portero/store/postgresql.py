"""PostgreSQL as Portero uses it: bounded pools, bounded waits, prepared statements on the reading path.

It never runs a statement without a timeout set in the session. Reading of single statements has its own pool, so that a
crowd at the data API does not keep anybody from signing in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from portero import deadline
from portero.errors import ConfigurationError, DatabaseUnavailable
from portero.figures import CacheFigures, CommitFigures
from portero.store import forking
from portero.store.compiled_statements import MOST_OWN, CompiledStatements
from portero.store.driver_calls import LINE, Again
from portero.store.group_commit import Undo

Made = TypeVar("Made")

#: Connections of each pool, as many as a worker has threads; once opened they stay.
_POOL = 16
_POOL_WAIT = 2
#: Seconds that a server may be silent longer than its own limit lets a statement run.
_MARGIN = 10
#: How connections are opened, where the URL says nothing of it: seconds to connect; and how long a server that is gone
#: without a word, its machine or the network down, keeps a request (TCP only).
_CONNECTING = {
    "connect_timeout": 2,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
#: A number of our own among the advisory locks of a database: "portero" in ASCII.
_MIGRATION_LOCK = int.from_bytes(b"portero")
#: SQLSTATE classes that mean "not now": connection, resources, operator intervention, system error; and lock waits.
_UNAVAILABLE_CLASSES = ("08", "53", "57", "58")
_UNAVAILABLE_STATES = {"55P03", "40001", "40P01", "25006"}


def unavailable(error: BaseException | None) -> DatabaseUnavailable | None:
    """Say whether a driver's error means "not now"; None for every other error."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        is_lost = type(error).__name__ in ("OperationalError", "ConnectionTimeout")
        return DatabaseUnavailable("the database server cannot be reached") if is_lost else None
    if state == "57014":
        return DatabaseUnavailable("a statement took too long")
    if state[:2] in _UNAVAILABLE_CLASSES or state in _UNAVAILABLE_STATES:
        return DatabaseUnavailable(f"the database server refused, not because of the statement ({state})")
    return None


class PostgresqlServer:
    """One PostgreSQL database; the pools are filled on first use."""

    def __init__(self, url: sa.URL, statement_timeout: timedelta) -> None:
        if url.drivername not in ("postgresql", "postgresql+psycopg"):
            raise ConfigurationError(f"{url.drivername} is another driver than Portero's: write postgresql+psycopg://…")
        # Said once a connection, in one round trip; nothing of it is repeated for a request.
        self._limit = statement_timeout.total_seconds()
        self._settings = (
            f"SET statement_timeout = {_milliseconds(statement_timeout)}; SET lock_timeout = 2000; "
            "SET idle_in_transaction_session_timeout = 10000; SET TIME ZONE 'UTC'; SET client_encoding = 'UTF8'"
        ).encode()
        url = url.set(drivername="postgresql+psycopg")
        self._compiled = CompiledStatements(MOST_OWN)
        try:
            self.engine = self._make_engine(
                url, pool_size=_POOL, max_overflow=0, pool_use_lifo=True, pool_timeout=_POOL_WAIT
            )
            # The driver is an extra of the package: what imports it waits until somebody opens PostgreSQL.
            from portero.store.postgresql_lines import DONE, MOST_PREPARED, Line, LostConnection  # noqa: PLC0415
            from portero.store.postgresql_reads import ReadingPool  # noqa: PLC0415
            from portero.store.postgresql_statements import Shared  # noqa: PLC0415
        except ImportError:
            raise ConfigurationError("PostgreSQL needs a driver: pip install 'portero[postgresql]'") from None
        self._done, self._lost = DONE, LostConnection
        self._shared, self._most_prepared = Shared(), MOST_PREPARED * 2 * _POOL
        line = partial(Line, longest_silence=self._limit + _MARGIN, shared=self._shared)
        _settle_first(self.engine, line)
        self._error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        self._readers = self._make_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        self._reads = ReadingPool(self._reader, _POOL, _POOL_WAIT, line)
        forking.watch(self)

    def fetch_all(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Run one reading statement, prepared by the server after its first use on a connection; all rows at once.

        Raises:
            DatabaseUnavailable: no connection, no free one in time, or the statement took too long.
        """
        return self._read(self._reads.fetch_all, sql, parameters)

    def fetch_documents(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one reading statement whose one row begins with a JSON document, which stays bytes.

        Raises:
            DatabaseUnavailable: as `fetch_all`.
        """
        return [self._read(self._reads.fetch_document, sql, parameters)]

    def _read(self, fetch: Callable[[str, Any], Made], sql: str, parameters: Any) -> Made:
        try:
            return fetch(sql, parameters)
        except self._error as error:
            raise unavailable(error) or error from error
        except sa.exc.DBAPIError as error:
            raise unavailable(error.orig) or error from error

    def _reader(self) -> Any:
        """Open a connection that nobody else knows: SQLAlchemy makes it as it makes its own, and lets it go."""
        pooled = self._readers.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        connection.execute("SET default_transaction_read_only = on")
        return connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection in one read-only transaction that sees one state of the database."""
        with self._begun("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" + self._limited(self._limit)) as connection:
            yield connection

    @contextmanager
    def writing(self, timeout: timedelta | None = None, durable: bool = True) -> Iterator[sa.Connection]:
        """Give a connection in a transaction, committed at the end."""
        begin = "BEGIN" + self._limited(self._limit if timeout is None else timeout.total_seconds())
        if not durable:
            begin += "; SET LOCAL synchronous_commit = off"
        with self._begun(begin) as connection:
            yield connection

    def _limited(self, seconds: float) -> str:
        """Give what bounds the statements of a transaction, where the connection's own setting does not."""
        seconds = deadline.bounded(seconds)
        # Not 0, which would be no bound.
        return "" if seconds == self._limit else f"; SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}"

    def write_together(self, work: Callable[[sa.Connection], Made], undo: Undo) -> Made:
        """Do work in a transaction of its own: many write here at a time, and the server groups their commits.

        It is begun together with the first statement. Work whose connection was lost before the commit is done again.
        """
        try:
            return self._worked(work)
        except Again as again:
            if isinstance(again, self._lost):
                self.engine.dispose()  # what else the pool holds was lost with it
            return self._worked(work)

    def _worked(self, work: Callable[[sa.Connection], Made]) -> Made:
        with _translated(self._error), self.engine.begin() as connection:
            try:
                return work(connection)
            except sa.exc.DBAPIError as error:
                if error.connection_invalidated:
                    raise self._lost("the database server cannot be reached") from error
                raise

    def commits(self) -> CommitFigures:
        """Nothing is shared here: the server groups commits itself."""
        return CommitFigures(0, 0)

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of what SQLAlchemy compiled, and of what the connections keep prepared."""
        prepared = self._shared.figures(self._most_prepared)
        return {"own_statements": self._compiled.figures(), "prepared_statements": prepared}

    @contextmanager
    def migrating(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that no other migrating process is in."""
        with self._begun("BEGIN; SET LOCAL lock_timeout = 60000; SET LOCAL statement_timeout = 0") as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            yield connection

    @contextmanager
    def _begun(self, begin: str) -> Iterator[sa.Connection]:
        with _translated(self._error), self._at_begin(begin.encode()) as connection, connection.begin():
            yield connection

    def _at_begin(self, begin: bytes) -> sa.Connection:
        """Begin a transaction, which tells at the same time whether the connection is still there.

        Nothing was done on it yet, so a lost one is replaced. psycopg would begin with a round trip of its own when it
        runs the first statement; it sees that this is done.
        """
        connection = self.engine.connect()
        if self._has_run(connection, begin):
            return connection
        connection.invalidate()
        connection.close()
        self.engine.dispose()  # what else the pool holds was lost with it
        connection = self.engine.connect()
        if self._has_run(connection, begin):
            return connection
        connection.invalidate()
        connection.close()
        raise DatabaseUnavailable("the database server cannot be reached")

    def _has_run(self, connection: sa.Connection, command: bytes) -> bool:
        driver: Any = connection.connection.driver_connection
        line = connection.info[LINE]
        try:
            line.tidy()
            is_begun = bool(driver.pgconn.exec_(command).status == self._done)
        except self._error:
            return False
        line.begun = command
        return is_begun

    def close(self) -> None:
        """Close the pools; the next use fills them anew."""
        self.engine.dispose()
        self._reads.close()

    def before_fork(self) -> None:
        """Nothing: a child can forget these connections without touching them."""

    def after_fork(self) -> None:
        """Forget the parent's connections without closing them."""
        self.engine.dispose(close=False)
        self._reads.forget()

    def _make_engine(self, url: sa.URL, **options: Any) -> sa.Engine:
        given = {name: value for name, value in _CONNECTING.items() if name not in url.query}
        engine = sa.create_engine(
            url, connect_args=given, hide_parameters=True, execution_options=self._compiled.options, **options
        )

        @sa.event.listens_for(engine, "connect")
        def settle(connection: Any, _record: Any) -> None:
            was, connection.autocommit = connection.autocommit, True
            connection.execute(self._settings)
            connection.autocommit = was

        return engine


def _settle_first(engine: sa.Engine, line: Callable[..., Any]) -> None:
    """Give each connection its line; nothing of SQLAlchemy's is run, and nothing committed, before what waits on it."""

    @sa.event.listens_for(engine, "connect")
    def give(connection: Any, record: Any) -> None:
        # At a ROLLBACK psycopg would have the server forget every prepared statement, the line's too.
        connection.prepare_threshold = None
        record.info[LINE] = line(connection, begins=True)

    def settle(connection: sa.Connection, *_: Any) -> None:
        connection.info[LINE].settle()

    def forget(connection: sa.Connection, *_: Any) -> None:
        if not connection.invalidated:
            connection.info[LINE].forget_waiting()

    for name, listener in (("before_cursor_execute", settle), ("commit", settle), ("rollback", forget)):
        sa.event.listen(engine, name, listener)


def _milliseconds(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)


@contextmanager
def _translated(driver_error: type[Exception]) -> Iterator[None]:
    try:
        yield
    except driver_error as error:
        raise unavailable(error) or error from error
    except sa.exc.DBAPIError as error:
        raise unavailable(error.orig) or error from error
    except sa.exc.TimeoutError as error:
        raise DatabaseUnavailable("every connection to the database is in use") from error
