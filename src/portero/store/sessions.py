"""Rows of `portero_sessions`: a session stands while its row is there; ending it deletes the row.

It never keeps a refresh token: only the counter that the one valid token carries (contract auth.md §2.6, v2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.principal import Principal
from portero.records import dataclass
from portero.store.engine import Database
from portero.store.prepared import Begun, Prepared, altered, changing, inserting, made_by
from portero.store.tables import Session, User
from portero.store.types import ONE, UtcDateTime, second_of

_TABLE = Session.__table__
COLUMNS = tuple(_TABLE.c.keys())
_USERS = User.__table__
#: Names of the parameters in `standing()`.
SESSION_ID = "portero_session_id"
USER_ID = "portero_me_id"
NOW = "portero_now"
#: Where a principal keeps the question whether its session stands.
_ASKED = "stands"


@dataclass(frozen=True, kw_only=True)
class SessionRecord:
    """One session; `amr` holds the contract's entries (method, timestamp), newest first.

    `factor_id` is the second factor that raised it to aal2, or None.
    """

    id: UUID = field(default_factory=uuid4)
    user_id: UUID
    created_at: datetime
    refreshed_at: datetime | None = None
    refresh_counter: int = 0
    aal: str = "aal1"
    amr: Sequence[Any] = ()
    address: str | None = None
    user_agent: str | None = None
    tag: str | None = None
    factor_id: UUID | None = None


def insert(connection: sa.Connection, session: SessionRecord) -> SessionRecord:
    """Insert a session and give it back: the database adds nothing to it.

    Raises:
        sqlalchemy.exc.IntegrityError: there is no such user (any more).
    """
    values = {name: getattr(session, name) for name in COLUMNS}
    values["amr"] = list(session.amr)
    _INSERT.changed(connection, **values)
    return session


def by_id(connection: sa.Connection, session_id: UUID, *, lock: bool = False) -> SessionRecord | None:
    """Find a session; `lock` keeps the row from others until the transaction ends."""
    return (_LOCKED if lock else _BY_ID).first(connection, session_id=session_id)


def of_user(connection: sa.Connection, user_id: UUID) -> Sequence[SessionRecord]:
    """Give a user's sessions, newest first."""
    query = sa.select(*_TABLE.c).where(_TABLE.c.user_id == user_id)
    rows = connection.execute(query.order_by(_TABLE.c.created_at.desc(), _TABLE.c.id)).mappings()
    return [SessionRecord(**row) for row in rows]


def is_newest(connection: sa.Connection, session: SessionRecord) -> bool:
    """Tell whether no session of the same user was opened or refreshed after this one."""
    touched_at = sa.func.coalesce(_TABLE.c.refreshed_at, _TABLE.c.created_at, type_=UtcDateTime())
    own = sa.literal(session.refreshed_at or session.created_at, UtcDateTime())
    later = (touched_at > own) & (_TABLE.c.id != session.id)
    return connection.execute(sa.select(sa.exists().where(_TABLE.c.user_id == session.user_id, later))).scalar() != 1


def advance(connection: sa.Connection, session: SessionRecord, now: datetime) -> SessionRecord | None:
    """Spend a session's present refresh token; give the session as it then is, to one of all who try at one time.

    Everybody else gets None: the counter moved on, or the session has ended.
    """
    counter = session.refresh_counter
    if _ADVANCE.changed(connection, session_id=session.id, counter=counter, now=now) != 1:
        return None
    return altered(session, refresh_counter=counter + 1, refreshed_at=now)


def raise_assurance(
    connection: sa.Connection, session_id: UUID, factor_id: UUID, amr: Sequence[Any], now: datetime
) -> SessionRecord | None:
    """Raise a session to aal2 by a factor, and give it as stored; None if it has ended.

    The counter moves by two: no refresh token from before is the present one's parent.
    """
    raised = sa.update(_TABLE).where(_TABLE.c.id == session_id)
    values = {"aal": "aal2", "amr": list(amr), "factor_id": factor_id, "refreshed_at": now}
    moved = raised.values({**values, "refresh_counter": _TABLE.c.refresh_counter + 2})
    return _one(connection, moved.returning(*_TABLE.c))


def lower_assurance(connection: sa.Connection, session_id: UUID, amr: Sequence[Any]) -> bool:
    """Take a session back to aal1, with what is left of its `amr`; false if it has ended."""
    lowered = sa.update(_TABLE).where(_TABLE.c.id == session_id)
    return connection.execute(lowered.values(aal="aal1", amr=list(amr), factor_id=None)).rowcount == 1


def delete_at_aal1(connection: sa.Connection, user_id: UUID, except_id: UUID) -> int:
    """End a user's sessions that are still at aal1, all but one; give how many ended."""
    low = (_TABLE.c.user_id == user_id) & (_TABLE.c.aal == "aal1") & (_TABLE.c.id != except_id)
    return connection.execute(sa.delete(_TABLE).where(low)).rowcount


