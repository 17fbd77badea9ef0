"""Work whose result is undone: done where an address is nobody's, so that the time of an answer does not say so.

What it writes is gone at its end, what it records is recorded nowhere, and what it mails is not mailed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

from portero.identity.context import Change
from portero.store import users
from portero.store.users import UserRecord


@contextmanager
def undone(change: Change) -> Iterator[Change]:
    """Open a part of the caller's transaction that is undone at its end."""
    savepoint = change.connection.begin_nested()
    try:
        yield Change(change.connection)
    finally:
        savepoint.rollback()


def stranger(scratch: Change, now: datetime) -> UserRecord:
    """Write somebody who is gone with what is undone; their address is nobody's."""
    address = f"{uuid4().hex}@portero.invalid"
    return users.insert(scratch.connection, UserRecord(email=address, created_at=now, updated_at=now))
