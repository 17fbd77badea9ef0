"""Which of SQLite's errors mean "not now" (`DatabaseUnavailable`); all others pass as the driver raised them.

By result code (sqlite.org/rescode.html), never by the words of a message.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import sqlalchemy as sa

from portero.errors import DatabaseUnavailable
from portero.store.sqlite_driver import DRIVER

#: Primary result codes that mean "not now" (sqlite.org/rescode.html): BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, CORRUPT,
#: FULL, CANTOPEN, PROTOCOL, NOTADB.
_UNAVAILABLE = {
    5: "the database is locked by another program",
    6: "a table is locked",
    7: "out of memory",
    9: "a statement took too long",
    10: "reading or writing the disk failed",
    11: "the database file is damaged",
    13: "the disk is full",
    14: "the database file cannot be opened",
    15: "the lock protocol failed",
    26: "the file is not a database",
}
_READ_ONLY = 8


def unavailable(error: BaseException | None, *, writing: bool = False) -> DatabaseUnavailable | None:
    """Say whether a driver's error means "not now"; None for every other error."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    primary = code & 0xFF
    if writing and primary == _READ_ONLY:
        return DatabaseUnavailable("the database cannot be written")
    sentence = _UNAVAILABLE.get(primary)
    return DatabaseUnavailable(sentence) if sentence else None


def translated(*, writing: bool) -> AbstractContextManager[None]:
    """Raise `DatabaseUnavailable` in the place of such errors, from the driver or through SQLAlchemy.

    Raises:
        DatabaseUnavailable: "not now"; every other error passes as it was.
    """
    return _WRITING if writing else _READING


def not_now(error: BaseException, *, writing: bool) -> DatabaseUnavailable | None:
    """Give what is raised in the place of an error that means "not now"; None for every other error."""
    if isinstance(error, sa.exc.TimeoutError):
        return DatabaseUnavailable("too many wait to read")
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    is_databases = cause is not error or isinstance(error, DRIVER.DatabaseError)
    return unavailable(cause, writing=writing) if is_databases else None


class _Translation(AbstractContextManager[None]):
    """Holds nothing of where it is used, so that one of a kind serves everybody, at each step of each request."""

    def __init__(self, *, writing: bool) -> None:
        self._writing = writing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        found = None if error is None else not_now(error, writing=self._writing)
        if found is not None:
            raise found from error


_WRITING = _Translation(writing=True)
_READING = _Translation(writing=False)
