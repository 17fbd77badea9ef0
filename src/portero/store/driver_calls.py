"""Statements handed to the driver past SQLAlchemy, inside a transaction of SQLAlchemy's, with its names for errors.

What SQLAlchemy does around each execution takes longer than many a statement. On PostgreSQL a connection has a line of
its own for them (`postgresql_lines`). Nothing is compiled or converted here, and no transaction is ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from portero.errors import DatabaseUnavailable
from portero.store import long_statements

#: Where a connection to PostgreSQL keeps its line, in SQLAlchemy's `info`.
LINE = "portero_line"


class Again(DatabaseUnavailable):
    """The statement was not run, for a reason that is over: what reads only, or is not committed, can be done again."""


def run(connection: sa.Connection, sql: str, parameters: Sequence[Any]) -> Any:
    """Hand one statement to the driver, inside the connection's transaction; give the driver's cursor, or its like.

    Raises:
        sqlalchemy.exc.DBAPIError: as SQLAlchemy would raise it; the values may be secrets, and are not told.
        DatabaseUnavailable: the connection was lost.
    """
    if connection.dialect.name == "postgresql":
        return _run_on_postgresql(connection, sql, parameters)
    driver: Any = connection.connection.dbapi_connection
    if len(sql) > long_statements.LONGEST_KEPT:
        long_statements.note(connection, sql)
    if not driver.in_transaction:  # of a group's transaction SQLAlchemy may not know
        connection.begin()
    try:
        return driver.execute(sql, parameters)
    except connection.dialect.loaded_dbapi.Error as error:
        raise named(error, connection, sql) from error


def _run_on_postgresql(connection: sa.Connection, sql: str, parameters: Sequence[Any]) -> Any:
    if not connection.in_transaction():
        connection.begin()
    line = line_of(connection)
    if line is None:
        with as_sqlalchemy(connection, sql):
            driver: Any = connection.connection.driver_connection
            return driver.execute(sql, parameters)
    with on_line(connection, line, sql):
        return line.run(sql, parameters)


def settle(connection: sa.Connection) -> None:
    """Let the judges speak that have not yet: see `prepared.Prepared.judged`.

    Raises:
        sqlalchemy.exc.DBAPIError: as `run`.
        DatabaseUnavailable: as `run`.
        Exception: what a judge raises.
    """
    line = line_of(connection)
    if line is not None:
        with on_line(connection, line, ""):
            line.settle()


@contextmanager
def as_sqlalchemy(connection: sa.Connection, sql: str) -> Iterator[None]:
    """Name the driver's errors as SQLAlchemy does.

    Raises:
        sqlalchemy.exc.DBAPIError: in the place of the driver's own.
    """
    try:
        yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise named(error, connection, sql) from error


@contextmanager
def on_line(connection: sa.Connection, line: Any, sql: str) -> Iterator[None]:
    """Name errors as SQLAlchemy does; a connection that was lost is not used again."""
    try:
        with as_sqlalchemy(connection, sql):
            yield
    except BaseException:
        if line.is_lost:
            connection.invalidate()
        raise


def named(error: Exception, connection: sa.Connection, sql: str) -> Exception:
    """Give a driver's error as SQLAlchemy would raise it."""
    dialect = connection.dialect
    every = dialect.loaded_dbapi.Error
    return sa.exc.DBAPIError.instance(sql, None, error, every, hide_parameters=True, dialect=dialect)


def line_of(connection: sa.Connection) -> Any:
    """Give PostgreSQL's own way to this connection, a `postgresql_lines.Line`; None without one, as on SQLite."""
    return connection.info.get(LINE) if connection.dialect.name == "postgresql" else None
