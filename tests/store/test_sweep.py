"""Tests of portero.store.sweep, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

from portero.store import counters, flow_states, one_time_tokens, outbox, sessions
from portero.store.engine import Database
from portero.store.flow_states import FlowStateRecord
from portero.store.one_time_tokens import OneTimeTokenRecord
from portero.store.outbox import OutgoingMailRecord
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


def test_a_limit_of_nothing_ends_no_session(database: Database, ana: UserRecord, now: datetime) -> None:
    with database.writing() as connection:
        sessions.insert(connection, SessionRecord(user_id=ana.id, created_at=now - 900 * DAY))
    assert Swept(0, 0) == sweep(database, now, time_box=0 * DAY, idle=0 * DAY)
    assert Swept(1, 0) == sweep(database, now, time_box=0 * DAY, idle=14 * DAY)


def test_void_links_old_flows_and_mails_that_are_done_go(database: Database, ana: UserRecord, now: datetime) -> None:
    with database.writing() as connection:
        for purpose, ends in (("recovery", now), ("confirmation", now + DAY)):
            token = OneTimeTokenRecord(
                user_id=ana.id, purpose=purpose, kind=purpose, address="ana@example.org", code_mac="",
                created_at=now - DAY, code_expires_at=now, expires_at=ends,
            )  # fmt: skip
            one_time_tokens.replace(connection, token)
        for age in (3, 1):
            flow = FlowStateRecord(
                user_id=ana.id, authentication_method="magiclink", code_challenge="c", code_challenge_method="s256",
                created_at=now - age * DAY,
            )  # fmt: skip
            flow_states.insert(connection, flow)
        for age, due_at in ((8, None), (8, now), (1, None)):
            mail = OutgoingMailRecord(
                user_id=ana.id, kind="recovery", sealed_message=None, created_at=now - age * DAY, expires_at=now,
                next_try_at=due_at,
            )  # fmt: skip
            outbox.insert(connection, mail)
    swept = sweep(database, now, time_box=30 * DAY, idle=14 * DAY)
    assert swept == Swept(0, 0, one_time_tokens=1, flow_states=1, mails=1)
