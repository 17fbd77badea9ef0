"""Second factors: enrolled, asked for, verified once, removed (contract auth.md §1.4; threats MF-01 to MF-08)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from tests.at_once import MANY, at_once
from tests.identity.people import ELSEWHERE, HOME, NOW, PASSWORD, happenings, signed_up, with_settings
from tests.identity.second_factors import STEP, App, asking, enrolled, verified, with_second_factor

from portero.errors import AuthError
from portero.identity import admin, mfa, recovery_codes, sessions, sign_in, user
from portero.identity.assurance import Asking
from portero.identity.context import Caller, IdentityContext, SignedIn
from portero.store import factors
from portero.store import sessions as rows
from portero.store.tables import OWN_TABLES

MINUTE = timedelta(minutes=1)


def refusal(work: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(AuthError) as caught:
        work()
    return caught.value.status, caught.value.code


def again(context: IdentityContext, now: datetime = NOW, caller: Caller = HOME) -> SignedIn:
    return sign_in.with_password(context, "ann@example.org", PASSWORD, caller, now)


def again_with(context: IdentityContext, password: str) -> SignedIn:
    return sign_in.with_password(context, "ann@example.org", password, HOME, NOW)


def kept(context: IdentityContext, signed_in: SignedIn) -> list[tuple[str, str]]:
    account = admin.get(context, signed_in.user.id)
    return [(factor.friendly_name, factor.status) for factor in account.factors]


def level(context: IdentityContext, session_id: UUID) -> tuple[str, list[str]] | None:
    with context.database.reading() as connection:
        session = rows.by_id(connection, session_id)
    return None if session is None else (session.aal, [entry["method"] for entry in session.amr])


def test_a_factor_counts_after_its_first_right_code(any_context: IdentityContext) -> None:
    """Threats MF-05."""
    ann = signed_up(any_context)
    app = enrolled(any_context, ann)
    assert [("app", "unverified")] == kept(any_context, ann)
    raised = verified(any_context, ann, app)
    assert [("app", "verified")] == kept(any_context, ann)
    assert ("aal2", ["totp", "password"]) == level(any_context, ann.session.id)
    assert ann.session.id == raised.session.id
    assert {"factor_enrolled", "factor_challenged", "factor_verified"} <= set(happenings(any_context))


def test_the_new_refresh_token_is_the_only_one_and_the_one_before_is_no_parent(context: IdentityContext) -> None:
    """Contract §2.6: who holds a refresh token from before the second factor gets nothing of what came after."""
    ann = signed_up(context)
    raised = verified(context, ann, enrolled(context, ann))
    assert ann.session.refresh_counter + 2 == raised.session.refresh_counter
    refreshed = sessions.refresh(context, raised.refresh_token, HOME, NOW)
    assert "aal2" == refreshed.session.aal
    assert (400, "refresh_token_already_used") == refusal(
        lambda: sessions.refresh(context, ann.refresh_token, HOME, NOW)
    )


def test_other_sessions_at_aal1_end_and_those_at_aal2_stay(any_context: IdentityContext) -> None:
    app, first = with_second_factor(any_context)
    low = again(any_context)
    second = verified(any_context, again(any_context), app, NOW + STEP)
    assert level(any_context, low.session.id) is None
    assert {"aal2"} == {level(any_context, each.session.id)[0] for each in (first, second)}  # type: ignore[index]


def test_unfinished_enrolments_go_with_the_first_right_code(context: IdentityContext) -> None:
    ann = signed_up(context)
    app = enrolled(context, ann)
    enrolled(context, ann, "left lying")
    verified(context, ann, app)
    assert [("app", "verified")] == kept(context, ann)


def test_a_code_is_taken_once_whatever_challenge_it_answers(context: IdentityContext) -> None:
    """Threats MF-01."""
    app, ann = with_second_factor(context)
    assert (422, "mfa_verification_failed") == refusal(lambda: verified(context, ann, app))
    challenge = mfa.challenge(context, asking(ann), app.factor_id)
    assert (422, "mfa_verification_failed") == refusal(
        lambda: mfa.verify(context, asking(ann), app.factor_id, challenge.id, app.code(NOW - STEP))
    )
    assert "aal2" == verified(context, ann, app, NOW + STEP).session.aal


@pytest.mark.parametrize(("steps", "passes"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_a_code_may_be_one_step_off(context: IdentityContext, steps: int, passes: bool) -> None:
    """Threats MF-02."""
    ann = signed_up(context)
    app = enrolled(context, ann)
    challenge = mfa.challenge(context, asking(ann), app.factor_id)

    def verify() -> SignedIn:
        return mfa.verify(context, asking(ann), app.factor_id, challenge.id, app.code(NOW + steps * STEP))

    if passes:
        assert "aal2" == verify().session.aal
    else:
        assert (422, "mfa_verification_failed") == refusal(verify)


def test_five_wrong_codes_end_a_challenge(context: IdentityContext) -> None:
    """Threats MF-03."""
    ann = signed_up(context)
    app = enrolled(context, ann)
    challenge = mfa.challenge(context, asking(ann), app.factor_id)

    def verify(code: str) -> SignedIn:
        return mfa.verify(context, asking(ann), app.factor_id, challenge.id, code)

    assert {(422, "mfa_verification_failed")} == {refusal(lambda: verify("000000")) for _ in range(5)}
    assert (422, "mfa_challenge_expired") == refusal(lambda: verify(app.code()))
    assert 5 == Counter(happenings(context))["factor_refused"]


def guessed(context: IdentityContext, signed_in: SignedIn, app: App, caller: Caller, now: datetime) -> tuple[int, str]:
    challenge = mfa.challenge(context, asking(signed_in, now, caller), app.factor_id)
    return refusal(lambda: mfa.verify(context, asking(signed_in, now, caller), app.factor_id, challenge.id, "wrong!"))


def test_twenty_wrong_codes_in_an_hour_are_all_there_are(context: IdentityContext) -> None:
    """Threats MF-03: over new challenges; and the right code does not pass either."""
    context = with_settings(context, throttle_mfa=0)
    ann = signed_up(context)
    app = enrolled(context, ann)
    found = [guessed(context, ann, app, HOME, NOW) for _ in range(21)]
    assert [(422, "mfa_verification_failed")] * 20 + [(429, "over_request_rate_limit")] == found
    assert (429, "over_request_rate_limit") == refusal(lambda: verified(context, ann, app, NOW + 59 * MINUTE))
    assert "aal2" == verified(context, ann, app, NOW + 60 * MINUTE).session.aal
    assert 1 == Counter(happenings(context))["factor_throttled"]


def test_a_hundred_wrong_codes_in_a_row_are_all_there_are_in_a_month(context: IdentityContext) -> None:
    """Threats MF-03: twenty an hour would be enough in a year for who knows the password."""
    context = with_settings(context, throttle_mfa=0, session_time_box=timedelta(), session_idle=timedelta())
    app, ann = with_second_factor(context)
    thief = again(context, NOW, ELSEWHERE)
    found = [
        guessed(context, thief, app, ELSEWHERE, NOW + hour * 61 * MINUTE)[0] for hour in range(6) for _ in range(20)
    ]
    assert [422] * 100 + [429] * 20 == found
    with pytest.raises(AuthError) as caught:
        verified(context, thief, app, NOW + timedelta(days=29), ELSEWHERE)
    assert caught.value.retry_after is not None
    assert 3600 < caught.value.retry_after <= 24 * 3600
    assert "aal2" == verified(context, ann, app, NOW + timedelta(days=29)).session.aal


def test_guesses_from_elsewhere_do_not_lock_the_owner_out(context: IdentityContext) -> None:
    context = with_settings(context, throttle_mfa=0)
    app, ann = with_second_factor(context)
    thief = again(context, NOW, ELSEWHERE)
    found = [guessed(context, thief, app, ELSEWHERE, NOW) for _ in range(21)]
    assert (429, "over_request_rate_limit") == found[-1]
    assert "aal2" == verified(context, ann, app, NOW + STEP).session.aal


def test_a_right_code_ends_the_count(context: IdentityContext) -> None:
    context = with_settings(context, throttle_mfa=0)
    ann = signed_up(context)
    app = enrolled(context, ann)
    for number in range(3):
        found = {guessed(context, ann, app, HOME, NOW + number * STEP) for _ in range(15)}
        assert {(422, "mfa_verification_failed")} == found
        verified(context, ann, app, NOW + number * STEP)


def test_fifteen_requests_a_minute_are_answered(context: IdentityContext) -> None:
    ann = signed_up(context)
    app = enrolled(context, ann)
    for _ in range(15):
        mfa.challenge(context, asking(ann), app.factor_id)
    with pytest.raises(AuthError) as caught:
        mfa.challenge(context, asking(ann), app.factor_id)
    assert (429, "over_request_rate_limit") == (caught.value.status, caught.value.code)
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 60
    assert (429, "over_request_rate_limit") == refusal(
        lambda: mfa.verify(context, asking(ann), app.factor_id, uuid4(), app.code())
    )


def test_of_twenty_answers_to_one_challenge_one_is_taken(any_context: IdentityContext) -> None:
    """Threats MF-08."""
    context = with_settings(any_context, throttle_mfa=0)
    ann = signed_up(context)
    app = enrolled(context, ann)
    challenge = mfa.challenge(context, asking(ann), app.factor_id)
    outcomes = at_once(lambda _: outcome_of(context, ann, app, challenge.id))
    assert ["aal2"] == [outcome for outcome in outcomes if outcome == "aal2"]
    assert MANY == len(outcomes)


def test_of_twenty_uses_of_one_code_at_twenty_challenges_one_is_taken(any_context: IdentityContext) -> None:
    """Threats MF-01, MF-08."""
    context = with_settings(any_context, throttle_mfa=0)
    ann = signed_up(context)
    app = enrolled(context, ann)
    challenges = [mfa.challenge(context, asking(ann), app.factor_id).id for _ in range(MANY)]
    outcomes = Counter(at_once(lambda number: outcome_of(context, ann, app, challenges[number])))
    assert {"aal2": 1, "mfa_verification_failed": MANY - 1} == outcomes


def outcome_of(context: IdentityContext, signed_in: SignedIn, app: App, challenge_id: UUID) -> str:
    try:
        return mfa.verify(context, asking(signed_in), app.factor_id, challenge_id, app.code()).session.aal
    except AuthError as error:
        return error.code


def test_twenty_enrolments_at_once_are_ten_factors(any_context: IdentityContext) -> None:
    ann = signed_up(any_context)

    def enrol(number: int) -> str:
        try:
            return str(enrolled(any_context, ann, str(number)).factor_id)
        except AuthError as error:
            return error.code

    outcomes = Counter(at_once(enrol))
    assert MANY - mfa.MOST_FACTORS == outcomes["too_many_enrolled_mfa_factors"]
    assert mfa.MOST_FACTORS == len(kept(any_context, ann))


def test_enrolments_that_nobody_finished_make_room(context: IdentityContext) -> None:
    ann = signed_up(context)
    for number in range(mfa.MOST_FACTORS):
        enrolled(context, ann, str(number))
    assert (422, "too_many_enrolled_mfa_factors") == refusal(lambda: enrolled(context, ann, "one more"))
    enrolled(context, ann, "later", NOW + mfa.UNVERIFIED_LIFETIME + STEP)
    assert [("later", "unverified")] == kept(context, ann)


def test_a_factor_beside_a_verified_one_needs_that_one_first(context: IdentityContext) -> None:
    """A stolen password enrols nothing; nor does it verify what lies there unverified."""
    app, ann = with_second_factor(context)
    low = again(context)
    assert (403, "insufficient_aal") == refusal(lambda: enrolled(context, low, "thief's"))
    pending = enrolled(context, ann, "pending")
    assert (403, "insufficient_aal") == refusal(lambda: verified(context, low, pending))
    assert "aal2" == verified(context, ann, pending).session.aal
    assert app.factor_id != pending.factor_id


def test_a_verified_factor_is_removed_at_aal2_only(context: IdentityContext) -> None:
    """Threats MF-06: a fresh password is not enough."""
    app, ann = with_second_factor(context)
    low = again(context)
    assert (422, "insufficient_aal") == refusal(lambda: mfa.unenrol(context, asking(low), app.factor_id))
    mfa.unenrol(context, asking(ann), app.factor_id)
    assert [] == kept(context, ann)
    assert "factor_removed" in happenings(context)
    pending = enrolled(context, low)
    mfa.unenrol(context, asking(low), pending.factor_id)
    assert [] == kept(context, ann)


def test_only_sessions_that_the_factor_raised_fall_back(any_context: IdentityContext) -> None:
    one, first = with_second_factor(any_context)
    other = enrolled(any_context, first, "other")
    by_other = verified(any_context, first, other)
    second = again(any_context)
    verified(any_context, second, one, NOW + STEP)
    mfa.unenrol(any_context, asking(by_other), one.factor_id)
    assert ("aal1", ["password"]) == level(any_context, second.session.id)
    assert ("aal2", ["totp", "password"]) == level(any_context, by_other.session.id)
    mfa.unenrol(any_context, asking(by_other), other.factor_id)
    refreshed = sessions.refresh(any_context, by_other.refresh_token, HOME, NOW)
    assert ("aal1", ["password"]) == level(any_context, refreshed.session.id)


def test_recovery_codes_go_with_the_last_factor(context: IdentityContext) -> None:
    app, ann = with_second_factor(context)
    recovery_codes.generate(context, asking(ann))
    mfa.unenrol(context, asking(ann), app.factor_id)
    assert [] == kept(context, ann)


def test_an_administrator_removes_a_factor(context: IdentityContext) -> None:
    app, ann = with_second_factor(context)
    assert (404, "user_not_found") == refusal(lambda: mfa.remove(context, uuid4(), app.factor_id, NOW))
    assert (404, "mfa_factor_not_found") == refusal(lambda: mfa.remove(context, ann.user.id, uuid4(), NOW))
    assert "old" == mfa.rename(context, ann.user.id, app.factor_id, "old", NOW).friendly_name
    other = enrolled(context, ann, "new")
    assert (422, "mfa_factor_name_conflict") == refusal(
        lambda: mfa.rename(context, ann.user.id, other.factor_id, "old", NOW)
    )
    assert (400, "validation_failed") == refusal(lambda: mfa.rename(context, ann.user.id, other.factor_id, "\0", NOW))
    assert app.factor_id == mfa.remove(context, ann.user.id, app.factor_id, NOW).id
    assert ("aal1", ["password"]) == level(context, ann.session.id)


def test_password_and_address_change_at_aal2_only(context: IdentityContext) -> None:
    _, ann = with_second_factor(context)
    low = again(context)

    def change(signed_in: SignedIn, wishes: user.Wishes) -> object:
        current = admin.get(context, signed_in.user.id).user
        return user.update(context, current, signed_in.session.id, wishes, HOME, NOW)

    for wishes in (user.Wishes(password="nine dry stones"), user.Wishes(email="new@example.org")):
        assert (401, "insufficient_aal") == refusal(lambda wishes=wishes: change(low, wishes))  # type: ignore[misc]
        change(ann, wishes)
    assert level(context, low.session.id) is None, "a new password ends other sessions"
    change(again_with(context, "nine dry stones"), user.Wishes(data={"colour": "red"}))


def test_a_factor_of_somebody_else_is_unknown(context: IdentityContext) -> None:
    app, _ = with_second_factor(context)
    bob = signed_up(context, "bob@example.org")
    for work in (
        lambda: mfa.challenge(context, asking(bob), app.factor_id),
        lambda: mfa.verify(context, asking(bob), app.factor_id, uuid4(), "000000"),
        lambda: mfa.unenrol(context, asking(bob), app.factor_id),
    ):
        assert (404, "mfa_factor_not_found") == refusal(work)


def test_who_has_no_session_or_no_name_has_no_factor(context: IdentityContext) -> None:
    ann = signed_up(context)
    bob = signed_up(context, "bob@example.org")

    def enrol(asks: Asking) -> tuple[int, str]:
        return refusal(lambda: mfa.enrol(context, asks, mfa.Wish("totp")))

    assert (403, "session_not_found") == enrol(Asking(ann.user.id, None, HOME, NOW))
    assert (403, "session_not_found") == enrol(Asking(ann.user.id, bob.session.id, HOME, NOW))
    assert (403, "user_not_found") == enrol(Asking(uuid4(), None, HOME, NOW))
    users = OWN_TABLES["portero_users"]
    with context.database.writing() as connection:
        connection.execute(sa.update(users).where(users.c.id == ann.user.id).values(is_anonymous=True))
    assert (403, "no_authorization") == enrol(asking(ann))


def test_no_secret_stands_in_the_database_or_in_a_representation(context: IdentityContext) -> None:
    ann = signed_up(context)
    made = mfa.enrol(context, asking(ann), mfa.Wish("totp"))
    assert made.secret not in repr(made)
    with context.database.reading() as connection:
        (factor,) = factors.of_user(connection, ann.user.id)
        written = [str(row) for row in connection.execute(sa.select(OWN_TABLES["portero_audit"]))]
    assert made.secret.encode() not in (factor.sealed_secret or b"")
    assert not [line for line in written if made.secret in line]
