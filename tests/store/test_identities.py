"""Tests of portero.store.identities, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from portero.store import identities
from portero.store.engine import Database
from portero.store.identities import IdentityRecord
from portero.store.users import UserRecord


@pytest.fixture
def of_ana(database: Database, ana: UserRecord, now: datetime) -> IdentityRecord:
    record = IdentityRecord(
        user_id=ana.id,
        provider="email",
        provider_id=str(ana.id),
        identity_data={"sub": str(ana.id), "email_verified": True},
        email="Ana@Example.org",
        created_at=now,
        updated_at=now,
    )
    with database.writing() as connection:
        return identities.insert(connection, record)


def test_an_identity_is_found_by_its_user_and_by_its_provider(
    database: Database, ana: UserRecord, of_ana: IdentityRecord
) -> None:
    with database.reading() as connection:
        assert identities.of_user(connection, ana.id) == [of_ana]
        assert identities.by_provider(connection, "email", str(ana.id)) == of_ana
        assert identities.by_provider(connection, "github", str(ana.id)) is None
    assert (of_ana.email, of_ana.identity_data["email_verified"]) == ("ana@example.org", True)


def test_a_subject_of_a_provider_is_one_user_only(database: Database, of_ana: IdentityRecord, now: datetime) -> None:
    again = IdentityRecord(
        user_id=of_ana.user_id, provider="email", provider_id=of_ana.provider_id, created_at=now, updated_at=now
    )
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        identities.insert(connection, again)


def test_an_identity_changes_and_goes(database: Database, of_ana: IdentityRecord, now: datetime) -> None:
    later = now + timedelta(days=1)
    with database.writing() as connection:
        changed = identities.update(connection, of_ana.id, later, email="New@Example.org")
        assert changed is not None
        assert (changed.email, changed.updated_at) == ("new@example.org", later)
        assert identities.delete(connection, of_ana.id) is True
        assert identities.delete(connection, of_ana.id) is False
        assert identities.update(connection, of_ana.id, later, last_sign_in_at=later) is None
