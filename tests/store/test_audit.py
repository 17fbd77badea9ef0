"""Tests of portero.store.audit, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from portero.events import Event, Happening
from portero.store import audit, users
from portero.store.engine import Database
from portero.store.users import UserRecord


def test_an_event_is_kept_as_it_happened_and_outlives_its_user(
    database: Database, ana: UserRecord, now: datetime
) -> None:
    first = Event(Happening.SIGNED_IN, now, ana.id, uuid4(), "192.0.2.1", {"grant": "password", "n": 1, "ok": True})
    second = Event(Happening.KEY_CREATED, now + timedelta(seconds=1))
    with database.writing() as connection:
        audit.record(connection, first)
        audit.record(connection, second)
        users.delete(connection, ana.id)
    with database.reading() as connection:
        assert audit.latest(connection, 10) == [second, first]
        assert audit.latest(connection, 10, user_id=ana.id) == [first]
        assert audit.latest(connection, 1) == [second]
