"""The present password that a change of it asks for (auth.md §1.3; threats CR-20)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.identity.people import ELSEWHERE, HOME, NOW, PASSWORD, context_on, signed_up, with_settings
from tests.identity.second_factors import enrolled, verified

from portero.errors import AuthError
from portero.identity import admin, recovery, sign_in, user, verification
from portero.identity.context import Caller, IdentityContext, SignedIn
from portero.identity.user import Wishes
from portero.store.engine import Database
from portero.testing import mail_box

OTHER = "eight dry stones"
REQUIRED = (400, "current_password_required")
WRONG = (400, "current_password_invalid")
THROTTLED = (429, "over_request_rate_limit")


@pytest.fixture
def strict(database: Database) -> IdentityContext:
    """A context that demands the present password, on each kind of database."""
    return context_on(database, require_current_password=True, throttle_update=0)


def outcome(
    context: IdentityContext, who: SignedIn, current: str | None, caller: Caller = HOME, seconds: int = 0
) -> tuple[int, str] | str:
    """Change the password, and return the refusal or "changed"."""
    present = admin.get(context, who.user.id).user
    wishes = Wishes(password=OTHER, current_password=current)
    try:
        user.update(context, present, who.session.id, wishes, caller, NOW + timedelta(seconds=seconds))
    except AuthError as refusal:
        return refusal.status, refusal.code
    return "changed"


def test_it_is_demanded_and_looked_at(strict: IdentityContext) -> None:
    ann = signed_up(strict)
    assert [REQUIRED, WRONG, WRONG] == [outcome(strict, ann, given) for given in (None, "wrong", "")]
    assert "changed" == outcome(strict, ann, PASSWORD)


def test_a_second_factor_is_no_password(strict: IdentityContext) -> None:
    ann = signed_up(strict)
    raised = verified(strict, ann, enrolled(strict, ann))
    assert REQUIRED == outcome(strict, raised, None)


def test_who_lacks_the_second_factor_does_not_learn_whether_a_guess_is_right(strict: IdentityContext) -> None:
    ann = signed_up(strict)
    verified(strict, ann, enrolled(strict, ann))
    low = sign_in.with_password(strict, "ann@example.org", PASSWORD, HOME, NOW)
    assert [(401, "insufficient_aal")] * 2 == [outcome(strict, low, given) for given in ("wrong", PASSWORD)]
    same = Wishes(password=PASSWORD)
    with pytest.raises(AuthError, match="insufficient_aal"):
        user.update(strict, low.user, low.session.id, same, HOME, NOW)


def test_who_came_by_a_mailed_link_may_have_forgotten_it(strict: IdentityContext) -> None:
    context = with_settings(strict, dev=True)
    signed_up(context)
    recovery.recover(context, recovery.Asked(email="ann@example.org"), HOME, NOW)
    came = verification.by_link(context, "recovery", mail_box(context)[-1].token_hash, HOME, NOW)
    assert isinstance(came, SignedIn)
    assert "changed" == outcome(context, came, None)


def test_who_has_no_password_is_asked_for_none(strict: IdentityContext) -> None:
    made = admin.create(strict, admin.NewUser(email="ann@example.org"), NOW)
    assert user.update(strict, made.user, None, Wishes(password=OTHER), HOME, NOW).user.password_hash is not None


def test_a_token_without_a_session_is_no_reason_not_to_ask(strict: IdentityContext) -> None:
    ann = signed_up(strict)
    with pytest.raises(AuthError, match="current_password_required"):
        user.update(strict, ann.user, None, Wishes(password=OTHER), HOME, NOW)


def test_other_changes_ask_for_no_password(strict: IdentityContext) -> None:
    ann = signed_up(strict)
    assert user.update(strict, ann.user, ann.session.id, Wishes(data={"colour": "red"}), HOME, NOW).user


def test_guessing_it_waits_like_guessing_at_a_sign_in(strict: IdentityContext) -> None:
    """Five tries are free at a network that nobody signed in from; a sixth waits, right or wrong."""
    ann = signed_up(strict)
    assert [WRONG] * 5 == [outcome(strict, ann, f"guess {number}", ELSEWHERE) for number in range(5)]
    assert THROTTLED == outcome(strict, ann, PASSWORD, ELSEWHERE)
    with pytest.raises(AuthError, match="over_request_rate_limit"):
        sign_in.with_password(strict, "ann@example.org", PASSWORD, ELSEWHERE, NOW)
    assert "changed" == outcome(strict, ann, PASSWORD, HOME)


def test_a_right_one_ends_the_wait_as_a_sign_in_does(strict: IdentityContext) -> None:
    ann = signed_up(strict)
    for number in range(5):
        outcome(strict, ann, f"guess {number}", ELSEWHERE)
    assert "changed" == outcome(strict, ann, PASSWORD, ELSEWHERE, seconds=2)
    assert sign_in.with_password(strict, "ann@example.org", OTHER, ELSEWHERE, NOW + timedelta(seconds=3))


def test_a_very_long_one_is_wrong_without_any_work(strict: IdentityContext) -> None:
    """Threats CR-16."""
    assert WRONG == outcome(strict, signed_up(strict), "x" * 5000)


def test_a_new_password_that_fails_for_another_reason_tells_no_guess(database: Database) -> None:
    """Threats CR-20: a taken address would undo the change, and "this is the one you have" would tell the password."""
    context = context_on(database, throttle_update=0)
    ann = signed_up(context)
    signed_up(context, "bob@example.org")
    assert [(422, "email_exists")] * 2 == [
        refused(context, ann, guess, email="bob@example.org") for guess in (PASSWORD, OTHER)
    ]


def test_guesses_by_new_passwords_are_counted_like_sign_ins(database: Database) -> None:
    """Threats CR-20: one mail a minute undoes a change too; so five are compared, and then whoever guesses waits."""
    context = context_on(database, throttle_update=0, dev=True)
    ann = signed_up(context)
    present = admin.get(context, ann.user.id).user
    user.update(context, present, ann.session.id, Wishes(email="one@example.org"), ELSEWHERE, NOW)
    found = [
        refused(context, ann, f"eight guessed stones {number}", email="two@example.org", caller=ELSEWHERE)
        for number in range(6)
    ]
    assert [(429, "over_email_send_rate_limit")] * 5 + [THROTTLED] == found
    assert THROTTLED == refused(context, ann, PASSWORD, email="two@example.org", caller=ELSEWHERE)
    assert "changed" == outcome(context, ann, None, HOME), "where she signed in from she does not wait"


def refused(
    context: IdentityContext, who: SignedIn, password: str, *, email: str, caller: Caller = HOME
) -> tuple[int, str]:
    """Ask for a new password and address together."""
    present = admin.get(context, who.user.id).user
    with pytest.raises(AuthError) as caught:
        user.update(context, present, who.session.id, Wishes(password=password, email=email), caller, NOW)
    return caught.value.status, caught.value.code


def test_who_has_not_shown_the_second_factor_is_told_nothing_of_the_password(context: IdentityContext) -> None:
    """The contract's order: the assurance level first."""
    ann = signed_up(context)
    verified(context, ann, enrolled(context, ann))
    low = sign_in.with_password(context, "ann@example.org", PASSWORD, HOME, NOW)
    assert [(401, "insufficient_aal")] * 2 == [
        refused(context, low, guess, email="new@example.org") for guess in (PASSWORD, OTHER)
    ]
