"""PostgreSQL as Portero uses it: bounded pools, bounded waits, prepared statements on the reading path.

It never runs a statement without a timeout set in the session. Reading of single statements has its own pool, so that a
crowd at the data API does not keep anybody from signing in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from portero.errors import ConfigurationError, DatabaseUnavailable
from portero.store import forking

_POOL = 8
_POOL_WAIT = 2
_CONNECT_WAIT = 2
#: A number of our own among the advisory locks of a database: "portero" in ASCII.
_MIGRATION_LOCK = int.from_bytes(b"portero")
_LIMIT = sa.text("SELECT set_config('statement_timeout', :limit, true)")
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
        self._limit = _milliseconds(statement_timeout)
        url = url.set(drivername="postgresql+psycopg")
        try:
            self.engine = self._make_engine(url, pool_pre_ping=True)
        except ImportError:
            raise ConfigurationError("PostgreSQL needs a driver: pip install 'portero[postgresql]'") from None
        # Nothing to undo between two reads in autocommit; a lost connection shows at once and the read is repeated.
        self._read_engine = self._make_engine(url, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
        self._error: type[Exception] = self.engine.dialect.loaded_dbapi.Error
        forking.watch(self)

    def fetch_all(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Run one reading statement, prepared by the server after its first use on a connection; all rows at once.

        Raises:
            DatabaseUnavailable: no connection, no free one in time, or the statement took too long.
        """
        try:
            return self._fetch_all(sql, parameters)
        except _Lost:
            self._read_engine.dispose()  # what else the pool holds was lost with it
            return self._fetch_all(sql, parameters)

    def _fetch_all(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        with _translated(self._error):
            pooled = self._read_engine.raw_connection()
        connection: Any = pooled.driver_connection
        try:
            rows: list[tuple[Any, ...]] = connection.execute(sql, parameters, prepare=True).fetchall()
        except self._error as error:
            if connection.closed:
                pooled.invalidate()
                raise _Lost("the database server cannot be reached") from error
            raise unavailable(error) or error from error
        finally:
            pooled.close()
        return rows

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection in one read-only transaction that sees one state of the database."""
        with _translated(self._error), self.engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextmanager
    def writing(self, timeout: timedelta | None = None, durable: bool = True) -> Iterator[sa.Connection]:
        """Give a connection in a transaction, committed at the end."""
        with _translated(self._error), self.engine.begin() as connection:
            if timeout is not None:
                connection.execute(_LIMIT, {"limit": str(_milliseconds(timeout))})
            if not durable:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction that no other migrating process is in."""
        with _translated(self._error), self.engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = 60000; SET LOCAL statement_timeout = 0")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            yield connection

    def close(self) -> None:
        """Close the pools; the next use fills them anew."""
        self.engine.dispose()
        self._read_engine.dispose()

    def before_fork(self) -> None:
        """Nothing: a child can forget these connections without touching them."""

    def after_fork(self) -> None:
        """Forget the parent's connections without closing them."""
        self.engine.dispose(close=False)
        self._read_engine.dispose(close=False)

    def _make_engine(self, url: sa.URL, **options: Any) -> sa.Engine:
        engine = sa.create_engine(
            url,
            pool_size=_POOL,
            max_overflow=_POOL,
            pool_timeout=_POOL_WAIT,
            pool_use_lifo=True,
            connect_args={"connect_timeout": _CONNECT_WAIT},
            hide_parameters=True,
            **options,
        )

        @sa.event.listens_for(engine, "connect")
        def settle(connection: Any, _record: Any) -> None:
            was, connection.autocommit = connection.autocommit, True
            connection.execute("SELECT set_config('statement_timeout', %s, false)", (str(self._limit),))
            connection.execute(
                "SET lock_timeout = 2000; SET idle_in_transaction_session_timeout = 10000; SET TIME ZONE 'UTC'"
            )
            connection.autocommit = was

        return engine


def _milliseconds(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)


class _Lost(DatabaseUnavailable):
    """The connection was gone before the statement could run on it."""


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
