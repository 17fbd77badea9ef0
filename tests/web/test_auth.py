"""Each endpoint of /auth/v1 as a caller sees it: who asks, what, which status, which body (contract auth.md §1, §2)."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import pytest
from tests.identity.people import PASSWORD, happenings
from tests.web.callers import Api, code_of, now
from werkzeug.test import TestResponse

from portero.identity import admin
from portero.identity.admin import NewUser
from portero.settings import Settings
from portero.web.routes import NOT_SERVED, ROUTES, Gate

Make = Callable[..., Api]
UUID_4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
INSTANT = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


class Like:
    """Equal to every text of a form."""

    def __init__(self, form: re.Pattern[str]) -> None:
        self.form = form

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.form.fullmatch(other) is not None

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<like {self.form.pattern}>"


AN_ID, AN_INSTANT = Like(UUID_4), Like(INSTANT)


def user_of(email: str, user_id: str, **more: Any) -> dict[str, Any]:
    """Return the whole User of the contract after a sign-up."""
    facts = {"sub": user_id, "email": email, "phone_verified": False}
    return {
        "id": user_id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": email,
        "phone": "",
        "email_confirmed_at": AN_INSTANT,
        "confirmed_at": AN_INSTANT,
        "last_sign_in_at": AN_INSTANT,
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {**facts, "email_verified": True},
        "identities": [
            {
                "identity_id": AN_ID,
                "id": user_id,
                "user_id": user_id,
                "identity_data": {**facts, "email_verified": False},
                "provider": "email",
                "last_sign_in_at": AN_INSTANT,
                "created_at": AN_INSTANT,
                "updated_at": AN_INSTANT,
                "email": email,
            }
        ],
        "created_at": AN_INSTANT,
        "updated_at": AN_INSTANT,
        "is_anonymous": False,
        **more,
    }


def session_of(email: str, user_id: str) -> dict[str, Any]:
    """Return the whole token response of the contract."""
    return {
        "access_token": ANY,
        "token_type": "bearer",
        "expires_in": 3600,
        "expires_at": ANY,
        "refresh_token": ANY,
        "user": user_of(email, user_id),
    }


def test_a_sign_up_a_sign_in_and_a_refresh_answer_with_the_whole_session(any_api: Api) -> None:
    signed_up = any_api.call("POST", "/signup", {"email": "Ann@example.org", "password": PASSWORD, "data": None})
    body = signed_up.get_json()
    user_id = body["user"]["id"]
    expected = session_of("ann@example.org", user_id)
    assert (200, expected) == (signed_up.status_code, body)
    assert user_id == signed_up.headers["sb-auth-user-id"]
    for answer in (any_api.sign_in("ANN@example.org"), any_api.refresh(body["refresh_token"])):
        assert (200, expected) == (answer.status_code, answer.get_json())
        assert isinstance(answer.get_json()["expires_at"], int)
    assert ["signed_in", "user_created", "signed_in", "session_refreshed"] == happenings(any_api.context)


def test_headers_of_a_refresh_tell_whether_its_token_was_used_before(any_api: Api) -> None:
    """Contract auth.md §1.0: for who looks for a fault; no client reads them."""
    token = any_api.sign_up()["refresh_token"]
    first, second = any_api.refresh(token), any_api.refresh(token)
    assert ["1", "false", None] == reuse_of(first)
    assert ["1", "true", "fail-to-save"] == reuse_of(second)
    assert ["2", "false", None] == reuse_of(any_api.refresh(first.get_json()["refresh_token"]))
    assert "true" == any_api.refresh(token).headers["sb-auth-refresh-token-rotated"]


def reuse_of(answer: TestResponse) -> list[str | None]:
    return [answer.headers.get(f"sb-auth-refresh-token-{name}") for name in ("counter", "reuse", "reuse-cause")]


def test_the_user_endpoint_answers_with_the_bare_user(any_api: Api) -> None:
    session = any_api.sign_up()
    answer = any_api.call("GET", "/user", token=session["access_token"])
    assert (200, session["user"]) == (answer.status_code, answer.get_json())
    head = any_api.call("HEAD", "/user", token=session["access_token"])
    assert (200, b"") == (head.status_code, head.get_data())
    assert 401 == any_api.call("HEAD", "/user").status_code


def test_a_user_changes_metadata_and_address(any_api: Api) -> None:
    session = any_api.sign_up(data={"colour": "red"})
    wishes = {"data": {"colour": None, "size": 1}, "email": "new@example.org", "unknown": [1]}
    answer = any_api.call("PUT", "/user", wishes, token=session["access_token"])
    user_id = session["user"]["id"]
    expected = user_of("ann@example.org", user_id, new_email="new@example.org", email_change_sent_at=AN_INSTANT)
    expected["user_metadata"]["size"] = 1
    assert (200, expected) == (answer.status_code, answer.get_json())


def test_a_new_password_keeps_this_session_and_ends_the_others(any_api: Api) -> None:
    """Threats SE-06: access and refresh tokens of the others are refused at the next request."""
    mine, others = any_api.sign_up(), any_api.sign_in().get_json()
    answer = any_api.call("PUT", "/user", {"password": "eight dry stones"}, token=mine["access_token"])
    assert 200 == answer.status_code
    assert 200 == any_api.call("GET", "/user", token=mine["access_token"]).status_code
    assert (403, "session_not_found") == code_of(any_api.call("GET", "/user", token=others["access_token"]))
    assert (400, "refresh_token_not_found") == code_of(any_api.refresh(others["refresh_token"]))


@pytest.mark.parametrize(
    ("scope", "mine", "others"),
    [("", 403, 403), ("?scope=global", 403, 403), ("?scope=local", 403, 200), ("?scope=others", 200, 403)],
)
def test_sign_out_takes_effect_at_the_next_request(api: Api, scope: str, mine: int, others: int) -> None:
    """Threats SE-01, SE-03."""
    first, second = api.sign_up(), api.sign_in().get_json()
    answer = api.call("POST", f"/logout{scope}", token=first["access_token"])
    assert (204, b"") == (answer.status_code, answer.get_data())
    assert [mine, others] == [
        api.call("GET", "/user", token=session["access_token"]).status_code for session in (first, second)
    ]


REFUSALS: list[tuple[tuple[int, str], str, str, Any]] = [
    ((422, "anonymous_provider_disabled"), "POST", "/signup", {}),
    ((422, "anonymous_provider_disabled"), "POST", "/signup", {"email": None, "password": PASSWORD}),
    ((400, "phone_provider_disabled"), "POST", "/signup", {"phone": "15550100", "password": PASSWORD}),
    ((400, "validation_failed"), "POST", "/signup", {"email": "a@b.org"}),
    ((422, "weak_password"), "POST", "/signup", {"email": "a@b.org", "password": "short"}),
    ((422, "user_already_exists"), "POST", "/signup", {"email": "ann@example.org", "password": PASSWORD}),
    ((400, "bad_json"), "POST", "/signup", {"email": 5, "password": PASSWORD}),
    ((400, "bad_json"), "POST", "/signup", {"email": ["a"], "password": {}}),
    ((400, "bad_json"), "POST", "/signup", {"email": "a@b.org", "password": True}),
    ((400, "bad_json"), "POST", "/signup", {"email": "a@b.org", "password": PASSWORD, "data": "x"}),
    ((400, "bad_json"), "POST", "/signup", {"email": "a@b.org", "password": PASSWORD, "data": {"a": ["\0"]}}),
    ((400, "bad_json"), "POST", "/signup", {"email": "a@b.org", "password": PASSWORD, "data": {"\0": 1}}),
    ((400, "bad_json"), "POST", "/signup", {"email": "a@b.org", "password": PASSWORD, "data": {"a": 2**63}}),
    ((400, "bad_json"), "POST", "/signup", []),
    ((400, "invalid_credentials"), "POST", "/token", {}),
    ((400, "invalid_credentials"), "POST", "/token?grant_type=magic", {}),
    ((400, "validation_failed"), "POST", "/token?grant_type=password&grant_type=refresh_token", {}),
    ((400, "validation_failed"), "POST", "/token?grant_type=password", {"password": PASSWORD}),
    ((400, "validation_failed"), "POST", "/token?grant_type=password", {"email": "a@b", "phone": "1", "password": "x"}),
    ((422, "phone_provider_disabled"), "POST", "/token?grant_type=password", {"phone": "15550100", "password": "x"}),
    ((400, "invalid_credentials"), "POST", "/token?grant_type=password", {"email": "ann@example.org"}),
    ((400, "invalid_credentials"), "POST", "/token?grant_type=password", {"email": "annie", "password": PASSWORD}),
    ((400, "validation_failed"), "POST", "/token?grant_type=refresh_token", {}),
    ((400, "validation_failed"), "POST", "/token?grant_type=refresh_token", {"refresh_token": "abcdefghijkl"}),
    ((400, "bad_json"), "POST", "/token?grant_type=refresh_token", {"refresh_token": 5}),
    ((400, "validation_failed"), "POST", "/token?grant_type=pkce", {"auth_code": "x"}),
    ((404, "flow_state_not_found"), "POST", "/token?grant_type=pkce", {"auth_code": "x", "code_verifier": "y"}),
    ((400, "provider_disabled"), "POST", "/token?grant_type=id_token", {"provider": "google", "id_token": "x"}),
    ((422, "web3_provider_disabled"), "POST", "/token?grant_type=web3", {"chain": "solana"}),
    ((422, "same_password"), "PUT", "/user", {"password": PASSWORD}),
    ((422, "weak_password"), "PUT", "/user", {"password": ""}),
    ((422, "email_exists"), "PUT", "/user", {"email": "bob@example.org"}),
    ((403, "not_admin"), "PUT", "/user", {"app_metadata": {"admin": True}}),
    ((400, "bad_json"), "PUT", "/user", {"data": 1}),
    ((400, "validation_failed"), "POST", "/logout?scope=all", None),
]


def test_refusals_have_the_contracts_status_and_code_in_both_versions(make: Make) -> None:
    """Contract auth.md §3.1: `code` and `message`, or a number in `code` and `error_code`, `msg`; nothing else."""
    api = make(throttle_sign_in=0, throttle_sign_up=0)
    token = api.sign_up()["access_token"]
    api.sign_up("bob@example.org")
    admin.create(api.context, NewUser(username="annie", password=PASSWORD), now())
    for (status, code), method, path, json in REFUSALS:
        new = api.call(method, path, json, token=token)
        weak = {"weak_password": ANY} if code == "weak_password" else {}
        assert (status, {"code": code, "message": ANY, **weak}) == (new.status_code, new.get_json()), (path, json)
        assert "2024-01-01" == new.headers["X-Supabase-Api-Version"]
        assert code == new.headers["x-sb-error-code"]
        old = api.call(method, path, json, token=token, old=True)
        message = new.get_json()["message"]
        expected = {"code": status, "error_code": code, "msg": message, **weak}
        assert (status, expected) == (old.status_code, old.get_json()), (path, json)


SENTENCES = [
    ("Invalid login credentials", "/token?grant_type=password", {"email": "ann@example.org", "password": "wrong"}),
    ("unsupported_grant_type", "/token?grant_type=x", {}),
    ("missing email or phone", "/token?grant_type=password", {}),
    ("Refresh token is not valid", "/token?grant_type=refresh_token", {"refresh_token": "x"}),
    ("User already registered", "/signup", {"email": "ann@example.org", "password": PASSWORD}),
    ("Signup requires a valid password", "/signup", {"email": "a@b.org"}),
    ("Unable to validate email address: invalid format", "/signup", {"email": "a", "password": PASSWORD}),
    ("Anonymous sign-ins are disabled", "/signup", {}),
    ("Password should be at least 8 characters.", "/signup", {"email": "a@b.org", "password": "k7$Zq1"}),
    ("Could not parse request body as JSON: email must be a string", "/signup", {"email": 5}),
]


@pytest.mark.parametrize(("sentence", "path", "json"), SENTENCES)
def test_the_sentences_that_suites_pin(api: Api, sentence: str, path: str, json: Any) -> None:
    api.sign_up()
    assert sentence == api.call("POST", path, json).get_json()["message"]


HOSTILE = [
    b"",
    b"   ",
    b"null",
    b'"text"',
    b"{",
    b'{"email": "a@b.org", "email": "c@d.org"}',
    b'{"email": NaN}',
    b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"email": "\xff"}',
    b'{"email": "\\ud800"}',
    b"\xef\xbb\xbf{}",
    '{"email": "a@b.org"}'.encode("utf-16"),
    b"email=a%40b.org&password=x",
]


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_bodies_are_bad_json_and_harm_nothing(api: Api, body: bytes) -> None:
    """Threats CR-24, HT-08, HT-09: no reader may see something else in it than another, and none may fall over."""
    for path in ("/signup", "/token?grant_type=password", "/token?grant_type=refresh_token"):
        assert (400, "bad_json") == code_of(api.call("POST", path, data=body, content_type="application/json"))
    assert api.sign_up()["access_token"]


@pytest.mark.parametrize("content_type", ["application/json;charset=UTF-8", "text/plain", None])
def test_json_is_read_whatever_it_is_called(api: Api, content_type: str | None) -> None:
    """Threats BR-06: both clients send a charset, and other callers may send no type."""
    body = b'{"email": "ann@example.org", "password": "seven wet stones"}'
    assert 200 == api.call("POST", "/signup", data=body, content_type=content_type).status_code


def test_a_caller_cannot_choose_what_is_not_theirs(api: Api) -> None:
    """Threats CR-25, CR-26: unknown members never reach a row."""
    chosen = {"role": "service_role", "id": str(UUID(int=1)), "is_admin": True, "created_at": "2000-01-01T00:00:00Z"}
    session = api.sign_up(**chosen, app_metadata={"admin": True}, aud="root")
    assert user_of("ann@example.org", session["user"]["id"]) == session["user"]
    assert str(UUID(int=1)) != session["user"]["id"]
    after = api.call("PUT", "/user", chosen, token=session["access_token"]).get_json()
    assert user_of("ann@example.org", session["user"]["id"]) == after


def test_one_body_for_every_sign_in_that_fails(api: Api) -> None:
    """Threats CR-01: unknown, wrong, banned, without a password: status, body and headers are the same."""
    api.sign_up()
    banned = api.sign_up("bob@example.org")["user"]["id"]
    admin.ban(api.context, UUID(banned), now())
    admin.create(api.context, NewUser(email="none@example.org"), now())
    answers = [
        api.sign_in(email, "wrong")
        for email in ("ann@example.org", "bob@example.org", "none@example.org", "nobody@example.org", "a b@example.org")
    ]
    assert 1 == len({(each.status_code, each.get_data(), str(each.headers)) for each in answers})


def test_twenty_refreshes_at_once_have_one_successor(any_api: Api) -> None:
    """Threats SE-09, through the edge; then a grandparent ends the session, and its access token too."""
    session = any_api.sign_up()
    found: list[tuple[int, str]] = []
    start = threading.Barrier(20)

    def refresh() -> None:
        start.wait()
        answer = any_api.refresh(session["refresh_token"])
        found.append((answer.status_code, answer.get_json()["refresh_token"]))

    threads = [threading.Thread(target=refresh) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(200, found[0][1])} == set(found)
    latest = any_api.refresh(found[0][1]).get_json()
    assert (400, "refresh_token_already_used") == code_of(any_api.refresh(session["refresh_token"]))
    assert (403, "session_not_found") == code_of(any_api.call("GET", "/user", token=latest["access_token"]))


def test_access_tokens_of_one_second_differ(api: Api) -> None:
    """Threats SE-21: a jti in each."""
    api.sign_up()
    assert 5 == len({api.sign_in().get_json()["access_token"] for _ in range(5)})


def test_too_many_sign_ins_are_told_when_to_come_back(make: Make) -> None:
    """Threats CR-07, CR-08: another X-Forwarded-For makes no other caller; contract auth.md §3.4."""
    api = make(throttle_sign_in=2)
    answers = [
        api.call(
            "POST",
            "/token?grant_type=password",
            {"email": f"u{number}@example.org", "password": "x"},
            headers={"X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": f"203.0.113.{number}"},
        )
        for number in range(3)
    ]
    assert [400, 400, 429] == [answer.status_code for answer in answers]
    assert {"code": "over_request_rate_limit", "message": "Request rate limit reached"} == answers[2].get_json()
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60


def test_behind_a_proxy_that_is_trusted_callers_are_told_apart(make: Make) -> None:
    api = make(throttle_sign_in=1, trusted_proxies=1)
    statuses = [
        api.call(
            "POST",
            "/token?grant_type=password",
            {"email": f"u{number}@example.org", "password": "x"},
            headers={"X-Forwarded-For": f"6.6.6.6, 203.0.113.{number // 2}"},
        ).status_code
        for number in range(4)
    ]
    assert [400, 429, 400, 429] == statuses


def test_another_audience_than_the_users_is_refused(api: Api) -> None:
    token = api.sign_up()["access_token"]
    assert (400, "validation_failed") == code_of(api.call("GET", "/user", token=token, headers={"X-JWT-AUD": "x"}))
    assert 200 == api.call("GET", "/user", token=token, headers={"X-JWT-AUD": "authenticated"}).status_code


def test_settings_say_what_is_on(make: Make) -> None:
    body = make(disable_signup=True).call("GET", "/settings").get_json()
    assert ["email"] == [name for name, on in body.pop("external").items() if on]
    assert {
        "disable_signup": True,
        "mailer_autoconfirm": True,
        "phone_autoconfirm": False,
        "sms_provider": "",
        "saml_enabled": False,
        "saml_private_key_next_configured": False,
        "passkeys_enabled": False,
    } == body


def test_public_keys_are_published_and_may_be_kept_ten_minutes(api: Api) -> None:
    empty = api.call("GET", "/.well-known/jwks.json")
    assert ({"keys": []}, "public, max-age=600") == (empty.get_json(), empty.headers["Cache-Control"])
    api.context.keyring.ensure("ES256", now().timestamp())
    (key,) = api.call("GET", "/.well-known/jwks.json").get_json()["keys"]
    assert {"kty", "crv", "x", "y", "kid", "alg", "use", "key_ops"} == set(key)
    assert ("ES256", "sig", ["verify"]) == (key["alg"], key["use"], key["key_ops"])


def test_every_url_stands_in_the_table_once() -> None:
    """A row without a gate cannot be: the open ones are these."""
    assert len(ROUTES) == len({(route.method, route.path) for route in ROUTES})
    unguarded = {route.path for route in ROUTES if route.gate in (Gate.OPEN, Gate.FREE)}
    mailed = {"/mail-box", "/otp", "/magiclink", "/recover", "/resend", "/verify"}
    known = {"/signup", "/token", "/settings", "/health", "/.well-known/jwks.json", "/.well-known/openid-configuration"}
    assert known | mailed == unguarded


def test_what_administers_is_for_administrators_and_nothing_else_is() -> None:
    every = ROUTES + NOT_SERVED
    administers = {route.path for route in every if route.gate is Gate.ADMIN}
    assert {route.path for route in every if route.path.startswith("/admin")} | {"/invite"} == administers


def test_what_is_not_served_is_served_nowhere() -> None:
    served = {(route.method, route.path) for route in ROUTES}
    off = [(route.method, route.path) for route in NOT_SERVED]
    assert len(off) == len(set(off) - served)


def test_the_limits_in_the_table_are_settings() -> None:
    named = {name for route in ROUTES for name in route.limit.split(", ") if name}
    settings = {row.name for row in dataclasses.fields(Settings)}
    assert named <= settings
    assert {name for name in settings if name.startswith("throttle_")} == named