def delete(connection: sa.Connection, session_id: UUID) -> bool:
    """End a session; false if it had ended."""
    return _DELETE.changed(connection, session_id=session_id) == 1


def delete_of_user(connection: sa.Connection, user_id: UUID, except_id: UUID | None = None) -> int:
    """End a user's sessions, all or all but one; give how many ended."""
    if except_id is None:
        return _DELETE_ALL.changed(connection, user_id=user_id)
    return _DELETE_OTHERS.changed(connection, user_id=user_id, except_id=except_id)


def over(created_before: datetime, touched_before: datetime) -> sa.ColumnElement[bool]:
    """Give the condition of sessions older than the time box, and of those not refreshed for too long."""
    touched_at = sa.func.coalesce(_TABLE.c.refreshed_at, _TABLE.c.created_at, type_=UtcDateTime())
    # Who was not touched is no younger: said for the index on when a session began.
    is_old_enough = _TABLE.c.created_at < max(created_before, touched_before)
    return is_old_enough & ((_TABLE.c.created_at < created_before) | (touched_at < touched_before))


def standing() -> sa.ColumnElement[int]:
    """Build the column that is 1 while the user's session stands and they are neither banned nor deleted, else NULL.

    It belongs into the very statement that does the work, so that it sees the same state. Its parameters are
    `portero_session_id` and `portero_me_id` (UUIDs) and `portero_now` (aware datetime).
    """
    is_own = _TABLE.c.user_id == sa.bindparam(USER_ID, type_=sa.Uuid())
    return _standing(is_own)


def is_standing(connection: sa.Connection, session_id: UUID, now: datetime, user_id: UUID | None = None) -> bool:
    """Ask by itself, where no other statement is made, whether a session stands (and, if given, is that user's)."""
    if user_id is None:
        return _ANYBODYS.first(connection, **{SESSION_ID: session_id, NOW: now}) == 1
    return _OWN.first(connection, **{SESSION_ID: session_id, USER_ID: user_id, NOW: now}) == 1


def stands(database: Database, principal: Principal, now: float) -> bool:
    """Ask like `is_standing`, outside any transaction, on the hot path; to the second, so that its text can be kept.

    Args:
        database: the store.
        principal: a session's.
        now: Unix seconds.

    Raises:
        DatabaseUnavailable: the database cannot be asked now.
    """
    asked: Begun | None = principal.forms.get(_ASKED)
    if asked is None:
        known = {SESSION_ID: principal.session_id, USER_ID: principal.user_id}
        asked = principal.forms[_ASKED] = _OWN.begun(database.dialect_name, NOW, **known)
    found = asked.fetch(database, second_of(int(now)))
    return bool(found) and found[0][0] == 1


def _standing(is_meant: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    is_free = _USERS.c.banned_until.is_(None) | (_USERS.c.banned_until <= sa.bindparam(NOW, type_=UtcDateTime()))
    return (
        sa.select(sa.literal_column("1", sa.Integer))
        .select_from(_TABLE.join(_USERS, _USERS.c.id == _TABLE.c.user_id))
        .where(
            _TABLE.c.id == sa.bindparam(SESSION_ID, type_=sa.Uuid()), is_meant, _USERS.c.deleted_at.is_(None), is_free
        )
        .correlate(None)
        .scalar_subquery()
    )


def _one(connection: sa.Connection, statement: sa.Executable) -> SessionRecord | None:
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else SessionRecord(**row)


def _only(values: list[Any]) -> Any:
    return values[0]


_IS_MEANT = _TABLE.c.id == sa.bindparam("session_id")
_MADE = made_by(SessionRecord, COLUMNS)
_INSERT = inserting(_TABLE)
_BY_ID = Prepared(sa.select(*_TABLE.c).where(_IS_MEANT), _MADE)
_LOCKED = Prepared(sa.select(*_TABLE.c).where(_IS_MEANT).with_for_update(), _MADE)
_ADVANCE = changing(
    sa.update(_TABLE)
    .where(_IS_MEANT, _TABLE.c.refresh_counter == sa.bindparam("counter"))
    .values(refresh_counter=_TABLE.c.refresh_counter + ONE, refreshed_at=sa.bindparam("now"))
)
_IS_OF_USER = _TABLE.c.user_id == sa.bindparam("user_id")
_DELETE = changing(sa.delete(_TABLE).where(_IS_MEANT))
_DELETE_ALL = changing(sa.delete(_TABLE).where(_IS_OF_USER))
_DELETE_OTHERS = changing(sa.delete(_TABLE).where(_IS_OF_USER, _TABLE.c.id != sa.bindparam("except_id")))
_ANYBODYS = Prepared(sa.select(_standing(sa.true())), _only)
_OWN = Prepared(sa.select(standing()), _only)
