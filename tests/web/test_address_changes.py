"""Changes that a mail confirms: addresses, passwords by nonce, anonymous users; and mails sent once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from tests.identity.people import HOME, PASSWORD, happenings
from tests.web.callers import Api, code_of, now
from tests.web.conftest import make_api
from tests.web.test_auth import AN_INSTANT
from tests.web.test_mailed_links import CONFIRMING, S256, SITE, VERIFIER, all_at_once, fragment_of, query_of, sign_up

from portero.identity import admin, invitation
from portero.identity.admin import NewUser
from portero.store import users

Make = Callable[..., Api]
BACK = "http://127.0.0.1:3000/me"
HALF = "Confirmation link accepted. Please proceed to confirm link sent to the other email"


@pytest.fixture
def proving(make: Make) -> Api:
    """An application where addresses are proven."""
    return make(**CONFIRMING)


@pytest.fixture
def any_proving(database_url: str) -> Iterator[Api]:
    """The same on each kind of database."""
    api = make_api(database_url, **CONFIRMING)
    yield api
    api.runtime.database.close()


def confirmed(api: Api, email: str = "ann@example.org") -> dict[str, Any]:
    """Sign somebody up, confirm the address, and return a session."""
    sign_up(api, email)
    given = {"type": "signup", "token_hash": api.mails[-1].token_hash}
    body: dict[str, Any] = api.call("POST", "/verify", given).get_json()
    return body


def wished(api: Api, session: dict[str, Any], email: str = "new@example.org", **more: Any) -> dict[str, Any]:
    answer = api.call("PUT", f"/user?redirect_to={BACK}", {"email": email, **more}, token=session["access_token"])
    assert 200 == answer.status_code, answer.get_data(as_text=True)
    body: dict[str, Any] = answer.get_json()
    return body


@pytest.mark.parametrize("order", [("old", "new"), ("new", "old")])
def test_an_address_changes_when_both_halves_are_proven_in_either_order(
    any_proving: Api, order: tuple[str, str]
) -> None:
    """Threats MF-19: until then the old address signs in and the new one does not."""
    api = any_proving
    session = confirmed(api)
    user = wished(api, session)
    assert ("ann@example.org", "new@example.org", AN_INSTANT) == (
        user["email"], user["new_email"], user["email_change_sent_at"],
    )  # fmt: skip
    sent = {mail.to: mail for mail in api.mails if mail.kind == "email_change"}
    links = {"old": sent["ann@example.org"].link, "new": sent["new@example.org"].link}
    first = api.follow(links[order[0]]).headers["Location"]
    assert (BACK, {"message": HALF, "sb": ""}) == (first.partition("#")[0], fragment_of(first))
    assert 400 == api.sign_in("new@example.org").status_code
    assert 200 == api.sign_in().status_code
    again = fragment_of(api.follow(links[order[0]]).headers["Location"])
    assert "otp_expired" == again["error_code"]
    values = fragment_of(api.follow(links[order[1]]).headers["Location"])
    assert "email_change" == values["type"]
    found = api.call("GET", "/user", token=values["access_token"]).get_json()
    assert ("new@example.org", "new@example.org") == (found["email"], found["identities"][0]["email"])
    assert "new_email" not in found
    assert 400 == api.sign_in().status_code
    assert 200 == api.sign_in("new@example.org").status_code
    assert "email_changed" in happenings(api.context)


def test_the_halves_can_be_typed_and_the_first_says_so(proving: Api) -> None:
    wished(proving, confirmed(proving))
    sent = {mail.to: mail for mail in proving.mails if mail.kind == "email_change"}
    given = [
        {"type": "email_change", "email": to, "token": sent[to].code} for to in ("new@example.org", "ann@example.org")
    ]
    half = proving.call("POST", "/verify", given[0])
    assert (200, {"msg": HALF, "code": "200"}) == (half.status_code, half.get_json())
    whole = proving.call("POST", "/verify", given[1])
    assert "new@example.org" == whole.get_json()["user"]["email"]


def test_both_halves_at_one_time_make_one_change(any_proving: Api) -> None:
    api = any_proving
    wished(api, confirmed(api))
    hashes = [mail.token_hash for mail in api.mails if mail.kind == "email_change"] * 10

    def spend() -> int:
        return api.call("POST", "/verify", {"type": "email_change", "token_hash": hashes.pop()}).status_code

    assert [200] * 2 + [403] * 18 == sorted(all_at_once(20, spend))
    assert 1 == happenings(api.context).count("email_changed")


def test_a_link_for_one_address_does_not_confirm_another(proving: Api) -> None:
    """Threats MF-20: a newer wish voids the older one's links."""
    session = confirmed(proving)
    wished(proving, session, "one@example.org")
    one = next(mail for mail in proving.mails if mail.to == "one@example.org")
    soon = proving.call("PUT", "/user", {"email": "two@example.org"}, token=session["access_token"])
    assert (429, "over_email_send_rate_limit") == code_of(soon)
    proving.let_a_minute_pass()
    wished(proving, session, "two@example.org")
    assert "otp_expired" == fragment_of(proving.follow(one.link).headers["Location"])["error_code"]


