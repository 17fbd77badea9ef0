"""Tests of portero.store.sweep, on both databases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.at_once import MANY, at_once

from portero.events import Event, Happening
from portero.store import attempts, audit, counters, factors, flow_states, one_time_tokens, outbox, sessions
from portero.store import sweep as sweeping
from portero.store.engine import Database
from portero.store.factors import FactorRecord
from portero.store.flow_states import FlowStateRecord
from portero.store.one_time_tokens import OneTimeTokenRecord
from portero.store.outbox import OutgoingMailRecord
from portero.store.sessions import SessionRecord
from portero.store.sweep import Limits, Swept, sweep, sweep_in_turn
from portero.store.users import UserRecord

DAY = timedelta(days=1)
LIMITS = Limits(time_box=30 * DAY, idle=14 * DAY, audit=365 * DAY)


def test_what_is_over_goes_and_what_counts_stays(database: Database, ana: UserRecord, now: datetime) -> None:
    with database.writing() as connection:
        for age in (31, 15, 1):
            sessions.insert(connection, SessionRecord(user_id=ana.id, created_at=now - age * DAY))
        counters.hit(connection, "void", 1, DAY, now - 2 * DAY)
        counters.hit(connection, "live", 1, 3 * DAY, now - 2 * DAY)
    assert Swept(sessions=2, counters=1) == sweep(database, now, LIMITS)
    assert Swept() == sweep(database, now, LIMITS)


def test_a_limit_of_nothing_ends_no_session_and_keeps_the_audit(
    database: Database, ana: UserRecord, now: datetime
) -> None:
    with database.writing() as connection:
        sessions.insert(connection, SessionRecord(user_id=ana.id, created_at=now - 900 * DAY))
        audit.record(connection, Event(Happening.SIGNED_IN, now - 900 * DAY))
    assert Swept() == sweep(database, now, Limits())
    assert Swept(sessions=1) == sweep(database, now, Limits(idle=14 * DAY))
    assert Swept(audit_entries=1) == sweep(database, now, Limits(audit=899 * DAY))


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
            outbox.insert(connection, mail_of(ana, now - age * DAY, next_try_at=due_at))
    assert Swept(one_time_tokens=1, flow_states=1, mails=1) == sweep(database, now, LIMITS)


def test_an_enrolment_that_nobody_finished_and_an_old_entry_of_the_audit_go(
    database: Database, ana: UserRecord, now: datetime
) -> None:
    with database.writing() as connection:
        for age, status in ((2, "unverified"), (0, "unverified"), (2, "verified")):
            at = now - age * DAY
            made = FactorRecord(
                user_id=ana.id, factor_type="totp", status=status, friendly_name=f"{age}{status}",
                created_at=at, updated_at=at,
            )  # fmt: skip
            factors.insert(connection, made)
        for age in (366, 364):
            audit.record(connection, Event(Happening.SIGNED_IN, now - age * DAY))
    assert Swept(factors=1, audit_entries=1) == sweep(database, now, LIMITS)


def mail_of(user: UserRecord, at: datetime, **more: Any) -> OutgoingMailRecord:
    columns = {"sealed_message": None, "expires_at": at + DAY, **more}
    return OutgoingMailRecord(user_id=user.id, kind="recovery", created_at=at, **columns)


def test_the_text_of_a_failed_mail_goes_when_it_is_not_worth_sending(
    database: Database, ana: UserRecord, now: datetime
) -> None:
    failed = mail_of(ana, now, sealed_message=b"sealed", next_try_at=None, failed_at=now)
    with database.writing() as connection:
        outbox.insert(connection, failed)
    kept = []
    for at in (now + DAY - timedelta(seconds=1), now + DAY):
        sweep(database, at, LIMITS)
        with database.reading() as connection:
            kept.append(outbox.latest(connection, 1)[0].sealed_message)
    assert [b"sealed", None] == kept


def test_much_goes_in_small_transactions_between_which_others_write(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven rows, three at a time, and one that is refreshed between being found and being removed."""
    monkeypatch.setattr(sweeping, "AT_ONCE", 3)
    with database.writing() as connection:
        for number in range(7):
            attempts.remember(connection, f"void-{number}", now - DAY)
    opened = []
    original = database.writing

    @contextlib.contextmanager
    def counted(**options: Any) -> Iterator[sa.Connection]:
        opened.append(options)
        if len(opened) == 1:
            with original() as connection:
                attempts.remember(connection, "void-0", now + DAY)
        with original(**options) as connection:
            yield connection

    monkeypatch.setattr(database, "writing", counted)
    removed = sweep(database, now, LIMITS)
    with database.reading() as connection:
        left = connection.exec_driver_sql("SELECT name FROM portero_counters").scalars().all()
    assert (Swept(counters=6), ["void-0"]) == (removed, left)
    assert 3 <= len(opened) <= 4


def test_where_nothing_is_over_no_row_is_locked(database: Database, ana: UserRecord, now: datetime) -> None:
    """A sweep that finds nothing opens one transaction, for the texts of mails, and changes nothing in it."""
    with database.writing() as connection:
        sessions.insert(connection, SessionRecord(user_id=ana.id, created_at=now))
    assert Swept() == sweep(database, now, LIMITS)


def test_of_all_who_ask_for_the_turn_one_sweeps_in_an_interval(database: Database, now: datetime) -> None:
    found = at_once(lambda _: sweep_in_turn(database, now, LIMITS, DAY))
    assert [Swept()] == [each for each in found if each is not None]
    assert MANY == len(found)
    assert sweep_in_turn(database, now + DAY - timedelta(seconds=1), LIMITS, DAY) is None
    assert sweep_in_turn(database, now + DAY, LIMITS, DAY) is not None


def test_several_sweeps_at_one_time_remove_each_row_once(database: Database, ana: UserRecord, now: datetime) -> None:
    with database.writing() as connection:
        for number in range(300):
            attempts.remember(connection, f"void-{number}", now - DAY)
            sessions.insert(connection, SessionRecord(user_id=ana.id, created_at=now - 31 * DAY))
    found = at_once(lambda _: sweep(database, now, LIMITS), 4)
    assert (300, 300) == (sum(each.sessions for each in found), sum(each.counters for each in found))
