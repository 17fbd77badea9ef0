"""Tests of portero.store.unconfirmed, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.at_once import at_once

from portero.events import Event, Happening
from portero.store import audit, factors, identities, sessions, unconfirmed, users
from portero.store.engine import Database
from portero.store.factors import FactorRecord
from portero.store.identities import IdentityRecord
from portero.store.sessions import SessionRecord
from portero.store.sweep import Limits, sweep
from portero.store.tables import User
from portero.store.users import UserRecord

DAY = timedelta(days=1)


def signed_up(number: int, sent: datetime, **more: Any) -> UserRecord:
    """Somebody who signed up and was mailed then, and nothing more."""
    columns = {"created_at": sent, "updated_at": sent, "confirmation_sent_at": sent, **more}
    return UserRecord(email=f"user{number}@example.org", **columns)


def swept_users(database: Database, now: datetime, limits: Limits | None = None) -> int:
    return sweep(database, now, limits or Limits(unconfirmed=30 * DAY)).unconfirmed_users


def test_a_sign_up_that_nobody_confirmed_goes_in_the_end(database: Database, now: datetime) -> None:
    with database.writing() as connection:
        old = users.insert(connection, signed_up(1, now - 31 * DAY))
        young = users.insert(connection, signed_up(2, now - 29 * DAY))
    assert 0 == swept_users(database, now, Limits())
    assert 1 == swept_users(database, now)
    with database.writing() as connection:
        assert (None, young) == (users.by_id(connection, old.id), users.by_id(connection, young.id))
        deleted = audit.latest(connection, 1)[0]
    assert (Happening.USER_DELETED, old.id, {"by": "sweep"}) == (deleted.happening, deleted.user_id, deleted.details)


@pytest.mark.parametrize(
    "column",
    ["email_confirmed_at", "phone_confirmed_at", "last_sign_in_at", "invited_at", "banned_until", "deleted_at"],
)
def test_who_was_confirmed_used_invited_banned_or_deleted_stays(database: Database, now: datetime, column: str) -> None:
    with database.writing() as connection:
        users.insert(connection, signed_up(1, now - 900 * DAY, **{column: now - 899 * DAY}))
    assert 0 == swept_users(database, now)


@pytest.mark.parametrize(
    "more",
    [{"username": "ann"}, {"phone": "4912345"}, {"role": "editor"}, {"is_anonymous": True}, {"updated_at": None},
     {"confirmation_sent_at": None}],
    ids=str,
)  # fmt: skip
def test_who_was_given_something_or_touched_lately_or_never_mailed_stays(
    database: Database, now: datetime, more: dict[str, Any]
) -> None:
    more = {"updated_at": now} if "updated_at" in more else more
    with database.writing() as connection:
        users.insert(connection, signed_up(1, now - 900 * DAY, **more))
    assert 0 == swept_users(database, now)


def test_who_has_a_session_a_factor_or_another_identity_stays(database: Database, now: datetime) -> None:
    sent = now - 900 * DAY
    with database.writing() as connection:
        held = [users.insert(connection, signed_up(number, sent)) for number in range(4)]
        sessions.insert(connection, SessionRecord(user_id=held[0].id, created_at=now))
        factors.insert(connection, factor_of(held[1], now))
        for user, provider in ((held[2], "github"), (held[3], "email")):
            identity = IdentityRecord(
                user_id=user.id, provider=provider, provider_id=str(user.id), created_at=sent, updated_at=sent
            )
            identities.insert(connection, identity)
    assert 1 == swept_users(database, now)


def factor_of(user: UserRecord, now: datetime) -> FactorRecord:
    return FactorRecord(user_id=user.id, factor_type="totp", status="verified", created_at=now, updated_at=now)


def test_whom_an_administrator_made_stays_and_who_may_have_been(database: Database, now: datetime) -> None:
    """Entries of the audit are kept for a time only: what is older is nobody's to judge."""
    with database.writing() as connection:
        made = users.insert(connection, signed_up(1, now - 100 * DAY))
        event = Event(Happening.USER_CREATED, now - 100 * DAY, made.id, details={"by": "administrator"})
        audit.record(connection, event)
        users.insert(connection, signed_up(2, now - 400 * DAY))
    assert 0 == swept_users(database, now, Limits(unconfirmed=30 * DAY, audit=365 * DAY))


def test_rows_of_the_application_hold_a_user_and_the_others_go(database: Database, now: datetime) -> None:
    notes = sa.Table(
        "notes", sa.MetaData(), sa.Column("owner_id", sa.Uuid(), sa.ForeignKey(User.__table__.c.id), nullable=False)
    )
    with database.writing() as connection:
        notes.create(connection)
        held = [users.insert(connection, signed_up(number, now - 31 * DAY)) for number in range(3)]
        connection.execute(notes.insert().values(owner_id=held[1].id))
    assert 2 == swept_users(database, now)
    assert 0 == swept_users(database, now)


def test_a_table_of_users_is_looked_through_in_windows(database: Database, now: datetime) -> None:
    with database.writing() as connection:
        for number in range(7):
            users.insert(connection, signed_up(number, now - (31 if number % 3 else 1) * DAY))
    assert 4 == unconfirmed.remove(database, now, now - 30 * DAY, now - 900 * DAY, window=2)


def test_several_sweeps_at_one_time_remove_each_sign_up_once(database: Database, now: datetime) -> None:
    with database.writing() as connection:
        for number in range(20):
            users.insert(connection, signed_up(number, now - 31 * DAY))
    counts = at_once(lambda _: swept_users(database, now), 4)
    assert 20 == sum(counts)
    with database.reading() as connection:
        deleted = [event for event in audit.latest(connection, 50) if event.happening is Happening.USER_DELETED]
    assert 20 == len(deleted)
