"""Signing in: the same for every name that is not right, and as often as the throttle allows."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.identity.people import ELSEWHERE, HOME, NOW, PASSWORD, happenings, signed_up, with_settings

from portero.crypto.passwords import Passwords
from portero.errors import AuthError
from portero.identity import admin, sign_in
from portero.identity.admin import NewUser
from portero.identity.context import Caller, IdentityContext, SignedIn
from portero.store import counters, users

SECOND = timedelta(seconds=1)


def attempt(
    context: IdentityContext,
    password: str = "wrong",
    login: str = "ann@example.org",
    caller: Caller = ELSEWHERE,
    after: timedelta = timedelta(),
) -> SignedIn:
    return sign_in.with_password(context, login, password, caller, NOW + after)


def refusal(*args: object, **more: object) -> AuthError:
    with pytest.raises(AuthError) as caught:
        attempt(*args, **more)  # type: ignore[arg-type]
    return caught.value


def test_the_right_password_opens_a_new_session(any_context: IdentityContext) -> None:
    """Threats SE-15, SE-21: each sign-in has a session id and a jti of its own."""
    first = signed_up(any_context)
    again = attempt(any_context, PASSWORD)
    assert first.user.id == again.user.id
    assert first.session.id != again.session.id
    assert again.user.last_sign_in_at == NOW
    assert ["signed_in", "signed_in", "user_created"] == happenings(any_context)


def test_a_user_name_signs_in_like_an_address_in_any_case(context: IdentityContext) -> None:
    made = admin.create(context, NewUser(username="Ann", password=PASSWORD), NOW)
    assert made.user.id == attempt(context, PASSWORD, login="aNN").user.id


@pytest.mark.parametrize(
    "login", ["ann@example.org", "bob@example.org", "bob", "no address@", "", "nohash@example.org"]
)
def test_a_wrong_password_and_a_wrong_name_are_told_apart_by_nothing(context: IdentityContext, login: str) -> None:
    """Threats CR-01: one answer, whether the user exists, has no password, or the name can be nobody's."""
    signed_up(context)
    admin.create(context, NewUser(email="nohash@example.org"), NOW)
    found = refusal(context, login=login)
    assert (400, "invalid_credentials", "Invalid login credentials", None) == (
        found.status,
        found.code,
        found.message,
        found.retry_after,
    )
    assert "sign_in_refused" == happenings(context)[0]


def test_strangers_cost_a_hash_like_users_do(context: IdentityContext) -> None:
    """Threats CR-02: the decoy is verified; seen from how many hashes were computed, not from the clock."""

    class Counting(Passwords):
        calls = 0

        def verify(self, password: str, stored_hash: str | None) -> bool:
            type(self).calls += 1
            return super().verify(password, stored_hash)

    counted = replace(context, passwords=Counting(1, time_cost=1, memory_cost=8))
    for login in ("bob@example.org", "no address@"):
        refusal(counted, login=login)
    assert 2 == Counting.calls


def test_a_password_over_1_kib_is_refused_without_work(context: IdentityContext) -> None:
    """Threats CR-16."""
    signed_up(context)
    assert "invalid_credentials" == refusal(context, "x" * 1025).code


def test_only_who_knows_the_password_is_told_of_a_ban(context: IdentityContext) -> None:
    """Threats CR-01: before the password, a banned user is like anybody."""
    user = signed_up(context).user
    admin.ban(context, user.id, NOW, timedelta(hours=1))
    assert "invalid_credentials" == refusal(context).code
    assert (400, "user_banned") == (refusal(context, PASSWORD).status, refusal(context, PASSWORD).code)
    assert user.id == attempt(context, PASSWORD, after=timedelta(hours=1)).user.id


def test_an_address_that_waits_for_confirmation_does_not_sign_in(context: IdentityContext) -> None:
    admin.create(context, NewUser(email="ann@example.org", password=PASSWORD, email_confirm=False), NOW)
    assert "email_not_confirmed" == refusal(context, PASSWORD).code


