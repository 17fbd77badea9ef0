"""Limits of mails, and what the log says of limits (auth.md §3.4, §7)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.identity.people import HOME, NOW, context_on

from portero import figures
from portero.errors import AuthError
from portero.identity import recovery, throttle
from portero.identity.context import IdentityContext
from portero.identity.recovery import Asked
from portero.identity.throttle import Limit
from portero.store.engine import Database
from portero.testing import mail_box

HOUR = timedelta(hours=1)


def checked(context: IdentityContext, address: str, after: timedelta = timedelta()) -> AuthError | None:
    with context.changing() as change:
        return throttle.check_mail(context, change.connection, "otp", address, NOW + after)


def test_all_callers_together_cause_so_many_mails_an_hour(database: Database) -> None:
    context = context_on(database, mails_per_hour=2)
    assert [None, None] == [checked(context, f"{name}@example.org") for name in "ab"]
    refused = checked(context, "c@example.org", timedelta(minutes=40))
    assert refused is not None
    assert (429, "over_email_send_rate_limit", "email rate limit exceeded") == (
        refused.status, refused.code, refused.message,
    )  # fmt: skip
    assert 20 * 60 == refused.retry_after
    assert checked(context, "d@example.org", HOUR) is None


def test_a_mail_that_is_refused_for_its_address_does_not_count_for_all(database: Database) -> None:
    context = context_on(database, mails_per_hour=2)
    for seconds in range(5):
        checked(context, "a@example.org", timedelta(seconds=seconds))
    assert checked(context, "b@example.org") is None


def test_recovery_stays_silent_about_that_limit_too(database: Database) -> None:
    context = context_on(database, mails_per_hour=1, dev=True)
    recovery.magic_link(context, Asked(email="a@example.org"), HOME, NOW)
    recovery.recover(context, Asked(email="a@example.org"), HOME, NOW)
    assert ["a@example.org"] == [mail.to for mail in mail_box(context)]


def test_the_log_names_a_limit_once_in_its_window_and_nobody(
    context: IdentityContext, caplog: pytest.LogCaptureFixture
) -> None:
    limit = Limit("sign-up", 2, throttle.MINUTE)
    for _ in range(5):
        with context.changing() as change:
            throttle.check_address(context, change.connection, limit, HOME, NOW)
    for _ in range(3):
        checked(context, "ann@example.org")
    said = [record.getMessage() for record in caplog.records if record.name == "portero.limits"]
    assert ["the limit sign-up was reached", "the limit mail-otp was reached"] == said
    assert HOME.address not in caplog.text


def test_the_name_of_a_counter_is_not_remembered_for_a_long_name_and_is_the_same(database: Database) -> None:
    """Somebody may try to sign in as a name of any length."""
    context = context_on(database)
    before = figures.of_process()["counter_names"]
    long = "x" * 5000
    assert throttle.counter_name(context, "attempts", long) == throttle.counter_name(context, "attempts", long)
    assert before == figures.of_process()["counter_names"]
    assert throttle.counter_name(context, "attempts", "x") != throttle.counter_name(context, "attempts", long)
    after = figures.of_process()["counter_names"]
    assert 1 == after.hits + after.misses - before.hits - before.misses
