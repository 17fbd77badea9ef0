"""A user with everything that an answer or a decision needs of them, in one statement: one state, one round trip.

The rows are users × identities × factors; people have few of either, most one row in all. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.engine import Database
from portero.store.factors import FactorRecord
from portero.store.identities import IdentityRecord
from portero.store.prepared import Prepared, made_by
from portero.store.sessions import SessionRecord
from portero.store.tables import FACTORS, IDENTITIES, Session, User
from portero.store.users import UserRecord

_USERS, _SESSIONS = User.__table__, Session.__table__


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """A user as the database has them.

    Attributes:
        user: the user.
        session: the session that was asked for, if it is there and the user's.
        identities: theirs, oldest first.
        factors: theirs, oldest first.
    """

    user: UserRecord
    session: SessionRecord | None
    identities: tuple[IdentityRecord, ...]
    factors: tuple[FactorRecord, ...]


def fetch(database: Database, user_id: UUID, session_id: UUID | None) -> AccountRecord | None:
    """Find a user and one of their sessions, outside any transaction.

    Raises:
        DatabaseUnavailable: the database cannot be asked now.
    """
    return _made(_BY_USER.fetch(database, user_id=user_id, session_id=session_id))


def of_user(connection: sa.Connection, user_id: UUID, *, lock: bool = False) -> AccountRecord | None:
    """Find a user; `lock` keeps their row from others until the transaction ends."""
    return _made((_BY_LOCKED_USER if lock else _BY_USER).all(connection, user_id=user_id, session_id=None))


def of_session(connection: sa.Connection, session_id: UUID) -> AccountRecord | None:
    """Find a session with its user, and keep its row from others until the transaction ends."""
    return _made(_BY_LOCKED_SESSION.all(connection, session_id=session_id))


def _reader(table: sa.Table, record: type[Any], start: int) -> Callable[[list[Any]], Any]:
    """Give what makes a record from its part of a row; None where an outer join found none."""
    columns = table.c.keys()
    key = start + columns.index("id")
    stop = start + len(columns)
    make = made_by(record, columns)

    def read(row: list[Any]) -> Any:
        return None if row[key] is None else make(row[start:stop])

    return read


_PARTS: tuple[tuple[sa.Table, type[Any]], ...] = (
    (_USERS, UserRecord),
    (_SESSIONS, SessionRecord),
    (IDENTITIES, IdentityRecord),
    (FACTORS, FactorRecord),
)
_AGE = attrgetter("created_at", "id")
_WIDTHS = [len(table.c) for table, _ in _PARTS]
_USER_OF, _SESSION_OF, _IDENTITY_OF, _FACTOR_OF = (
    _reader(table, record, sum(_WIDTHS[:place])) for place, (table, record) in enumerate(_PARTS)
)


def _made(rows: list[list[Any]]) -> AccountRecord | None:
    if not rows:
        return None
    first = rows[0]
    return AccountRecord(_USER_OF(first), _SESSION_OF(first), _each(_IDENTITY_OF, rows), _each(_FACTOR_OF, rows))


def _each(read: Callable[[list[Any]], Any], rows: list[list[Any]]) -> tuple[Any, ...]:
    if len(rows) == 1:
        found = read(rows[0])
        return () if found is None else (found,)
    different = {record.id: record for record in map(read, rows) if record is not None}
    # Here and not in the statement, which would sort all columns of what nearly always is one row.
    return tuple(sorted(different.values(), key=_AGE))


def _prepared(start: sa.FromClause, is_meant: sa.ColumnElement[bool], lock: sa.Table | None) -> Prepared[list[Any]]:
    joined = start.join(IDENTITIES, IDENTITIES.c.user_id == _USERS.c.id, isouter=True)
    joined = joined.join(FACTORS, FACTORS.c.user_id == _USERS.c.id, isouter=True)
    columns = [column for table, _ in _PARTS for column in table.c]
    query = sa.select(*columns).select_from(joined).where(is_meant)
    return Prepared(query if lock is None else query.with_for_update(of=lock), list)


_IS_USER = _USERS.c.id == sa.bindparam("user_id")
_IS_SESSION = _SESSIONS.c.id == sa.bindparam("session_id")
_WITH_SESSION = _USERS.join(_SESSIONS, _IS_SESSION & (_SESSIONS.c.user_id == _USERS.c.id), isouter=True)
_BY_USER = _prepared(_WITH_SESSION, _IS_USER, None)
_BY_LOCKED_USER = _prepared(_WITH_SESSION, _IS_USER, _USERS)
_BY_LOCKED_SESSION = _prepared(_USERS.join(_SESSIONS, _SESSIONS.c.user_id == _USERS.c.id), _IS_SESSION, _SESSIONS)
