"""Recovery codes: each is good once, none without another factor (contract auth.md §1.4; threats MF-07, MF-08)."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.at_once import MANY, at_once
from tests.identity.people import ELSEWHERE, HOME, NOW, PASSWORD, happenings, signed_up, with_settings
from tests.identity.second_factors import asking, with_second_factor
from tests.identity.test_mfa import level, refusal

from portero.errors import AuthError
from portero.identity import admin, recovery_codes, sign_in
from portero.identity.context import Caller, IdentityContext, SignedIn


def again(context: IdentityContext, caller: Caller = HOME) -> SignedIn:
    return sign_in.with_password(context, "ann@example.org", PASSWORD, caller, NOW)


def remaining(context: IdentityContext, signed_in: SignedIn) -> tuple[int, int]:
    found = recovery_codes.status(context, admin.get(context, signed_in.user.id).factors)
    return found.total, found.remaining


def outcome_of(context: IdentityContext, signed_in: SignedIn, code: str) -> str:
    try:
        return recovery_codes.verify(context, asking(signed_in), code).session.aal
    except AuthError as error:
        return error.code


def test_a_code_raises_a_session_once(any_context: IdentityContext) -> None:
    """Threats MF-07."""
    _, ann = with_second_factor(any_context)
    code, *others = recovery_codes.generate(any_context, asking(ann)).codes
    low = again(any_context)
    assert "aal2" == outcome_of(any_context, low, f" {code[:8].upper()}-{code[8:]} ")
    assert ("aal2", ["mfa/recovery_code", "password"]) == level(any_context, low.session.id)
    assert "mfa_verification_failed" == outcome_of(any_context, low, code)
    assert (10, 9) == remaining(any_context, ann)
    assert 9 == len(others)


def test_of_twenty_uses_of_one_code_one_is_good(any_context: IdentityContext) -> None:
    """Threats MF-08."""
    context = with_settings(any_context, throttle_mfa=0)
    _, ann = with_second_factor(context)
    code = recovery_codes.generate(context, asking(ann)).codes[0]
    low = again(context)
    outcomes = Counter(at_once(lambda _: outcome_of(context, low, code)))
    assert {"aal2": 1, "mfa_verification_failed": MANY - 1} == outcomes


def test_new_codes_end_the_former_ones_and_the_lock(context: IdentityContext) -> None:
    context = with_settings(context, throttle_mfa=0)
    _, ann = with_second_factor(context)
    made = recovery_codes.generate(context, asking(ann), "in the safe")
    assert {"mfa_verification_failed"} == {outcome_of(context, ann, "0" * 16) for _ in range(20)}
    assert "mfa_recovery_codes_locked" == outcome_of(context, ann, made.codes[0])
    anew = recovery_codes.regenerate(context, asking(ann))
    assert (made.factor.id, "in the safe") == (anew.factor.id, anew.factor.friendly_name)
    assert not set(made.codes) & set(anew.codes)
    assert "mfa_verification_failed" == outcome_of(context, ann, made.codes[0])
    assert "aal2" == outcome_of(context, ann, anew.codes[0])
    assert 2 == Counter(happenings(context))["recovery_codes_created"]


def test_the_lock_says_when_to_come_back_and_leaves_the_owner_in(context: IdentityContext) -> None:
    context = with_settings(context, throttle_mfa=0)
    _, ann = with_second_factor(context)
    codes = recovery_codes.generate(context, asking(ann)).codes
    thief = again(context, ELSEWHERE)
    for _ in range(20):
        with pytest.raises(AuthError, match="mfa_verification_failed"):
            recovery_codes.verify(context, asking(thief, caller=ELSEWHERE), "guess")
    with pytest.raises(AuthError) as caught:
        recovery_codes.verify(context, asking(thief, caller=ELSEWHERE), codes[0])
    assert (429, "mfa_recovery_codes_locked") == (caught.value.status, caught.value.code)
    assert 3600 == caught.value.retry_after
    assert "aal2" == outcome_of(context, ann, codes[0])


def test_codes_need_another_factor_and_aal2(context: IdentityContext) -> None:
    bob = signed_up(context, "bob@example.org")
    assert (422, "mfa_recovery_codes_sole_factor") == refusal(lambda: recovery_codes.generate(context, asking(bob)))
    _, ann = with_second_factor(context)
    low = again(context)
    assert (403, "insufficient_aal") == refusal(lambda: recovery_codes.generate(context, asking(low)))
    assert (422, "mfa_factor_name_conflict") == refusal(lambda: recovery_codes.generate(context, asking(ann), "app"))
    recovery_codes.generate(context, asking(ann))
    assert (422, "mfa_verified_factor_exists") == refusal(lambda: recovery_codes.generate(context, asking(ann), "x"))
    assert (403, "insufficient_aal") == refusal(lambda: recovery_codes.regenerate(context, asking(low)))
    assert (403, "insufficient_aal") == refusal(lambda: recovery_codes.remove(context, asking(low)))


def test_removed_codes_are_unknown_and_sessions_they_raised_fall_back(context: IdentityContext) -> None:
    _, ann = with_second_factor(context)
    code = recovery_codes.generate(context, asking(ann)).codes[0]
    low = again(context)
    recovery_codes.verify(context, asking(low), code)
    recovery_codes.remove(context, asking(ann))
    assert ("aal1", ["password"]) == level(context, low.session.id)
    assert ("aal2", ["totp", "password"]) == level(context, ann.session.id)
    for work in (
        lambda: remaining(context, ann),
        lambda: recovery_codes.verify(context, asking(ann), code),
        lambda: recovery_codes.regenerate(context, asking(ann)),
        lambda: recovery_codes.remove(context, asking(ann)),
    ):
        assert (404, "mfa_factor_not_found") == refusal(work)


def test_codes_of_one_user_are_nothing_to_another(context: IdentityContext) -> None:
    _, ann = with_second_factor(context)
    _, bob = with_second_factor(context, "bob@example.org")
    code = recovery_codes.generate(context, asking(ann)).codes[0]
    recovery_codes.generate(context, asking(bob))
    assert "mfa_verification_failed" == outcome_of(context, bob, code)
    assert (10, 10) == remaining(context, ann)


def test_no_code_stands_in_a_representation(context: IdentityContext) -> None:
    _, ann = with_second_factor(context)
    made = recovery_codes.generate(context, asking(ann))
    assert not [code for code in made.codes if code in repr(made)]


def test_too_many_requests_a_minute_are_told_to_come_back(context: IdentityContext) -> None:
    _, ann = with_second_factor(context)
    recovery_codes.generate(context, asking(ann))
    outcomes = [outcome_of(context, ann, "guess") for _ in range(16)]
    assert "over_request_rate_limit" == outcomes[-1]
