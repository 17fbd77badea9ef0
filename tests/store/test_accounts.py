"""Tests of portero.store.accounts, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from portero.store import accounts, factors, identities, sessions, users
from portero.store.accounts import AccountRecord
from portero.store.engine import Database
from portero.store.factors import FactorRecord
from portero.store.identities import IdentityRecord
from portero.store.sessions import SessionRecord
from portero.store.users import UserRecord


@pytest.fixture
def full(database: Database, ana: UserRecord, now: datetime) -> AccountRecord:
    """Ana with a session, three identities and two factors."""
    later = [now + timedelta(seconds=second) for second in range(3)]
    with database.writing() as connection:
        session = sessions.insert(connection, SessionRecord(user_id=ana.id, created_at=now, amr=[{"method": "otp"}]))
        held = [
            identities.insert(
                connection,
                IdentityRecord(user_id=ana.id, provider=f"p{at.second}", provider_id="1", created_at=at, updated_at=at),
            )
            for at in reversed(later)
        ]
        for at in later[:2]:
            name = str(at.second)
            factors.insert(
                connection,
                FactorRecord(user_id=ana.id, factor_type="totp", friendly_name=name, created_at=at, updated_at=at),
            )
        owned = tuple(factors.of_user(connection, ana.id))
    return AccountRecord(ana, session, tuple(reversed(held)), owned)


def test_a_user_comes_with_everything_of_theirs_once_and_oldest_first(database: Database, full: AccountRecord) -> None:
    assert full.session is not None
    assert full == accounts.fetch(database, full.user.id, full.session.id)
    with database.writing() as connection:
        assert full == accounts.of_session(connection, full.session.id)
        for lock in (False, True):
            found = accounts.of_user(connection, full.user.id, lock=lock)
            assert AccountRecord(full.user, None, full.identities, full.factors) == found


def test_who_has_nothing_comes_alone(database: Database, ana: UserRecord) -> None:
    assert AccountRecord(ana, None, (), ()) == accounts.fetch(database, ana.id, None)
    assert AccountRecord(ana, None, (), ()) == accounts.fetch(database, ana.id, uuid4())
    assert accounts.fetch(database, uuid4(), None) is None


def test_the_session_of_somebody_else_is_not_given(database: Database, full: AccountRecord, now: datetime) -> None:
    assert full.session is not None
    other = UserRecord(created_at=now, updated_at=now)
    with database.writing() as connection:
        users.insert(connection, other)
        assert accounts.of_session(connection, uuid4()) is None
    assert AccountRecord(other, None, (), ()) == accounts.fetch(database, other.id, full.session.id)
