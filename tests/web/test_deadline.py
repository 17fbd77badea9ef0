"""The deadline of a request: what waits ends with it, nothing is begun after it, and what must be done is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.identity.people import PASSWORD, happenings
from tests.web.callers import code_of
from tests.web.conftest import Make
from tests.web.test_factors import ann_on

from portero import Refused, deadline, on
from portero.crypto.passwords import Passwords
from portero.errors import DatabaseUnavailable, DeadlinePassed
from portero.hooks import AfterUserCreated, CustomAccessToken, MfaVerificationAttempt
from portero.identity import outbound
from portero.store.engine import Database

SHORT = 0.2
#: Much longer than the deadline, much shorter than the waits it cuts short.
SOON = 2.5
LATE = (504, "request_timeout")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    begun = deadline.begin(seconds)
    try:
        yield
    finally:
        deadline.end(begun)


@contextmanager
def sooner_than(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def test_nothing_is_begun_after_the_deadline(database: Database) -> None:
    with within(0.001):
        time.sleep(0.01)
        for begin in (database.reading, database.writing):
            with pytest.raises(DeadlinePassed), begin():
                pass
        with pytest.raises(DeadlinePassed):
            database.write_together(lambda connection: connection.execute(sa.text("SELECT 1")))
        with pytest.raises(DeadlinePassed):
            outbound.ask("http://127.0.0.1:9", 5, headers={})


def test_with_the_deadline_lifted_everything_is_begun(database: Database) -> None:
    with within(0.001):
        time.sleep(0.01)
        with deadline.lifted(), database.writing() as connection:
            assert 1 == connection.execute(sa.text("SELECT 1")).scalar()


def test_a_statement_ends_with_the_deadline(database: Database) -> None:
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    endless = sa.text(counting if database.dialect_name == "sqlite" else "SELECT pg_sleep(60)")
    for begin in (database.reading, database.writing):
        with sooner_than(SOON), within(SHORT), pytest.raises(DatabaseUnavailable), begin() as connection:
            connection.execute(endless)


def test_the_next_transaction_has_its_usual_time_again(database: Database) -> None:
    with within(SHORT), database.writing() as connection:
        connection.execute(sa.text("SELECT 1"))
    time.sleep(SHORT)
    with database.writing() as connection:
        assert 1 == connection.execute(sa.text("SELECT 1")).scalar()
        if database.dialect_name == "postgresql":
            assert "5s" == connection.execute(sa.text("SHOW statement_timeout")).scalar()


def test_a_writer_that_waits_for_its_turn_waits_no_longer(sqlite_database: Database) -> None:
    is_written, may_end = threading.Event(), threading.Event()

    def write() -> None:
        with sqlite_database.writing():
            is_written.set()
            may_end.wait()

    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(write)
        is_written.wait()
        with sooner_than(SOON), within(SHORT), pytest.raises(DatabaseUnavailable), sqlite_database.writing():
            pass
        may_end.set()
        other.result()


def test_the_deadline_of_who_leads_a_group_of_writers_is_nobody_elses(sqlite_database: Database) -> None:
    is_led, may_go_on = threading.Event(), threading.Event()

    def hold_up(_: sa.Connection) -> None:
        is_led.set()
        may_go_on.wait()

    def lead() -> None:
        with within(SHORT):
            sqlite_database.write_together(hold_up)

    def time_left(connection: sa.Connection) -> tuple[float | None, int | None]:
        return deadline.left(), connection.execute(sa.text("SELECT 1")).scalar()

    with ThreadPoolExecutor(2) as threads:
        leader = threads.submit(lead)
        is_led.wait()
        follower = threads.submit(sqlite_database.write_together, time_left)
        time.sleep(SHORT)
        may_go_on.set()
        leader.result()
        assert (None, 1) == follower.result()


def test_who_waits_for_a_hash_waits_no_longer() -> None:
    passwords = Passwords(1, time_cost=1, memory_cost=8)
    passwords._free.acquire()
    with sooner_than(SOON), within(SHORT), pytest.raises(DeadlinePassed):
        passwords.hash(PASSWORD)
    passwords._free.release()
    assert passwords.verify(PASSWORD, passwords.hash(PASSWORD))


# Over HTTP


def too_late() -> None:
    while (left := deadline.left()) is not None and left > 0:
        time.sleep(left)


class Dawdling:
    """An application whose hook takes longer than a request may, while `is_slow`."""

    def __init__(self, make: Make) -> None:
        self.is_slow = False

        @on("custom_access_token")
        def dawdle(_: CustomAccessToken) -> None:
            if self.is_slow:
                too_late()

        self.api = make(hooks=(dawdle,), request_timeout=timedelta(seconds=2))


def test_a_token_that_comes_too_late_leaves_no_session(make: Make) -> None:
    dawdling = Dawdling(make)
    api = dawdling.api
    kept = api.sign_up()
    dawdling.is_slow = True
    assert LATE == code_of(api.sign_in())
    dawdling.is_slow = False
    listed = api.call("GET", "/user/sessions", token=kept["access_token"]).get_json()
    assert 1 == len(listed)


def test_a_refresh_that_came_too_late_is_asked_again_and_answered(make: Make) -> None:
    dawdling = Dawdling(make)
    api = dawdling.api
    session = api.sign_up()
    dawdling.is_slow = True
    assert LATE == code_of(api.refresh(session["refresh_token"]))
    dawdling.is_slow = False
    assert 200 == api.refresh(session["refresh_token"]).status_code


def test_a_hook_that_refuses_too_late_ends_the_sessions_all_the_same(make: Make) -> None:
    @on("mfa_verification_attempt")
    def not_from_there(_: MfaVerificationAttempt) -> None:
        too_late()
        raise Refused("Not from there")

    api = make(hooks=(not_from_there,), request_timeout=timedelta(seconds=2))
    ann = ann_on(api)
    challenge = ann.challenge()
    assert (403, "mfa_verification_rejected") == code_of(ann.verify(challenge, ann.code()))
    assert (403, "session_not_found") == code_of(api.call("GET", "/user", token=ann.token))
    assert "factor_refused" in happenings(api.context)


def test_hooks_that_are_told_of_a_new_user_have_no_deadline_because_the_user_is_there(make: Make) -> None:
    told: list[float | None] = []

    @on("after_user_created")
    def note(_: AfterUserCreated) -> None:
        told.append(deadline.left())

    make(hooks=(note,)).sign_up()
    assert [None] == told