def test_a_half_that_was_proven_does_not_speak_for_a_later_wish(proving: Api) -> None:
    """Also where the later one could not be mailed, so that nothing took the place of the proof."""
    session = confirmed(proving)
    wished(proving, session)
    sent = {mail.to: mail for mail in proving.mails if mail.kind == "email_change"}
    proving.follow(sent["new@example.org"].link)
    with proving.context.database.writing() as connection:
        users.update(connection, UUID(session["user"]["id"]), now(), email_change="victim@example.org")
    proving.follow(sent["ann@example.org"].link)
    assert "ann@example.org" == proving.call("GET", "/user", token=session["access_token"]).get_json()["email"]


def test_an_address_that_was_taken_meanwhile_is_refused(proving: Api) -> None:
    session = confirmed(proving)
    wished(proving, session)
    sent = [mail for mail in proving.mails if mail.kind == "email_change"]
    admin.create(proving.context, NewUser(email="new@example.org"), now())
    proving.follow(sent[0].link)
    assert "email_exists" == fragment_of(proving.follow(sent[1].link).headers["Location"])["error_code"]
    taken = proving.call("PUT", "/user", {"email": "new@example.org"}, token=session["access_token"])
    assert (422, "email_exists") == code_of(taken)


def test_an_address_that_nobody_proved_has_no_say(api: Api) -> None:
    """A sign-up that confirmed itself: the new address alone decides, and does decide (threats MF-19)."""
    session = api.sign_up()
    wished(api, session)
    (mail,) = api.mails
    assert "new@example.org" == mail.to
    assert 400 == api.sign_in("new@example.org").status_code
    api.follow(mail.link)
    assert 200 == api.sign_in("new@example.org").status_code


def test_a_pkce_change_gives_its_code_with_the_second_half(proving: Api) -> None:
    wished(proving, confirmed(proving), **S256)
    first, second = (mail for mail in proving.mails if mail.kind == "email_change")
    half = proving.follow(first.link).headers["Location"]
    assert {"message": HALF} == query_of(half)
    code = query_of(proving.follow(second.link).headers["Location"])["code"]
    exchange = {"auth_code": code, "code_verifier": VERIFIER}
    answer = proving.call("POST", "/token?grant_type=pkce", exchange)
    assert "new@example.org" == answer.get_json()["user"]["email"]


def test_what_is_pending_is_mailed_once_more_and_nothing_else_is_said(proving: Api) -> None:
    sign_up(proving)
    first = proving.mails[0]
    for kind, email in (("signup", "ann@example.org"), ("signup", "nobody@b.org"), ("email_change", "ann@example.org")):
        for _ in range(2):
            answer = proving.call("POST", "/resend", {"type": kind, "email": email})
            assert (200, {}) == (answer.status_code, answer.get_json())
    assert ["confirmation", "confirmation"] == [mail.kind for mail in proving.mails]
    assert "otp_expired" == fragment_of(proving.follow(first.link).headers["Location"])["error_code"]
    session = fragment_of(proving.follow(proving.mails[1].link).headers["Location"])
    wished(proving, session)
    proving.let_a_minute_pass()
    proving.call("POST", "/resend", {"type": "email_change", "email": "ann@example.org"})
    both = ["ann@example.org", "new@example.org"]
    assert [both, both] == [sorted(mail.to for mail in proving.mails[first:][:2]) for first in (2, 4)]


def test_an_old_session_changes_the_password_with_a_nonce_only(make: Make) -> None:
    """Threats SE-17, where the setting asks for it."""
    api = make(**CONFIRMING, reauthenticate_after=1)
    session = confirmed(api)
    with api.context.database.writing() as connection:
        connection.exec_driver_sql("UPDATE portero_sessions SET created_at = '2020-01-01 00:00:00.000000'")
    token, wish = session["access_token"], {"password": "eight dry stones"}
    assert (400, "reauthentication_needed") == code_of(api.call("PUT", "/user", wish, token=token))
    assert (200, b"") == (api.call("HEAD", "/reauthenticate", token=token).status_code, b"")
    answer = api.call("GET", "/reauthenticate", token=token)
    assert (200, {}) == (answer.status_code, answer.get_json())
    assert (429, "over_email_send_rate_limit") == code_of(api.call("GET", "/reauthenticate", token=token))
    mail = api.mails[-1]
    assert ("reauthentication", "", f"Your code is {mail.code}") == (mail.kind, mail.link, mail.subject)
    wrong = {**wish, "nonce": f"{(int(mail.code) + 1) % 10**6:06d}"}
    assert (422, "reauthentication_not_valid") == code_of(api.call("PUT", "/user", wrong, token=token))
    right = {**wish, "nonce": mail.code}
    assert 200 == api.call("PUT", "/user", right, token=token).status_code
    again = {"password": "nine grey stones", "nonce": mail.code}
    assert (422, "reauthentication_not_valid") == code_of(api.call("PUT", "/user", again, token=token))


