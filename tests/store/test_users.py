"""Tests of portero.store.users, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from portero.store import identities, sessions, users
from portero.store.engine import Database
from portero.store.users import UserRecord


def test_a_user_comes_back_as_it_went_in_with_addresses_in_lower_case(
    database: Database, ana: UserRecord, now: datetime
) -> None:
    with database.reading() as connection:
        found = users.by_id(connection, ana.id)
    assert found == ana
    assert (found.email, found.username, found.created_at) == ("ana@example.org", "ana", now)
    assert (found.app_metadata, found.user_metadata, found.is_anonymous) == ({}, {}, False)


def test_a_user_is_found_by_every_name_in_any_case(database: Database, ana: UserRecord, now: datetime) -> None:
    with database.writing() as connection:
        phoned = users.update(connection, ana.id, now, phone="34600000000")
    with database.reading() as connection:
        assert users.by_email(connection, "ANA@example.ORG") == phoned
        assert users.by_username(connection, "aNA") == phoned
        assert users.by_phone(connection, "34600000000") == phoned
        assert users.by_email(connection, "nobody@example.org") is None


@pytest.mark.parametrize("taken", [{"email": "ANA@example.org"}, {"username": "ana"}])
def test_an_address_or_name_belongs_to_one_user(
    database: Database, ana: UserRecord, now: datetime, taken: dict[str, str]
) -> None:
    second = UserRecord(created_at=now, updated_at=now, **taken)
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        users.insert(connection, second)


def test_many_users_may_have_no_address(database: Database, now: datetime) -> None:
    with database.writing() as connection:
        for _ in range(2):
            users.insert(connection, UserRecord(is_anonymous=True, created_at=now, updated_at=now))


def test_a_change_gives_the_row_as_stored(database: Database, ana: UserRecord, now: datetime) -> None:
    later = now + timedelta(hours=1)
    with database.writing() as connection:
        changed = users.update(connection, ana.id, later, email="New@Example.org", user_metadata={"a": [1, None]})
        assert users.by_id(connection, ana.id, lock=True) == changed
        assert users.update(connection, uuid4(), later, role="x") is None
    assert changed is not None
    assert (changed.email, changed.user_metadata, changed.updated_at) == ("new@example.org", {"a": [1, None]}, later)


def test_a_column_that_is_not_there_cannot_be_changed(database: Database, ana: UserRecord, now: datetime) -> None:
    with pytest.raises(sa.exc.CompileError), database.writing() as connection:
        users.update(connection, ana.id, now, is_admin=True)


def test_a_page_is_newest_first_and_knows_the_total(database: Database, now: datetime) -> None:
    with database.writing() as connection:
        for minute in range(3):
            at = now + timedelta(minutes=minute)
            users.insert(connection, UserRecord(email=f"{minute}@example.org", created_at=at, updated_at=at))
        page, total = users.page(connection, offset=1, limit=1)
    assert ([user.email for user in page], total) == (["1@example.org"], 3)


def test_a_deleted_user_takes_sessions_and_identities_along(database: Database, ana: UserRecord, now: datetime) -> None:
    session = sessions.SessionRecord(user_id=ana.id, created_at=now)
    identity = identities.IdentityRecord(
        user_id=ana.id, provider="email", provider_id=str(ana.id), created_at=now, updated_at=now
    )
    with database.writing() as connection:
        sessions.insert(connection, session)
        identities.insert(connection, identity)
        assert users.delete(connection, ana.id) is True
        assert users.delete(connection, ana.id) is False
    assert database.fetch_all("SELECT count(*) FROM portero_sessions", ()) == [(0,)]
    assert database.fetch_all("SELECT count(*) FROM portero_identities", ()) == [(0,)]


def test_a_password_hash_is_not_shown(ana: UserRecord) -> None:
    assert "argon2" not in repr(ana)
