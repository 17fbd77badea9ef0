"""Removing sign-ups that nobody confirmed: an address and perhaps a password of somebody who never came back.

A user goes who signed up by themselves, was mailed for the last time long ago, and has nothing: no proven address, no
sign-in, no session, no factor, no other identity, no ban, no name or right that an administrator gave. Whom an
administrator made is never touched, nor whoever the application's own rows hold on to. Each removal looks again, so a
proof that comes meanwhile wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from portero.events import Event, Happening
from portero.store import audit
from portero.store.engine import Database
from portero.store.tables import AUDIT, FACTORS, IDENTITIES, Session, User

#: Users looked at by one statement: no table is so large that one would take long.
WINDOW: Final = 5_000
_USER = User.__table__
_FIRST: Final = UUID(int=0)


def remove(
    database: Database, now: datetime, mailed_before: datetime, made_after: datetime, *, window: int = WINDOW
) -> int:
    """Remove sign-ups that nobody confirmed, each in a transaction of its own, and return how many.

    Args:
        database: where.
        now: the current time, for the audit.
        mailed_before: only those to whom nothing was mailed, and who were not changed, since then.
        made_after: only those who were made after this: of older ones the audit may have forgotten who made them.
        window: users looked at by one statement.

    Raises:
        DatabaseUnavailable: the database cannot be read or written now.
    """
    is_over = _over(mailed_before, made_after)
    return sum(_remove(database, user_id, is_over, now) for user_id in _found(database, is_over, window))


def _over(mailed_before: datetime, made_after: datetime) -> sa.ColumnElement[bool]:
    of_user = [sa.select(held.c.id).where(held.c.user_id == _USER.c.id) for held in (Session.__table__, FACTORS)]
    elsewhere = sa.select(IDENTITIES.c.id).where(IDENTITIES.c.user_id == _USER.c.id, IDENTITIES.c.provider != "email")
    made_by = AUDIT.c.details["by"].as_string()
    by_administrator = sa.select(AUDIT.c.id).where(
        AUDIT.c.user_id == _USER.c.id,
        AUDIT.c.happening == Happening.USER_CREATED.value,
        made_by == "administrator",
    )
    nothing = (
        "email_confirmed_at",
        "phone_confirmed_at",
        "last_sign_in_at",
        "invited_at",
        "banned_until",
        "deleted_at",
    )
    return sa.and_(
        _USER.c.confirmation_sent_at < mailed_before,
        _USER.c.updated_at < mailed_before,
        _USER.c.created_at > made_after,
        *(_USER.c[name].is_(None) for name in (*nothing, "username", "phone")),
        _USER.c.is_anonymous.is_(False),
        _USER.c.role == "authenticated",
        *(~sa.exists(held) for held in (*of_user, elsewhere, by_administrator)),
    )


def _found(database: Database, is_over: sa.ColumnElement[bool], size: int) -> Iterator[UUID]:
    """Look through the table, a window at a time."""
    last: UUID | None = _FIRST
    while last is not None:
        rest = _USER.c.id > last
        with database.reading() as connection:
            ends = sa.select(_USER.c.id).where(rest).order_by(_USER.c.id).offset(size - 1).limit(1)
            last = connection.execute(ends).scalar()
            window = rest if last is None else rest & (_USER.c.id <= last)
            found = connection.execute(sa.select(_USER.c.id).where(window, is_over)).scalars().all()
        yield from found


def _remove(database: Database, user_id: UUID, is_over: sa.ColumnElement[bool], now: datetime) -> bool:
    try:
        with database.writing(durable=False) as connection:
            is_gone = connection.execute(sa.delete(_USER).where(_USER.c.id == user_id, is_over)).rowcount == 1
            if is_gone:
                audit.record(connection, Event(Happening.USER_DELETED, now, user_id, details={"by": "sweep"}))
    except sa.exc.IntegrityError:
        return False  # rows of the application refer to the user: they are of use to it
    return is_gone