def test_of_twenty_uses_of_one_nonce_one_passes(any_proving: Api) -> None:
    session = confirmed(any_proving)
    any_proving.call("GET", "/reauthenticate", token=session["access_token"])
    code = any_proving.mails[-1].code
    numbers = list(range(20))

    def change() -> int:
        wish = {"password": f"stones by the dozen {numbers.pop()}", "nonce": code}
        return any_proving.call("PUT", "/user", wish, token=session["access_token"]).status_code

    assert 1 == all_at_once(20, change).count(200)


def test_a_new_password_voids_what_was_mailed(proving: Api) -> None:
    session = confirmed(proving)
    proving.call("POST", "/recover", {"email": "ann@example.org"})
    mail = proving.mails[-1]
    proving.call("PUT", "/user", {"password": "eight dry stones"}, token=session["access_token"])
    location = proving.follow(mail.link).headers["Location"]
    assert "otp_expired" == fragment_of(location)["error_code"]


def test_an_anonymous_user_becomes_permanent_by_proving_an_address(make: Make) -> None:
    api = make(**CONFIRMING, anonymous_users=True)
    answer = api.call("POST", "/signup", {"data": {"colour": "red"}})
    session = answer.get_json()
    user = session["user"]
    expected = (200, True, "", "", {}, [], {"colour": "red"})
    members = ("is_anonymous", "email", "phone", "app_metadata", "identities", "user_metadata")
    assert expected == (answer.status_code, *(user[name] for name in members))
    token = session["access_token"]
    early = api.call("PUT", "/user", {"password": PASSWORD}, token=token)
    assert (422, "validation_failed") == code_of(early)
    assert (400, "validation_failed") == code_of(api.call("GET", "/reauthenticate", token=token))
    pending = wished(api, session, "ann@example.org")
    assert (True, "", "ann@example.org") == (pending["is_anonymous"], pending["email"], pending["new_email"])
    values = fragment_of(api.follow(api.mails[0].link).headers["Location"])
    found = api.call("GET", "/user", token=values["access_token"]).get_json()
    assert (user["id"], False, "ann@example.org") == (found["id"], found["is_anonymous"], found["email"])
    assert {"provider": "email", "providers": ["email"]} == found["app_metadata"]
    assert [("email", "ann@example.org")] == [(each["provider"], each["email"]) for each in found["identities"]]
    assert 200 == api.call("PUT", "/user", {"password": PASSWORD}, token=values["access_token"]).status_code
    assert 200 == api.sign_in().status_code


def test_where_addresses_confirm_themselves_an_anonymous_user_is_permanent_at_once(make: Make) -> None:
    api = make(anonymous_users=True)
    session = api.call("POST", "/signup", {}).get_json()
    wishes = {"password": PASSWORD, "data": {"size": 1}}
    user = wished(api, session, "ann@example.org", **wishes)
    assert (False, "ann@example.org", 1) == (user["is_anonymous"], user["email"], user["user_metadata"]["size"])
    assert False is user["identities"][0]["identity_data"]["email_verified"]
    assert 200 == api.sign_in().status_code
    assert api.call("GET", "/settings").get_json()["external"]["anonymous_users"] is True


def test_anonymous_users_are_off_unless_they_are_switched_on(make: Make) -> None:
    assert (422, "anonymous_provider_disabled") == code_of(make().call("POST", "/signup", {}))
    closed = make(anonymous_users=True, disable_signup=True)
    assert (422, "signup_disabled") == code_of(closed.call("POST", "/signup", {}))


def test_an_invitation_makes_a_user_who_signs_in_by_its_link(proving: Api) -> None:
    account = invitation.invite(proving.context, "Ann@example.org", {"team": "a"}, f"{SITE}/hi", HOME, now())
    assert account.user.invited_at == account.user.confirmation_sent_at
    mail = proving.mails[0]
    assert ("invite", "invite") == (mail.kind, query_of(mail.link)["type"])
    again = invitation.invite(proving.context, "ann@example.org", {"team": "b"}, SITE, HOME, now())
    assert {"team": "a"}.items() <= dict(again.user.user_metadata).items()
    values = fragment_of(proving.follow(proving.mails[1].link).headers["Location"])
    assert "invite" == values["type"]
    with pytest.raises(Exception, match="email_exists"):
        invitation.invite(proving.context, "ann@example.org", None, SITE, HOME, now())
