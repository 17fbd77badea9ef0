"""Reads whose one row is a JSON document, inside a transaction: the document stays the bytes that the database wrote.

On PostgreSQL such a document is of type `json`, which psycopg would take apart; as a text the server would copy it
twice. Outside a transaction `Database.fetch_documents` does the same. It makes no SQL and ends no transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from portero.store.driver_calls import LINE, on_line, run


def document(connection: sa.Connection, sql: str, parameters: Sequence[Any], *, prepares: bool = True) -> Sequence[Any]:
    """Run one statement as `Database.fetch_documents` does, but inside the connection's transaction; give its row.

    Args:
        connection: one of the database's own.
        sql: the statement.
        parameters: its values.
        prepares: without, PostgreSQL prepares nothing, and it never has to be done `Again`.

    Raises:
        sqlalchemy.exc.DBAPIError: as `driver_calls.run`.
        DatabaseUnavailable: as `driver_calls.run`.
    """
    if connection.dialect.name != "postgresql":
        row: Sequence[Any] = run(connection, sql, parameters).fetchall()[0]
        return row
    if not connection.in_transaction():
        connection.begin()
    line = connection.info[LINE]
    with on_line(connection, line, sql):
        found: Sequence[Any] = line.document(sql, parameters, prepares=prepares)
    return found
