"""What users change about themselves (contract auth.md §1.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.identity.people import ELSEWHERE, HOME, NOW, PASSWORD, happenings, signed_up, with_settings

from portero.crypto.passwords import Passwords
from portero.errors import AuthError
from portero.identity import admin, sign_in, user
from portero.identity.context import Account, IdentityContext, SignedIn
from portero.identity.user import Wishes
from portero.store import sessions

OTHER = "eight dry stones"
LATER = NOW + timedelta(hours=1)


def changed(context: IdentityContext, who: SignedIn, **wishes: Any) -> Account:
    return user.update(context, who.user, who.session.id, Wishes(**wishes), HOME, LATER)


def refusal(context: IdentityContext, who: SignedIn, **wishes: Any) -> tuple[int, str]:
    with pytest.raises(AuthError) as caught:
        changed(context, who, **wishes)
    return caught.value.status, caught.value.code


def test_data_is_merged_and_null_takes_away(any_context: IdentityContext) -> None:
    ann = signed_up(any_context)
    changed(any_context, ann, data={"colour": "red", "size": {"a": [1, None]}})
    found = changed(any_context, ann, data={"colour": None, "name": "Ann"}).user
    assert {"a": [1, None]} == found.user_metadata["size"]
    assert "Ann" == found.user_metadata["name"]
    assert "colour" not in found.user_metadata
    assert LATER == found.updated_at


def test_a_new_password_ends_every_other_session_and_keeps_this_one(any_context: IdentityContext) -> None:
    """Threats SE-06: whoever came in with the old password is out, at once."""
    ann = signed_up(any_context)
    thief = sign_in.with_password(any_context, "ann@example.org", PASSWORD, ELSEWHERE, NOW)
    changed(any_context, ann, password=OTHER)
    with any_context.database.reading() as connection:
        standing = [sessions.is_standing(connection, each.session.id, LATER) for each in (ann, thief)]
    assert [True, False] == standing
    assert {"password_changed", "session_ended", "user_updated"} & set(happenings(any_context)) == {
        "password_changed",
        "session_ended",
    }
    with pytest.raises(AuthError):
        sign_in.with_password(any_context, "ann@example.org", PASSWORD, HOME, LATER)
    assert ann.user.id == sign_in.with_password(any_context, "ann@example.org", OTHER, HOME, LATER).user.id


@pytest.mark.parametrize(
    ("expected", "wishes"),
    [
        ((422, "weak_password"), {"password": ""}),
        ((422, "weak_password"), {"password": "password1"}),
        ((422, "same_password"), {"password": PASSWORD}),
        ((400, "validation_failed"), {"password": "x" * 1025}),
        ((400, "validation_failed"), {"email": "nobody"}),
        ((422, "email_exists"), {"email": "BOB@example.org"}),
        ((403, "not_admin"), {"app_metadata": {"admin": True}}),
        ((400, "phone_provider_disabled"), {"phone": "15550100"}),
        ((400, "current_password_invalid"), {"password": OTHER, "current_password": "wrong"}),
    ],
)
def test_what_is_refused_and_with_which_code(
    context: IdentityContext, expected: tuple[int, str], wishes: dict[str, Any]
) -> None:
    """Threats CR-20, CR-26: a refusal changes nothing."""
    ann = signed_up(context)
    signed_up(context, "bob@example.org")
    before = admin.get(context, ann.user.id)
    assert expected == refusal(context, ann, **wishes)
    assert before == admin.get(context, ann.user.id)


def test_a_right_current_password_is_taken(context: IdentityContext) -> None:
    ann = signed_up(context)
    assert changed(context, ann, password=OTHER, current_password=PASSWORD).user.password_hash


def test_a_user_without_a_password_sets_one(context: IdentityContext) -> None:
    made = admin.create(context, admin.NewUser(email="ann@example.org"), NOW)
    account = user.update(context, made.user, None, Wishes(password=OTHER), HOME, NOW)
    assert account.user.password_hash is not None


def test_a_new_address_waits_until_it_is_verified(any_context: IdentityContext) -> None:
    """The verified address stays the user's, for signing in too, until the new one is proved."""
    ann = signed_up(any_context)
    found = changed(any_context, ann, email="New@example.org").user
    assert ("ann@example.org", "new@example.org", LATER) == (
        found.email,
        found.email_change,
        found.email_change_sent_at,
    )
    with pytest.raises(AuthError):
        sign_in.with_password(any_context, "new@example.org", PASSWORD, HOME, LATER)


def test_the_address_one_has_is_no_change(context: IdentityContext) -> None:
    ann = signed_up(context)
    assert changed(context, ann, email="ANN@example.org").user.email_change is None
    assert "user_updated" not in happenings(context)


def test_of_two_changes_of_a_password_the_one_that_was_judged_first_wins(context: IdentityContext) -> None:
    """The second was compared with a password that is no more."""
    ann = signed_up(context)
    changed(context, ann, password=OTHER)
    assert (409, "conflict") == refusal(context, ann, password="nine old stones")


def test_a_user_who_is_deleted_meanwhile_is_not_found(context: IdentityContext) -> None:
    ann = signed_up(context)
    admin.delete(context, ann.user.id, NOW)
    assert (403, "user_not_found") == refusal(context, ann, data={})


def test_changes_are_counted_per_user(context: IdentityContext) -> None:
    limited = with_settings(context, throttle_update=1)
    ann = signed_up(limited)
    changed(limited, ann, data={})
    assert (429, "over_request_rate_limit") == refusal(limited, ann, data={})


def test_composed_and_decomposed_letters_are_one_password(context: IdentityContext) -> None:
    """Threats CR-13, CR-14, CR-15: one normal form; nothing is cut, folded or trimmed."""
    composed, decomposed = "caf\u00e9 noir stones", "cafe\u0301 noir stones"
    hashes = Passwords(1, time_cost=1, memory_cost=8)
    stored = hashes.hash(composed)
    assert hashes.verify(decomposed, stored)
    for other in (composed.upper(), composed + " ", composed[:-1], composed + "\0"):
        assert not hashes.verify(other, stored)
