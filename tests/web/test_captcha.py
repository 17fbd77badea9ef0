"""Captchas: who needs a solved one, what is asked of the service, and what holds without its answer (auth.md §1.0)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.foreign_service import Service, serving
from tests.identity.people import PASSWORD
from tests.web.administering import Admin
from tests.web.callers import Api, code_of
from tests.web.conftest import Make

SOLVED = {"gotrue_meta_security": {"captcha_token": "solved"}}
ANN = {"email": "ann@example.org", "password": PASSWORD}
GUARDED = [
    ("/signup", ANN),
    ("/token?grant_type=password", ANN),
    ("/otp", {"email": "ann@example.org"}),
    ("/magiclink", {"email": "ann@example.org"}),
    ("/recover", {"email": "ann@example.org"}),
    ("/resend", {"email": "ann@example.org", "type": "signup"}),
]


@pytest.fixture
def service() -> Iterator[Service]:
    with serving((200, json.dumps({"success": True}))) as found:
        yield found


@pytest.fixture
def guarded(make: Make, service: Service) -> Api:
    return make(captcha_secret="hush", captcha_url=service.url, captcha_provider="turnstile")


@pytest.mark.parametrize(("path", "body"), GUARDED)
@pytest.mark.parametrize(
    "given", [{}, {"gotrue_meta_security": None}, {"gotrue_meta_security": {"captcha_token": " "}}]
)
def test_what_needs_a_captcha_is_refused_without_one_and_nobody_is_asked(
    guarded: Api, service: Service, path: str, body: dict[str, Any], given: dict[str, Any]
) -> None:
    answer = guarded.call("POST", path, {**body, **given})
    assert (400, "captcha_failed") == code_of(answer)
    assert "captcha protection: request disallowed (no captcha_token found)" == answer.get_json()["message"]
    assert [] == service.asked


def test_a_solved_one_lets_pass_and_the_service_is_asked_once(guarded: Api, service: Service) -> None:
    assert 200 == guarded.call("POST", "/signup", {**ANN, **SOLVED}).status_code
    (question,) = service.asked
    assert "POST" == question.method
    assert {"secret": ["hush"], "response": ["solved"], "remoteip": ["127.0.0.1"]} == parse_qs(question.body.decode())
    passed = [guarded.call("POST", path, {**body, **SOLVED}).status_code for path, body in GUARDED[1:]]
    assert [200, 200, 429, 200, 200] == passed  # two codes within a minute are one too many, captcha or not
    assert 6 == len(service.asked)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"success": False, "error-codes": ["timeout-or-duplicate"]}, "timeout-or-duplicate"),
        ({"success": False}, "not solved"),
        ({"success": "yes"}, "not solved"),
    ],
)
def test_the_service_says_no(guarded: Api, service: Service, answer: dict[str, Any], why: str) -> None:
    service.answer = (200, json.dumps(answer))
    found = guarded.call("POST", "/signup", {**ANN, **SOLVED})
    assert (400, "captcha_failed") == code_of(found)
    assert f"captcha protection: request disallowed ({why})" == found.get_json()["message"]


@pytest.mark.parametrize("answer", [(500, ""), (200, "no JSON"), (200, "[]"), (200, "{}"), (200, "null"), (302, "")])
def test_without_an_answer_nobody_passes(guarded: Api, service: Service, answer: tuple[int, str]) -> None:
    service.answer = answer
    found = guarded.call("POST", "/signup", {**ANN, **SOLVED})
    assert (503, "unexpected_failure") == code_of(found)
    assert ("1", 1) == (found.headers["Retry-After"], len(service.asked))


def test_grants_that_prove_something_else_need_none(guarded: Api, service: Service) -> None:
    session = guarded.call("POST", "/signup", {**ANN, **SOLVED}).get_json()
    assert 200 == guarded.refresh(session["refresh_token"]).status_code
    exchange = guarded.call("POST", "/token?grant_type=pkce", {"auth_code": "x", "code_verifier": "y"})
    assert (404, "flow_state_not_found") == code_of(exchange)
    assert 1 == len(service.asked)


def test_administrators_need_none_and_users_do(guarded: Api, service: Service) -> None:
    admin = Admin(guarded)
    admin.create()
    assert 200 == admin.call("POST", "/recover", {"email": "ann@example.org"}).status_code
    session = guarded.call("POST", "/token?grant_type=password", {**ANN, **SOLVED})
    assert (400, "invalid_credentials") == code_of(session)
    for token in ("nonsense", admin.key + "x"):
        assert (400, "captcha_failed") == code_of(guarded.call("POST", "/otp", {"email": ANN["email"]}, token=token))


def test_tries_are_counted_before_the_service_is_asked(make: Make, service: Service) -> None:
    api = make(captcha_secret="hush", captcha_url=service.url, throttle_sign_in=2)
    service.answer = (200, json.dumps({"success": False}))
    found = [code_of(api.call("POST", "/signup", {**ANN, **SOLVED})) for _ in range(4)]
    assert [(400, "captcha_failed")] * 2 + [(429, "over_request_rate_limit")] * 2 == found
    assert 2 == len(service.asked)


def test_a_very_long_answer_of_a_page_is_not_passed_on(guarded: Api, service: Service) -> None:
    long = {"gotrue_meta_security": {"captcha_token": "x" * 9000}}
    assert (400, "captcha_failed") == code_of(guarded.call("POST", "/signup", {**ANN, **long}))
    assert [] == service.asked


def test_where_it_is_off_nothing_of_it_is_looked_at(api: Api) -> None:
    assert 200 == api.call("POST", "/signup", {**ANN, "gotrue_meta_security": 5}).status_code