def test_an_old_hash_is_upgraded_by_the_sign_in(any_context: IdentityContext) -> None:
    """Threats CR-18: the hash changes under twenty sign-ins at once, and each of them succeeds."""
    old = Passwords(1, time_cost=1, memory_cost=16).hash(PASSWORD)
    user_id = admin.create(any_context, NewUser(email="ann@example.org", password_hash=old), NOW).user.id
    attempt(any_context, PASSWORD, caller=HOME)
    with any_context.changing() as change:
        users.update(change.connection, user_id, NOW, password_hash=old)
    done: list[SignedIn] = []
    threads = [
        threading.Thread(target=lambda: done.append(attempt(any_context, PASSWORD, caller=HOME))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 20 == len(done) == len({found.session.id for found in done})
    with any_context.database.reading() as connection:
        stored = users.by_id(connection, user_id)
    assert stored is not None
    assert stored.password_hash != old


def test_a_password_that_would_be_refused_today_is_pointed_out(context: IdentityContext) -> None:
    signed_up(context)
    stricter = with_settings(context, password_min_length=40)
    assert ("length",) == attempt(stricter, PASSWORD).weak_password


def test_a_user_who_is_deleted_while_the_password_is_checked_gets_no_session(context: IdentityContext) -> None:
    """The opening transaction looks at the user again."""
    user_id = signed_up(context).user.id

    class Slow(Passwords):
        def verify(self, password: str, stored_hash: str | None) -> bool:
            admin.delete(context, user_id, NOW)
            return super().verify(password, stored_hash)

    slow = replace(context, passwords=Slow(1, time_cost=1, memory_cost=8))
    assert "invalid_credentials" == refusal(slow, PASSWORD).code


def test_a_password_changed_while_the_old_one_is_checked_wins(context: IdentityContext) -> None:
    """Threats SE-06: the old password opens no session after the change, though it was right when it was read."""
    user_id = signed_up(context).user.id

    class Slow(Passwords):
        def verify(self, password: str, stored_hash: str | None) -> bool:
            found = super().verify(password, stored_hash)
            if found:
                admin.set_password(context, user_id, "eight dry stones", NOW)
            return found

    slow = replace(context, passwords=Slow(1, time_cost=1, memory_cost=8))
    assert "invalid_credentials" == refusal(slow, PASSWORD).code


def test_a_password_that_never_stands_still_is_given_up(context: IdentityContext) -> None:
    """Each look finds another hash of the same password: after three, the caller is refused, not kept forever."""
    user_id = signed_up(context).user.id

    class Restless(Passwords):
        def verify(self, password: str, stored_hash: str | None) -> bool:
            found = super().verify(password, stored_hash)
            with context.changing() as change:
                users.update(change.connection, user_id, NOW, password_hash=self.hash(password))
            return found

    restless = replace(context, passwords=Restless(1, time_cost=1, memory_cost=8))
    assert "invalid_credentials" == refusal(restless, PASSWORD).code


class TestThrottle:
    """Per account and per address (threats CR-05 to CR-10)."""

    def test_the_sixth_attempt_in_a_row_waits_and_longer_each_time(self, any_context: IdentityContext) -> None:
        """Threats CR-05: from any number of addresses."""
        signed_up(any_context)
        for number in range(5):
            assert 400 == refusal(any_context, caller=Caller(f"203.0.113.{number}")).status
        after, waits = timedelta(), []
        for number in range(4):
            found = refusal(any_context, caller=Caller(f"203.0.113.{10 + number}"), after=after)
            assert (429, "over_request_rate_limit") == (found.status, found.code)
            waits.append(found.retry_after)
            after += SECOND * (found.retry_after or 0)
            assert 400 == refusal(any_context, caller=Caller(f"203.0.113.{20 + number}"), after=after).status
        assert [1, 2, 4, 8] == waits
        assert "sign_in_throttled" in happenings(any_context)

    def test_an_attempt_that_began_before_one_that_was_counted_does_not_wait(
        self, any_context: IdentityContext
    ) -> None:
        """Sign-ins at one time, and nodes whose clocks differ: the free attempts are free."""
        user = signed_up(any_context).user
        for seconds in (3, 2, 1, 0):
            assert user.id == attempt(any_context, PASSWORD, caller=HOME, after=seconds * SECOND).user.id
            assert 400 == refusal(any_context, caller=HOME, after=seconds * SECOND).status

    def test_names_that_are_nobodys_are_delayed_alike(self, context: IdentityContext) -> None:
        """Threats CR-01: a 429 does not say that there is an account."""
        statuses = [refusal(context, login="bob@example.org").status for _ in range(6)]
        assert [400] * 5 + [429] == statuses

    def test_a_strangers_failures_do_not_lock_the_owner_out(self, context: IdentityContext) -> None:
        """Threats CR-06: where the owner signed in from before, a failure elsewhere is no delay."""
        limits = with_settings(context, throttle_sign_in=0)
        signed_up(limits, caller=HOME)
        statuses = [refusal(limits, caller=ELSEWHERE).status for _ in range(200)]
        assert [400] * 5 + [429] * 195 == statuses
        assert 429 == refusal(limits, PASSWORD, caller=ELSEWHERE).status
        assert "ann@example.org" == attempt(limits, PASSWORD, caller=HOME).user.email
        assert 400 == refusal(limits, caller=ELSEWHERE).status

    def test_a_known_address_has_thirty_free_attempts_of_its_own(self, context: IdentityContext) -> None:
        limits = with_settings(context, throttle_sign_in=0)
        signed_up(limits, caller=HOME)
        statuses = [refusal(limits, caller=HOME).status for _ in range(31)]
        assert [400] * 30 + [429] == statuses

    def test_a_hundred_failures_in_a_row_stop_an_account_elsewhere(self, context: IdentityContext) -> None:
        """NIST SP 800-63B-4 §3.2.2: no more than a hundred; an administrator's new password ends it."""
        limits = with_settings(context, throttle_sign_in=0)
        user_id = signed_up(limits, caller=HOME).user.id
        after, tried = timedelta(), 0
        while tried < 100:
            found = refusal(limits, after=after)
            tried += found.status == 400
            after += SECOND * (found.retry_after or 0)
        assert 30 * 24 * 3600 == refusal(limits, PASSWORD, after=after).retry_after
        admin.set_password(limits, user_id, "eight dry stones", NOW + after)
        assert user_id == attempt(limits, "eight dry stones", after=after).user.id

    def test_one_network_has_thirty_attempts_a_minute(self, any_context: IdentityContext) -> None:
        """Threats CR-07, CR-09: over all names; an IPv6 caller is its /64."""
        callers = [Caller(f"2001:db8:0:1::{number:x}") for number in range(32)]
        statuses = [
            refusal(any_context, login=f"u{number}@example.org", caller=caller).status
            for number, caller in enumerate(callers)
        ]
        assert [400] * 30 + [429] * 2 == statuses
        assert 400 == refusal(any_context, login="x@example.org", caller=Caller("2001:db8:0:2::1")).status

    def test_a_flood_from_one_network_is_one_entry_in_the_audit(self, context: IdentityContext) -> None:
        """Else whoever is refused could fill the disk with refusals."""
        limits = with_settings(context, throttle_sign_in=1)
        assert [400] + [429] * 9 == [refusal(limits, login=f"u{number}@example.org").status for number in range(10)]
        assert ["sign_in_refused", "sign_in_throttled"] == happenings(context)

    def test_of_many_at_one_time_no_more_than_five_reach_the_hash(self, any_context: IdentityContext) -> None:
        """Threats CR-10: the attempt counts before the password is looked at."""
        limits = with_settings(any_context, throttle_sign_in=0)
        statuses: list[int] = []

        def try_five_times() -> None:
            statuses.extend(refusal(limits).status for _ in range(5))

        threads = [threading.Thread(target=try_five_times) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (5, 45) == (statuses.count(400), statuses.count(429))

    def test_the_table_of_counters_holds_no_name_and_no_address(self, context: IdentityContext) -> None:
        refusal(context, login="bob@example.org")
        assert context.database.fetch_all("SELECT count(*) FROM portero_counters", ())[0][0] == 2
        names = str(context.database.fetch_all("SELECT name FROM portero_counters", ()))
        assert "bob" not in names
        assert ELSEWHERE.address not in names

    def test_counters_that_are_over_are_swept(self, context: IdentityContext) -> None:
        refusal(context, login="bob@example.org")
        with context.changing() as change:
            assert 2 == counters.sweep(change.connection, NOW + timedelta(days=31))

    def test_who_calls_from_nowhere_is_not_counted_per_address(self, context: IdentityContext) -> None:
        limits = with_settings(context, throttle_sign_in=1)
        assert [400] * 3 == [refusal(limits, caller=Caller(), login=f"u{n}").status for n in range(3)]
