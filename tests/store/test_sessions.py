"""Tests of portero.store.sessions, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from portero.principal import Principal
from portero.store import sessions, users
from portero.store.engine import Database
from portero.store.sessions import SessionRecord
from portero.store.tables import Session
from portero.store.users import UserRecord


@pytest.fixture
def session(database: Database, ana: UserRecord, now: datetime) -> SessionRecord:
    entry = {"method": "password", "timestamp": 1}
    with database.writing() as connection:
        return sessions.insert(
            connection, SessionRecord(user_id=ana.id, created_at=now, amr=[entry], address="192.0.2.1", user_agent="x")
        )


def test_a_session_comes_back_alone_and_among_the_users_own(
    database: Database, ana: UserRecord, session: SessionRecord
) -> None:
    with database.reading() as connection:
        assert sessions.by_id(connection, session.id) == session
        assert sessions.of_user(connection, ana.id) == [session]
    assert session.amr == [{"method": "password", "timestamp": 1}]


def test_a_session_needs_a_user(database: Database, now: datetime) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        sessions.insert(connection, SessionRecord(user_id=uuid4(), created_at=now))


def test_of_twenty_who_spend_one_refresh_token_at_one_time_one_advances_the_session(
    database: Database, session: SessionRecord, now: datetime
) -> None:
    def spend(_: int) -> bool:
        with database.writing() as connection:
            given = sessions.advance(connection, session, now)
            assert given in (None, replace(session, refresh_counter=1, refreshed_at=now))
            return given is not None

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(spend, range(20))) == [False] * 19 + [True]
    with database.writing() as connection:
        advanced = sessions.by_id(connection, session.id, lock=True)
    assert advanced is not None
    assert (advanced.refresh_counter, advanced.refreshed_at) == (1, now)


def test_ended_sessions_are_gone(database: Database, ana: UserRecord, session: SessionRecord, now: datetime) -> None:
    with database.writing() as connection:
        others = [sessions.insert(connection, SessionRecord(user_id=ana.id, created_at=now)) for _ in range(2)]
        assert sessions.delete(connection, others[0].id) is True
        assert sessions.delete(connection, others[0].id) is False
        assert sessions.delete_of_user(connection, ana.id, except_id=session.id) == 1
        assert sessions.of_user(connection, ana.id) == [session]
        assert sessions.delete_of_user(connection, ana.id) == 1
        assert sessions.advance(connection, session, now) is None


def test_sessions_over_their_time_are_found(database: Database, ana: UserRecord, now: datetime) -> None:
    day = timedelta(days=1)
    ages = {"old": (40, 1), "idle": (20, 15), "never refreshed": (15, None), "fine": (20, 1), "new": (1, None)}
    with database.writing() as connection:
        for tag, (created, refreshed) in ages.items():
            touched = None if refreshed is None else now - refreshed * day
            record = SessionRecord(user_id=ana.id, created_at=now - created * day, refreshed_at=touched, tag=tag)
            sessions.insert(connection, record)
        over = sa.select(Session.tag).where(sessions.over(now - 30 * day, now - 14 * day))
        found = set(connection.execute(over).scalars())
    assert found == {"old", "idle", "never refreshed"}


def test_a_session_stands_until_it_ends_or_its_user_is_banned_or_deleted(
    database: Database, ana: UserRecord, session: SessionRecord, now: datetime
) -> None:
    hour, now = timedelta(hours=1), now.replace(microsecond=0)
    caller = Principal("authenticated", ana.id, session.id)

    def stands(**changes: datetime | None) -> bool:
        with database.writing() as connection:
            users.update(connection, ana.id, now, **changes)
            found = sessions.is_standing(connection, session.id, now)
        assert found is sessions.stands(database, caller, now.timestamp())
        return found

    assert stands() is True
    assert stands(banned_until=now + hour) is False
    assert stands(banned_until=now) is True
    assert stands(deleted_at=now - hour) is False
    assert stands(deleted_at=None, banned_until=now + hour) is False
    assert sessions.stands(database, caller, (now + hour).timestamp()) is True
    with database.writing() as connection:
        sessions.delete(connection, session.id)
        assert sessions.is_standing(connection, session.id, now) is False
    assert sessions.stands(database, caller, (now + hour).timestamp()) is False


def test_standing_is_a_column_of_any_statement(database: Database, session: SessionRecord, now: datetime) -> None:
    """Also of one over the very same tables: it does not correlate."""
    query = sa.select(sessions.Session.id, sessions.standing().label("stands"))
    values = {sessions.SESSION_ID: session.id, sessions.USER_ID: session.user_id, sessions.NOW: now}
    with database.reading() as connection:
        assert connection.execute(query, values).all() == [(session.id, 1)]
        for name in (sessions.SESSION_ID, sessions.USER_ID):
            assert connection.execute(query, {**values, name: uuid4()}).all() == [(session.id, None)]


def test_nobody_stands_in_somebody_elses_session(database: Database, session: SessionRecord, now: datetime) -> None:
    with database.reading() as connection:
        assert sessions.is_standing(connection, session.id, now, session.user_id) is True
        assert sessions.is_standing(connection, session.id, now, uuid4()) is False
    for user_id in (session.user_id, uuid4()):
        caller = Principal("authenticated", user_id, session.id)
        assert sessions.stands(database, caller, now.timestamp()) is (user_id == session.user_id)
