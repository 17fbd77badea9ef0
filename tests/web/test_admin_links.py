"""`/invite` and `/admin/generate_link` over HTTP: every kind of link does what it says; what is refused."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.identity.people import PASSWORD
from tests.web.administering import Admin
from tests.web.callers import Api, code_of
from tests.web.conftest import Make
from tests.web.test_admin_users import made_of
from tests.web.test_auth import AN_INSTANT

LINK = {"action_link", "email_otp", "hashed_token", "verification_type", "redirect_to"}


@pytest.fixture
def admin(make: Make) -> Admin:
    return Admin(make(confirm_email="yes"))


@pytest.fixture
def any_admin(any_api: Api) -> Admin:
    return Admin(any_api)


def generated(admin: Admin, **wish: Any) -> dict[str, Any]:
    answer = admin.call("POST", "/admin/generate_link", {"email": "ann@example.org", **wish})
    assert 200 == answer.status_code, answer.get_data(as_text=True)
    found: dict[str, Any] = answer.get_json()
    assert found.keys() >= LINK
    return found


def verified(admin: Admin, kind: str, found: dict[str, Any]) -> dict[str, Any]:
    answer = admin.api.call("POST", "/verify", {"type": kind, "token_hash": found["hashed_token"]})
    assert 200 == answer.status_code, answer.get_data(as_text=True)
    session: dict[str, Any] = answer.get_json()
    return session


def test_an_invited_user_is_answered_and_mailed_and_comes_in(any_admin: Admin) -> None:
    answer = any_admin.call("POST", "/invite", {"email": "Ann@example.org", "data": {"team": 7}})
    user = answer.get_json()
    facts = {"sub": user["id"], "email": "ann@example.org", "email_verified": False, "phone_verified": False}
    expected = made_of("ann@example.org", user["id"], confirmed=False) | {
        "invited_at": AN_INSTANT,
        "confirmation_sent_at": AN_INSTANT,
        "user_metadata": {"team": 7, **facts},
    }
    assert (200, expected) == (answer.status_code, user)
    assert "invite" == any_admin.api.mails[-1].kind
    assert any_admin.happened == ["mail_requested", "user_created"]
    location = any_admin.api.follow(any_admin.api.mails[-1].link).headers["Location"]
    assert ["invite"] == parse_qs(urlsplit(location).fragment)["type"]
    again = any_admin.call("POST", "/invite", {"email": "ann@example.org"})
    assert (422, "email_exists") == code_of(again)


def test_only_administrators_invite_and_make_links(api: Api) -> None:
    """Threats CR-27: credentials for others are an administrator's."""
    token = api.sign_up()["access_token"]
    for path in ("/invite", "/admin/generate_link"):
        assert (403, "not_admin") == code_of(api.call("POST", path, {"email": "b@example.org"}, token=token))
        assert (401, "no_authorization") == code_of(api.call("POST", path, {"email": "b@example.org"}))


def test_a_sign_up_link_confirms_and_keeps_the_password(admin: Admin) -> None:
    found = generated(admin, type="signup", password=PASSWORD, data={"colour": "red"})
    assert ("signup", "red") == (found["verification_type"], found["user_metadata"]["colour"])
    assert (400, "email_not_confirmed") == code_of(admin.api.sign_in())
    assert "ann@example.org" == verified(admin, "signup", found)["user"]["email"]
    assert 200 == admin.api.sign_in().status_code
    assert [] == admin.api.mails


def test_a_sign_up_link_takes_a_former_password_away(admin: Admin) -> None:
    """Threats MF-23: somebody registered the address before the administrator did."""
    admin.api.call("POST", "/signup", {"email": "ann@example.org", "password": "the thief's eight words"})
    verified(admin, "signup", generated(admin, type="signup", password=PASSWORD))
    assert (400, "invalid_credentials") == code_of(admin.api.sign_in(password="the thief's eight words"))
    assert 200 == admin.api.sign_in().status_code


def test_a_magic_link_of_somebody_new_is_a_sign_up(any_admin: Admin) -> None:
    new = generated(any_admin, type="magiclink")
    assert "signup" == new["verification_type"]
    verified(any_admin, "signup", new)
    known = generated(any_admin, type="magiclink")
    assert ("magiclink", new["id"]) == (known["verification_type"], known["id"])
    assert new["id"] == verified(any_admin, "magiclink", known)["user"]["id"]
    used = any_admin.api.call("POST", "/verify", {"type": "magiclink", "token_hash": known["hashed_token"]})
    assert (403, "otp_expired") == code_of(used)


def test_the_link_and_the_code_do_what_the_token_does(admin: Admin) -> None:
    admin.create()
    link = generated(admin, type="recovery", redirect_to="http://127.0.0.1:8000/new-password")
    assert "http://127.0.0.1:8000/new-password" == link["redirect_to"]
    location = admin.api.follow(link["action_link"]).headers["Location"]
    assert location.startswith("http://127.0.0.1:8000/new-password#access_token=")
    code = generated(admin, type="recovery")["email_otp"]
    given = {"type": "recovery", "email": "ann@example.org", "token": code}
    assert 200 == admin.api.call("POST", "/verify", given).status_code
    assert 2 == admin.happened.count("link_generated")


def test_both_halves_of_an_address_change_fit_their_tokens(any_admin: Admin) -> None:
    """The token of the new address is made for the new address."""
    any_admin.create()
    wish = {"new_email": "new@example.org"}
    current = generated(any_admin, type="email_change_current", **wish)
    new = generated(any_admin, type="email_change_new", **wish)
    assert "new@example.org" == new["new_email"]
    half = verified(any_admin, "email_change", current)
    assert "200" == half["code"]
    assert "new@example.org" == verified(any_admin, "email_change", new)["user"]["email"]


def test_an_invitation_may_be_handed_over(any_admin: Admin) -> None:
    found = generated(any_admin, type="invite", data={"team": 7})
    assert AN_INSTANT == found["invited_at"]
    assert found["id"] == generated(any_admin, type="invite")["id"]
    assert found["id"] == verified(any_admin, "invite", generated(any_admin, type="invite"))["user"]["id"]


def test_a_link_goes_on_with_pkce_if_a_challenge_is_given(any_admin: Admin) -> None:
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    found = generated(any_admin, type="magiclink", code_challenge=challenge, code_challenge_method="s256")
    location = any_admin.api.follow(found["action_link"]).headers["Location"]
    code = parse_qs(urlsplit(location).query)["code"][0]
    given = {"auth_code": code, "code_verifier": verifier}
    assert 200 == any_admin.api.call("POST", "/token?grant_type=pkce", given).status_code
