"""Statements so long that no connection should keep them, and connections to SQLite that keep some nevertheless.

A statement's text may be as long as a request; SQLite's program of it takes ten times as many bytes, a server's plan as
many or more. Readers that are free to choose take a connection that keeps nothing; a connection in a transaction cannot
choose, so it counts, and is closed when they are too many. It runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

#: Characters of a statement that a connection may keep.
LONGEST_KEPT: Final = 8192
#: Where longer ones are counted, in SQLAlchemy's `info` of the connection, and how many characters are too many.
_LONG: Final = "portero_long"
_MOST_LONG: Final = 1_000_000


def note(connection: sa.Connection, sql: str) -> None:
    """Count a long statement that runs on this connection to SQLite, whose driver keeps it."""
    connection.info[_LONG] = connection.info.get(_LONG, 0) + len(sql)


def are_too_many(info: Mapping[Any, Any]) -> bool:
    """Tell by a connection's `info` whether it keeps so much that it should be closed."""
    return _LONG in info and info[_LONG] > _MOST_LONG
