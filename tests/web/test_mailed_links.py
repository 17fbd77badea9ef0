"""What is mailed and what following it does, as a caller and a reader of mails see it (contract auth.md §1.2, §4.4)."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import ANY
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from tests.identity.people import HOME, PASSWORD, happenings
from tests.web.callers import Api, code_of, now
from tests.web.conftest import make_api
from tests.web.test_auth import AN_ID, AN_INSTANT

from portero.identity import admin, admin_update
from portero.identity.admin_update import Changes
from portero.store import users
from portero.web.own_styles import POLICY

Make = Callable[..., Api]
SITE = "https://app.example"
VERIFIER = "v" * 64
S256 = {
    "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(),
    "code_challenge_method": "s256",
}
CONFIRMING = {"confirm_email": "yes", "site_url": SITE, "throttle_sign_up": 0, "throttle_sign_in": 0}


@pytest.fixture
def confirming(database_url: str) -> Iterator[Api]:
    """An application where addresses are proven, on each kind of database."""
    api = make_api(database_url, **CONFIRMING)
    yield api
    api.runtime.database.close()


@pytest.fixture
def proving(make: Make) -> Api:
    """The same on SQLite."""
    return make(**CONFIRMING)


def fragment_of(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).fragment, keep_blank_values=True).items()}


def query_of(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def refused(answer: Any) -> tuple[int, dict[str, str]]:
    """Return where a browser was sent with a refusal, without the values that say nothing."""
    return answer.status_code, fragment_of(answer.headers["Location"])


def sign_up(api: Api, email: str = "ann@example.org", **more: Any) -> dict[str, Any]:
    answer = api.call("POST", "/signup", {"email": email, "password": PASSWORD, **more})
    assert 200 == answer.status_code, answer.get_data(as_text=True)
    body: dict[str, Any] = answer.get_json()
    return body


def all_at_once(calls: int, work: Callable[[], Any]) -> list[Any]:
    """Run the same work in so many threads that start together, and return what each gave."""
    start, found = threading.Barrier(calls), []

    def run() -> None:
        start.wait()
        found.append(work())

    threads = [threading.Thread(target=run) for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


EXPIRED = {
    "error": "access_denied",
    "error_code": "otp_expired",
    "error_description": "Email link is invalid or has expired",
    "sb": "",
}


def test_a_sign_up_waits_for_the_link_and_the_link_signs_in(confirming: Api) -> None:
    user = sign_up(confirming, data={"colour": "red"})
    facts = {"sub": user["id"], "email": "ann@example.org", "email_verified": False, "phone_verified": False}
    expected = {
        "id": AN_ID, "aud": "authenticated", "role": "authenticated", "email": "ann@example.org", "phone": "",
        "confirmation_sent_at": AN_INSTANT, "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"colour": "red", **facts}, "identities": [ANY],
        "created_at": AN_INSTANT, "updated_at": AN_INSTANT, "is_anonymous": False,
    }  # fmt: skip
    assert expected == user
    assert (400, "email_not_confirmed") == code_of(confirming.sign_in())
    (mail,) = confirming.mails
    assert ("confirmation", "ann@example.org") == (mail.kind, mail.to)
    answer = confirming.follow(mail.link)
    assert 303 == answer.status_code
    location = answer.headers["Location"]
    assert location.startswith(f"{SITE}#access_token=")
    values = fragment_of(location)
    assert ["access_token", "expires_at", "expires_in", "refresh_token", "sb", "token_type", "type"] == list(values)
    assert ("", "bearer", "signup", "3600") == tuple(values[n] for n in ("sb", "token_type", "type", "expires_in"))
    found = confirming.call("GET", "/user", token=values["access_token"]).get_json()
    assert (AN_INSTANT, True) == (found["email_confirmed_at"], found["user_metadata"]["email_verified"])
    assert found["identities"][0]["identity_data"]["email_verified"] is True
    assert 200 == confirming.sign_in().status_code
    assert (303, EXPIRED) == refused(confirming.follow(mail.link))
    written = "mail_requested user_created sign_in_refused email_confirmed signed_in signed_in link_refused"
    assert sorted(written.split()) == sorted(happenings(confirming.context))


def test_reading_the_link_changes_nothing_however_often(proving: Api) -> None:
    """Threats BR-08, MF-17: scanners, previews and HEAD see a page; it loads nothing and tells no other site."""
    sign_up(proving)
    path = proving.mails[0].link.partition("/auth/v1")[2]
    for method in ("GET", "HEAD", "GET"):
        answer = proving.call(method, path)
        assert (200, "text/html; charset=utf-8") == (answer.status_code, answer.content_type)
        assert "no-referrer" == answer.headers["Referrer-Policy"]
        assert "no-store" == answer.headers["Cache-Control"]
        policy = answer.headers["Content-Security-Policy"]
        assert f"{POLICY}; form-action 'self' {SITE}" == policy
    page = answer.get_data(as_text=True)
    assert [SITE] * 2 == re.findall(r"https?://[^\"<]+", page)
    assert "<script" not in page
    assert 303 == proving.follow(proving.mails[0].link).status_code


def test_the_page_speaks_its_readers_language_and_escapes_what_it_shows(proving: Api) -> None:
    answer = proving.call("GET", '/verify?token="><script>&type=<b>', headers={"Accept-Language": "es-AR,en"})
    page = answer.get_data(as_text=True)
    assert '<html lang="es">' in page
    assert "<script>" not in page
    assert "&quot;&gt;&lt;script&gt;" in page


@pytest.mark.parametrize("path", ["/verify", "/verify?token=a", "/verify?type=signup"])
def test_a_link_without_token_or_type_is_refused(api: Api, path: str) -> None:
    assert (400, "validation_failed") == code_of(api.call("GET", path))
    assert (400, "validation_failed") == code_of(api.call("POST", path, data={"token": ""}))


def test_another_sites_form_does_not_sign_its_visitor_in(proving: Api) -> None:
    sign_up(proving)
    answer = proving.follow(proving.mails[0].link, headers={"Sec-Fetch-Site": "cross-site"})
    assert (403, "validation_failed") == code_of(answer)
    same = proving.follow(proving.mails[0].link, headers={"Sec-Fetch-Site": "same-origin"})
    assert 303 == same.status_code


@pytest.mark.parametrize("by", ["code", "hash"])
def test_a_client_spends_code_or_hash_and_gets_the_session(confirming: Api, by: str) -> None:
    sign_up(confirming)
    mail = confirming.mails[0]
    codes = {"type": "email", "email": "ANN@example.org", "token": mail.code}
    given = codes if by == "code" else {"type": "signup", "token_hash": mail.token_hash}
    answer = confirming.call("POST", "/verify", given)
    body = answer.get_json()
    assert (200, "bearer", "ann@example.org") == (answer.status_code, body["token_type"], body["user"]["email"])
    assert ["access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user"] == list(body)
    message = "Token has expired or is invalid" if by == "code" else "Email link is invalid or has expired"
    again = confirming.call("POST", "/verify", given)
    assert (403, {"code": "otp_expired", "message": message}) == (again.status_code, again.get_json())


@pytest.mark.parametrize("by", ["code", "hash"])
def test_of_twenty_spends_at_one_time_one_succeeds(confirming: Api, by: str) -> None:
    """Threats MF-08."""
    sign_up(confirming)
    mail = confirming.mails[0]
    codes = {"type": "signup", "email": "ann@example.org", "token": mail.code}
    given = codes if by == "code" else {"type": "signup", "token_hash": mail.token_hash}
    found = all_at_once(20, lambda: confirming.call("POST", "/verify", given).status_code)
    assert [200] + [403] * 19 == sorted(found)


def test_after_five_wrong_codes_the_right_one_is_dead_and_the_link_is_not(confirming: Api) -> None:
    """Threats MF-22."""
    sign_up(confirming)
    mail = confirming.mails[0]
    wrong = f"{(int(mail.code) + 1) % 10**6:06d}"
    given = {"type": "signup", "email": "ann@example.org"}
    for code in [wrong] * 5 + [mail.code]:
        assert (403, "otp_expired") == code_of(confirming.call("POST", "/verify", {**given, "token": code}))
    assert 200 == confirming.call("POST", "/verify", {"type": "signup", "token_hash": mail.token_hash}).status_code


def test_codes_that_a_stranger_tries_do_not_use_up_the_owners(confirming: Api) -> None:
    """Threats CR-06, MF-22: where she signed in from before, her tries are counted apart."""
    sign_up(confirming)
    confirming.follow(confirming.mails[0].link)
    confirming.call("POST", "/otp", {"email": "ann@example.org"})
    mail, given = confirming.mails[-1], {"type": "email", "email": "ann@example.org"}
    elsewhere = {"environ_base": {"REMOTE_ADDR": "203.0.113.5"}}
    # Not five tries of this code: a recovery's is none of those a sign-up is proven by.
    guess = {"type": "signup", "email": "ann@example.org", "token": "000000"}
    tried = [confirming.call("POST", "/verify", guess, **elsewhere).status_code for _ in range(21)]
    assert [403] * 20 + [429] == tried
    right = {**given, "token": mail.code}
    assert 429 == confirming.call("POST", "/verify", right, **elsewhere).status_code
    assert 200 == confirming.call("POST", "/verify", right).status_code


def test_sixty_codes_a_day_of_one_address_are_all_there_are(confirming: Api) -> None:
    """Threats MF-22: twenty an hour, day after day, would be enough in years."""
    guess, found = {"type": "signup", "email": "ann@example.org", "token": "000000"}, []
    for _ in range(4):
        found += [confirming.call("POST", "/verify", guess).status_code for _ in range(20)]
        with confirming.context.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM portero_counters WHERE substr(name, 1, 6) = 'codes:'")
    assert [403] * 60 + [429] * 20 == found


def test_an_address_that_is_taken_gets_the_same_members_and_its_owner_a_notice(proving: Api) -> None:
    new = sign_up(proving, "new@example.org")
    sign_up(proving)
    proving.follow(proving.mails[1].link)
    soon = proving.call("POST", "/signup", {"email": "ann@example.org", "password": PASSWORD})
    assert (429, "over_email_send_rate_limit") == code_of(soon)  # it counts for addresses, taken or not
    made = proving.call("POST", "/otp", {"email": "ben@example.org"})
    assert (200, {}) == (made.status_code, made.get_json())
    proving.call("POST", "/verify", {"type": "email", "email": "ben@example.org", "token": proving.mails[-1].code})
    count = len(proving.mails)
    taken = sign_up(proving, "ben@example.org")
    assert set(new) == set(taken)
    assert ("", []) == (taken["role"], taken["identities"])
    assert set(new["user_metadata"]) == set(taken["user_metadata"])
    (notice,) = proving.mails[count:]
    assert ("account_exists_notification", "ben@example.org") == (notice.kind, notice.to)
    assert ("", "", "") == (notice.link, notice.code, notice.token_hash)


def test_a_second_sign_up_changes_neither_password_nor_metadata(make: Make) -> None:
    api = make(**CONFIRMING)
    first = sign_up(api, data={"colour": "red"})
    second = api.call("POST", "/signup", {"email": "ann@example.org", "password": "another eight words", "data": {}})
    assert (429, "over_email_send_rate_limit") == code_of(second)
    assert "60" == second.headers["Retry-After"]
    assert re.fullmatch(
        r"For security purposes, you can only request this after \d+ seconds\.", second.get_json()["message"]
    )
    api.follow(api.mails[0].link)
    assert "red" == api.sign_in().get_json()["user"]["user_metadata"]["colour"]
    assert first["id"] == api.sign_in().get_json()["user"]["id"]


def test_recovery_signs_in_and_a_new_password_ends_the_thiefs_sessions(confirming: Api) -> None:
    """Threats MF-15, MF-18."""
    sign_up(confirming)
    confirming.follow(confirming.mails[0].link)
    thief = confirming.sign_in().get_json()
    answer = confirming.call("POST", f"/recover?redirect_to={SITE}/reset", {"email": "ann@example.org"})
    assert (200, {}) == (answer.status_code, answer.get_json())
    mail = confirming.mails[-1]
    assert ("recovery", "Choose a new password") == (mail.kind, mail.subject)
    followed = confirming.follow(mail.link)
    assert followed.headers["Location"].startswith(f"{SITE}/reset#access_token=")
    values = fragment_of(followed.headers["Location"])
    assert "recovery" == values["type"]
    changed = confirming.call("PUT", "/user", {"password": "eight dry stones"}, token=values["access_token"])
    assert 200 == changed.status_code
    assert (403, "session_not_found") == code_of(confirming.call("GET", "/user", token=thief["access_token"]))
    assert (400, "refresh_token_not_found") == code_of(confirming.refresh(thief["refresh_token"]))
    assert (303, EXPIRED) == refused(confirming.follow(mail.link))


def test_recover_says_the_same_to_everybody_and_mails_once_a_minute(proving: Api) -> None:
    """Threats MF-21; auth.md §7: the limit betrays nobody."""
    sign_up(proving)
    proving.follow(proving.mails[0].link)
    answers = [
        proving.call("POST", "/recover", {"email": email})
        for email in ("ann@example.org", "nobody@b.org")
        for _ in "ab"
    ]
    assert [(200, {})] * 4 == [(answer.status_code, answer.get_json()) for answer in answers]
    assert ["confirmation", "recovery"] == [mail.kind for mail in proving.mails]
    assert (400, "validation_failed") == code_of(proving.call("POST", "/recover", {}))
    assert (400, "validation_failed") == code_of(proving.call("POST", "/recover", {"email": "no address"}))


def test_links_begin_with_the_configured_address_whatever_the_host_header_says(proving: Api) -> None:
    """Threats MF-16."""
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    proving.call("POST", "/otp", {"email": "ann@example.org"}, headers=evil)
    (mail,) = proving.mails
    assert mail.link.startswith("http://127.0.0.1:8000/auth/v1/verify?token=")
    assert "evil" not in mail.text + mail.html


def test_a_new_address_gets_a_code_that_makes_and_signs_in_the_user(confirming: Api) -> None:
    answer = confirming.call("POST", "/otp", {"email": "ann@example.org", "data": {"colour": "red"}})
    assert (200, {}) == (answer.status_code, answer.get_json())
    mail = confirming.mails[0]
    assert "confirmation" == mail.kind
    body = confirming.call(
        "POST", "/verify", {"type": "email", "email": "ann@example.org", "token": mail.code}
    ).get_json()
    assert "red" == body["user"]["user_metadata"]["colour"]
    again = confirming.call("POST", "/otp", {"email": "ann@example.org"})
    assert (429, "over_email_send_rate_limit") == code_of(again)


def test_a_known_address_gets_a_magic_link(proving: Api) -> None:
    sign_up(proving)
    proving.follow(proving.mails[0].link)
    proving.call("POST", "/magiclink", {"email": "ann@example.org", "create_user": False})
    mail = proving.mails[-1]
    assert ("magic_link", "magiclink") == (mail.kind, query_of(mail.link)["type"])
    assert "magiclink" == fragment_of(proving.follow(mail.link).headers["Location"])["type"]


def test_where_it_is_wanted_otp_says_the_same_to_strangers(make: Make) -> None:
    api = make(otp_silent=True)
    for email in ("nobody@b.org", "no address"):
        answer = api.call("POST", "/otp", {"email": email, "create_user": False})
        assert (200, {}) == (answer.status_code, answer.get_json())
    assert [] == api.mails


def test_where_sign_ups_are_off_a_stranger_gets_no_code(make: Make) -> None:
    api = make(disable_signup=True)
    assert (422, "signup_disabled") == code_of(api.call("POST", "/otp", {"email": "a@b.org"}))


def test_the_first_proof_of_an_address_removes_what_somebody_else_put_there(proving: Api) -> None:
    """Threats MF-23: the thief registers the address, its owner signs in by a code."""
    sign_up(proving)
    proving.call("POST", "/otp", {"email": "ann@example.org"})
    code = {"type": "email", "email": "ann@example.org", "token": proving.mails[-1].code}
    assert 200 == proving.call("POST", "/verify", code).status_code
    assert (400, "invalid_credentials") == code_of(proving.sign_in())
    assert "credentials_removed" in happenings(proving.context)


@pytest.mark.parametrize("again", ["/resend", "/signup"])
def test_asking_once_more_does_not_bring_the_first_ones_password_back(proving: Api, again: str) -> None:
    """Threats MF-23: the thief registers the address, its owner asks for a code, and the thief asks after them."""
    sign_up(proving)
    proving.call("POST", "/otp", {"email": "ann@example.org"})
    proving.let_a_minute_pass()
    wish = {"type": "signup", "email": "ann@example.org", "password": PASSWORD}
    assert 200 == proving.call("POST", again, wish).status_code
    assert ("confirmation", 3) == (proving.mails[-1].kind, len(proving.mails))
    assert "access_token" in fragment_of(proving.follow(proving.mails[-1].link).headers["Location"])
    assert (400, "invalid_credentials") == code_of(proving.sign_in())


@pytest.mark.parametrize(("endpoint", "method"), [("/otp", "magiclink"), ("/recover", "recovery")])
def test_a_pkce_link_gives_a_code_and_the_code_a_session_once(confirming: Api, endpoint: str, method: str) -> None:
    sign_up(confirming)
    confirming.follow(confirming.mails[0].link)
    confirming.call("POST", f"{endpoint}?redirect_to={SITE}/in?x=1", {"email": "ann@example.org", **S256})
    mail = confirming.mails[-1]
    assert mail.token_hash.startswith("pkce_")
    location = confirming.follow(mail.link).headers["Location"]
    assert location.startswith(f"{SITE}/in?x=1&code=")
    exchange = {"auth_code": query_of(location)["code"], "code_verifier": VERIFIER}
    wrong = confirming.call("POST", "/token?grant_type=pkce", {**exchange, "code_verifier": "w" * 64})
    assert (400, "bad_code_verifier") == code_of(wrong)
    found = all_at_once(20, lambda: confirming.call("POST", "/token?grant_type=pkce", exchange))
    assert [200] + [404] * 19 == sorted(answer.status_code for answer in found)
    (body,) = [answer.get_json() for answer in found if answer.status_code == 200]
    assert [method] == [entry["method"] for entry in claims_of(confirming, body)["amr"]]
    assert (404, "flow_state_not_found") == code_of(confirming.call("POST", "/token?grant_type=pkce", exchange))


def test_a_pkce_refusal_stands_in_query_and_fragment(proving: Api) -> None:
    answer = proving.call("POST", "/verify", data={"token": "pkce_" + "0" * 56, "type": "signup"})
    location = answer.headers["Location"]
    assert EXPIRED == fragment_of(location)
    assert {name: value for name, value in EXPIRED.items() if name != "sb"} == query_of(location)


def test_the_digits_of_a_pkce_mail_work_without_a_verifier(proving: Api) -> None:
    sign_up(proving, **S256)
    given = {"type": "signup", "email": "ann@example.org", "token": proving.mails[0].code}
    assert 200 == proving.call("POST", "/verify", given).status_code


def test_a_link_leads_to_allowed_addresses_only(proving: Api) -> None:
    """Threats BR-10; in development the refusal says what to do."""
    answer = proving.call("POST", "/otp?redirect_to=https://evil.example", {"email": "ann@example.org"})
    assert (400, "validation_failed") == code_of(answer)
    assert "PORTERO_REDIRECT_URLS" in answer.get_json()["message"]


def test_where_no_mail_can_be_sent_that_is_said(make: Make) -> None:
    api = make()
    quiet = api.runtime.settings
    object.__setattr__(api.context, "settings", type(quiet)(url=quiet.url))
    assert (422, "email_provider_disabled") == code_of(api.call("POST", "/otp", {"email": "a@b.org"}))
    assert (400, "email_provider_disabled") == code_of(api.call("POST", "/recover", {"email": "a@b.org"}))


def test_the_first_proof_voids_whatever_else_was_mailed(proving: Api) -> None:
    sign_up(proving)
    proving.call("POST", "/recover", {"email": "ann@example.org"})
    confirmation, recovery = proving.mails
    assert "access_token" in fragment_of(proving.follow(recovery.link).headers["Location"])
    assert (303, EXPIRED) == refused(proving.follow(confirmation.link))


def test_who_guesses_links_is_stopped(make: Make) -> None:
    """Threats MF-15: two hundred tries from one address."""
    api = make()
    given = [{"type": "recovery", "token_hash": f"{number:056x}"} for number in range(200)]
    statuses = [api.call("POST", "/verify", each).status_code for each in given]
    assert [403] * 30 + [429] * 170 == sorted(statuses)


def test_a_banned_users_link_gives_no_session(proving: Api) -> None:
    user = sign_up(proving)
    admin.ban(proving.context, UUID(user["id"]), now())
    given = {"type": "signup", "token_hash": proving.mails[0].token_hash}
    assert (403, "user_banned") == code_of(proving.call("POST", "/verify", given))


def test_a_pkce_code_is_over_five_minutes_after_it_was_issued_and_not_sooner(proving: Api) -> None:
    """Counted from the code, not from the start of the flow (auth.md §7)."""
    sign_up(proving, **S256)
    with proving.context.database.writing() as connection:
        connection.exec_driver_sql("UPDATE portero_flow_states SET created_at = '2020-01-01 00:00:00.000000'")
    code = query_of(proving.follow(proving.mails[0].link).headers["Location"])["code"]
    with proving.context.database.writing() as connection:
        connection.exec_driver_sql("UPDATE portero_flow_states SET code_issued_at = '2020-01-01 00:00:00.000000'")
    exchange = {"auth_code": code, "code_verifier": VERIFIER}
    assert (422, "flow_state_expired") == code_of(proving.call("POST", "/token?grant_type=pkce", exchange))
    with proving.context.database.writing() as connection:
        issued_at = (now() - timedelta(minutes=4)).strftime("%Y-%m-%d %H:%M:%S.%f")
        connection.exec_driver_sql("UPDATE portero_flow_states SET code_issued_at = ?", (issued_at,))
    answer = proving.call("POST", "/token?grant_type=pkce", exchange)
    assert 200 == answer.status_code
    assert ["email/signup"] == [entry["method"] for entry in claims_of(proving, answer.get_json())["amr"]]


@pytest.mark.parametrize("what", ["a new password", "an administrator's new address"])
def test_a_code_that_was_issued_dies_with_what_was_mailed(confirming: Api, what: str) -> None:
    """Threats MF-15, MF-20: who followed the link before gets no session after the change."""
    sign_up(confirming)
    confirming.follow(confirming.mails[0].link)
    owner = confirming.sign_in().get_json()
    confirming.call("POST", "/recover", {"email": "ann@example.org", **S256})
    code = query_of(confirming.follow(confirming.mails[-1].link).headers["Location"])["code"]
    if what == "a new password":
        wish = {"password": "eight dry stones"}
        assert 200 == confirming.call("PUT", "/user", wish, token=owner["access_token"]).status_code
    else:
        changes = Changes(email="new@example.org")
        admin_update.update(confirming.context, UUID(owner["user"]["id"]), changes, HOME, now())
    exchange = {"auth_code": code, "code_verifier": VERIFIER}
    assert (404, "flow_state_not_found") == code_of(confirming.call("POST", "/token?grant_type=pkce", exchange))


def claims_of(api: Api, session: dict[str, Any]) -> Any:
    return api.context.access_tokens.principal(session["access_token"], session["expires_at"] - 10).claims


@pytest.mark.parametrize("endpoint", ["/recover", "/resend"])
def test_the_work_for_a_stranger_leaves_nothing_behind(confirming: Api, endpoint: str) -> None:
    """As much is done for nobody as for somebody, and undone: no row, no event, no mail."""
    answer = confirming.call("POST", endpoint, {"type": "signup", "email": "nobody@example.org", **S256})
    assert (200, {}) == (answer.status_code, answer.get_json())
    assert [] == confirming.mails
    assert [] == happenings(confirming.context)
    with confirming.context.database.reading() as connection:
        for table in ("users", "one_time_tokens", "flow_states", "outbox", "identities"):
            counted = connection.exec_driver_sql(f"SELECT count(*) FROM portero_{table}").scalar_one()
            assert (table, 0) == (table, counted)


@pytest.mark.parametrize("invited", [False, True])
def test_a_later_sign_up_with_an_unconfirmed_address_mails_again(proving: Api, invited: bool) -> None:
    """The newest link counts; what an administrator wrote about somebody invited is not for who types the address."""
    user = sign_up(proving, data={"colour": "red"})
    proving.let_a_minute_pass()
    with proving.context.database.writing() as connection:
        if invited:
            users.update(connection, UUID(user["id"]), now(), invited_at=now())
    again = sign_up(proving, password="another eight words", data={"colour": "blue"})
    assert (user["id"], None if invited else "red") == (again["id"], again["user_metadata"].get("colour"))
    first, second = proving.mails
    assert (303, EXPIRED) == refused(proving.follow(first.link))
    assert "access_token" in fragment_of(proving.follow(second.link).headers["Location"])
    assert 200 == proving.sign_in().status_code


def test_a_sign_up_that_is_repeated_elsewhere_leaves_no_password(confirming: Api) -> None:
    """Threats MF-23: the thief registers the address; its owner signs up too and follows the link of that mail."""
    thief, owner = ({"environ_base": {"REMOTE_ADDR": address}} for address in ("203.0.113.5", "198.51.100.7"))
    first = {"email": "ann@example.org", "password": "the thief's eight words"}
    confirming.call("POST", "/signup", first, **thief)
    confirming.let_a_minute_pass()
    confirming.call("POST", "/signup", {"email": "ann@example.org", "password": PASSWORD}, **owner)
    location = confirming.follow(confirming.mails[-1].link, **owner).headers["Location"]
    token = fragment_of(location)["access_token"]
    assert (400, "invalid_credentials") == code_of(confirming.sign_in(password="the thief's eight words"))
    assert "credentials_removed" in happenings(confirming.context)
    assert 200 == confirming.call("PUT", "/user", {"password": PASSWORD}, token=token).status_code
    assert 200 == confirming.sign_in().status_code
