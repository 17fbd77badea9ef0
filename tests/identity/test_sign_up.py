"""Signing up: who becomes a user, and what is said to whom does not (contract auth.md §1.2)."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from tests.identity.people import HOME, NOW, PASSWORD, happenings, signed_up, with_settings

from portero.errors import AuthError
from portero.identity import sign_up
from portero.identity.context import IdentityContext
from portero.identity.sign_up import Form
from portero.store.tables import User

CHALLENGE = "a" * 43


def refusal(context: IdentityContext, form: Form) -> tuple[int, str]:
    with pytest.raises(AuthError) as caught:
        sign_up.with_password(context, form, HOME, NOW)
    return caught.value.status, caught.value.code


def test_a_new_user_is_confirmed_signed_in_and_in_the_audit(any_context: IdentityContext) -> None:
    found = signed_up(any_context, "Ann@Example.org")
    assert "ann@example.org" == found.user.email
    assert NOW == found.user.email_confirmed_at == found.user.last_sign_in_at
    assert {"provider": "email", "providers": ["email"]} == found.user.app_metadata
    assert [{"method": "password", "timestamp": int(NOW.timestamp())}] == list(found.session.amr)
    assert 3600 == found.expires_in
    assert ["signed_in", "user_created"] == happenings(any_context)


def test_an_address_that_nobody_verified_does_not_count_for_linking(context: IdentityContext) -> None:
    """The user may sign in; the identity says that the address was never proved (docs/decisions/0008-sign-in.md)."""
    (identity,) = signed_up(context).account.identities
    assert False is identity.identity_data["email_verified"]


@pytest.mark.parametrize(
    ("expected", "form"),
    [
        ((422, "anonymous_provider_disabled"), Form()),
        ((422, "anonymous_provider_disabled"), Form(password=PASSWORD)),
        ((400, "validation_failed"), Form(email="a@b.org")),
        ((400, "validation_failed"), Form(email="a@b.org", password="")),
        ((422, "weak_password"), Form(email="a@b.org", password="short")),
        ((422, "weak_password"), Form(email="no address", password="password1")),
        ((400, "validation_failed"), Form(email="a@b.org", password="x" * 1025)),
        ((400, "validation_failed"), Form(email="a@b.org", phone="1", password=PASSWORD)),
        ((400, "phone_provider_disabled"), Form(phone="15550100", password=PASSWORD)),
        ((400, "validation_failed"), Form(email="a@b.org", password=PASSWORD, code_challenge=CHALLENGE)),
        ((400, "validation_failed"), Form(email="a@b.org", password=PASSWORD, code_challenge_method="s256")),
        (
            (400, "validation_failed"),
            Form(email="a@b.org", password=PASSWORD, code_challenge="short", code_challenge_method="s256"),
        ),
        (
            (400, "validation_failed"),
            Form(email="a@b.org", password=PASSWORD, code_challenge=CHALLENGE, code_challenge_method="md5"),
        ),
        (
            (400, "validation_failed"),
            Form(phone="1", password=PASSWORD, code_challenge=CHALLENGE, code_challenge_method="s256"),
        ),
        ((400, "validation_failed"), Form(email="a@x.org\r\nBcc: v@y", password=PASSWORD)),
        ((400, "validation_failed"), Form(email='"a b"@x', password=PASSWORD)),
        ((400, "validation_failed"), Form(email="a@b@c.org", password=PASSWORD)),
        ((400, "validation_failed"), Form(email="a" * 400 + "@b.org", password=PASSWORD)),
        ((400, "validation_failed"), Form(email="\u212aelvin@b.org", password=PASSWORD)),
    ],
)
def test_what_is_refused_and_with_which_code(context: IdentityContext, expected: tuple[int, str], form: Form) -> None:
    """Threats CR-11, CR-16, CR-23: nothing of it makes a user."""
    assert expected == refusal(context, form)
    assert [] == happenings(context)


def test_where_sign_ups_are_off_that_is_said_first(context: IdentityContext) -> None:
    closed = with_settings(context, disable_signup=True)
    assert (422, "signup_disabled") == refusal(closed, Form())


def test_a_pkce_pair_in_any_case_does_no_harm(context: IdentityContext) -> None:
    form = Form(email="a@b.org", password=PASSWORD, code_challenge=CHALLENGE, code_challenge_method="S256")
    assert "a@b.org" == sign_up.with_password(context, form, HOME, NOW).user.email


def test_an_address_that_is_taken_says_so_in_any_case_of_letters(any_context: IdentityContext) -> None:
    signed_up(any_context)
    assert (422, "user_already_exists") == refusal(any_context, Form(email="ANN@example.org", password=PASSWORD))


def test_what_the_caller_writes_about_verification_is_overwritten(context: IdentityContext) -> None:
    """Threats CR-25: metadata is the caller's, its facts about the address are ours."""
    form = Form(email="a@b.org", password=PASSWORD, data={"sub": "root", "phone_verified": True, "colour": "red"})
    found = sign_up.with_password(context, form, HOME, NOW).user
    facts = {"sub": str(found.id), "email": "a@b.org", "email_verified": True, "phone_verified": False}
    assert facts | {"colour": "red"} == found.user_metadata


def test_a_hundred_sign_ups_with_one_address_make_one_user(any_context: IdentityContext) -> None:
    """Threats CR-22: the unique index decides; the others are told that the user exists."""
    context = with_settings(any_context, throttle_sign_up=0)
    outcomes: list[str] = []
    start = threading.Barrier(20)

    def sign_up_five_times() -> None:
        start.wait()
        for number in range(5):
            try:
                signed_up(context, "ann@example.org" if number % 2 else "ANN@example.org")
                outcomes.append("made")
            except AuthError as error:
                outcomes.append(error.code)

    threads = [threading.Thread(target=sign_up_five_times) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == outcomes.count("made")
    assert 99 == outcomes.count("user_already_exists")
    with context.database.reading() as connection:
        assert 1 == connection.execute(sa.select(sa.func.count()).select_from(User)).scalar_one()


def test_one_address_signs_up_so_many_users_a_minute(context: IdentityContext) -> None:
    """Threats CR-07: counted before a password is hashed; another network is not concerned."""
    limited = with_settings(context, throttle_sign_up=2)
    for number in range(2):
        signed_up(limited, f"a{number}@example.org")
    with pytest.raises(AuthError) as caught:
        signed_up(limited, "a2@example.org")
    assert (429, "over_request_rate_limit", 60) == (caught.value.status, caught.value.code, caught.value.retry_after)
