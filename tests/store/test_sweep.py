"""Tests of portero.store.sweep, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

from portero.store import counters, sessions
from portero.store.engine import Database
from portero.store.sessions import SessionRecord
from portero.store.sweep import Swept, sweep
from portero.store.users import UserRecord

DAY = timedelta(days=1)


def test_what_is_over_goes_and_what_counts_stays(database: Database, ana: UserRecord, now: datetime) -> None:
    with database.writing() as connection:
        for age in (31, 15, 1):
            sessions.insert(connection, SessionRecord(user_id=ana.id, created_at=now - age * DAY))
        counters.hit(connection, "void", 1, DAY, now - 2 * DAY)
        counters.hit(connection, "live", 1, 3 * DAY, now - 2 * DAY)
    assert sweep(database, now, time_box=30 * DAY, idle=14 * DAY) == Swept(sessions=2, counters=1)
    assert sweep(database, now, time_box=30 * DAY, idle=14 * DAY) == Swept(0, 0)
