"""Which of SQLite's errors mean "not now" (`DatabaseUnavailable`); all others pass as the driver raised them.

By result code (sqlite.org/rescode.html), never by the words of a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def translated(*, writing: bool) -> Iterator[None]:
    """Raise `DatabaseUnavailable` in the place of such errors, from the driver or through SQLAlchemy.

    Raises:
        DatabaseUnavailable: "not now"; every other error passes as it was.
    """
    try:
        yield
    except DRIVER.DatabaseError as error:
        raise unavailable(error, writing=writing) or error from error
    except sa.exc.DBAPIError as error:
        raise unavailable(error.orig, writing=writing) or error from error
    except sa.exc.TimeoutError as error:
        raise DatabaseUnavailable("too many wait to read") from error
