"""Hooks over HTTP: what each is told, that its refusal refuses, and that it may write to the database itself."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt as pyjwt
import pytest
import sqlalchemy as sa
from flask import current_app
from tests.identity.people import PASSWORD, happenings
from tests.web.administering import Admin
from tests.web.callers import Api, code_of
from tests.web.conftest import Make
from tests.web.test_factors import ann_on

import portero
from portero import ConfigurationError, JWTManager, Refused, on
from portero.hooks import (
    AfterUserCreated,
    BeforeUserCreated,
    CustomAccessToken,
    MfaVerificationAttempt,
    PasswordVerificationAttempt,
    SendEmail,
)
from portero.identity import mail_delivery
from portero.web.hook_transport import HookTransport

NOTES = sa.Table("notes", sa.MetaData(), sa.Column("text", sa.Text))


def writing(text: str) -> None:
    """Write a row, as a hook of a developer would: a second writer would wait for us in vain if we were in its way."""
    assert current_app.name == "app"
    with portero.writing() as session:
        session.execute(sa.insert(NOTES).values(text=text))


def written(api: Api) -> list[str]:
    with api.context.database.reading() as connection:
        return list(connection.execute(sa.select(NOTES.c.text)).scalars())


def with_hooks(make: Make, *hooks: Any, **settings: Any) -> Api:
    api = make(hooks=hooks, **settings)
    with api.context.database.writing() as connection:
        NOTES.create(connection, checkfirst=True)
    return api


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = pyjwt.decode(token, options={"verify_signature": False})
    return claims


# Users


@on("before_user_created")
def only_colleagues(new: BeforeUserCreated) -> None:
    writing(f"before {new.email} by {new.by}")
    if new.email is None or not new.email.endswith("@example.org"):
        raise Refused("Colleagues only", status=422)


@on("after_user_created")
def welcome(new: AfterUserCreated) -> None:
    assert new.user.password_hash is None
    writing(f"after {new.user.email}")


def test_a_new_user_is_asked_about_before_and_told_of_after(make_any: Make) -> None:
    api = with_hooks(make_any, only_colleagues, welcome)
    api.sign_up()
    assert ["before ann@example.org by sign_up", "after ann@example.org"] == written(api)


Act = Callable[[Api], Any]
WAYS: list[tuple[str, str, Act]] = [
    ("sign_up", "POST /signup", lambda api: api.call("POST", "/signup", {"email": "a@b.org", "password": PASSWORD})),
    ("anonymous", "POST /signup", lambda api: api.call("POST", "/signup", {})),
    ("magic_link", "POST /otp", lambda api: api.call("POST", "/otp", {"email": "a@b.org"})),
    ("administrator", "users", lambda api: Admin(api).call("POST", "/admin/users", {"email": "a@b.org"})),
    ("administrator", "invite", lambda api: Admin(api).call("POST", "/invite", {"email": "a@b.org"})),
    (
        "administrator",
        "link",
        lambda api: Admin(api).call("POST", "/admin/generate_link", {"email": "a@b.org", "type": "invite"}),
    ),
]


@pytest.mark.parametrize(
    ("by", "act"), [(by, act) for by, _, act in WAYS], ids=[f"{by} {what}" for by, what, _ in WAYS]
)
@pytest.mark.parametrize("confirm", ["no", "yes"])
def test_a_refusal_makes_no_user_whichever_way_they_come(make_any: Make, by: str, act: Act, confirm: str) -> None:
    api = with_hooks(make_any, only_colleagues, anonymous_users=True, confirm_email=confirm)
    answer = act(api)
    assert (422, {"code": "unknown", "message": "Colleagues only"}) == (answer.status_code, answer.get_json())
    assert "user_created" not in happenings(api.context)
    assert [f"before {'None' if by == 'anonymous' else 'a@b.org'} by {by}"] == written(api)
    assert [] == api.mails


def test_a_sign_up_with_a_taken_address_is_asked_about_alike(make: Make) -> None:
    """Or the hook's own answer would tell who has an account."""
    api = with_hooks(make, only_colleagues, confirm_email="yes")
    for _ in range(2):
        api.call("POST", "/signup", {"email": "ann@example.org", "password": PASSWORD})
    assert 2 == len(written(api))


def test_a_known_address_is_not_asked_about_when_it_signs_in_by_mail(make: Make) -> None:
    api = with_hooks(make, only_colleagues)
    api.sign_up()
    api.call("POST", "/otp", {"email": "ann@example.org"})
    assert 1 == len(written(api))


def test_a_hook_that_fails_afterwards_fails_the_request_and_the_user_stays(make_any: Make) -> None:
    @on("after_user_created")
    def broken(new: AfterUserCreated) -> None:
        raise RuntimeError(f"no {new.user.email}")

    api = with_hooks(make_any, broken)
    answer = api.call("POST", "/signup", {"email": "ann@example.org", "password": PASSWORD})
    assert (500, "unexpected_failure") == code_of(answer)
    assert "ann" not in answer.get_data(as_text=True)
    assert 200 == api.sign_in().status_code


# Access tokens


def test_a_hook_adds_claims_and_cannot_change_whose_token_it_is(make_any: Make) -> None:
    @on("custom_access_token")
    def plan(asked: CustomAccessToken) -> dict[str, Any]:
        assert asked.user.password_hash is None
        writing(asked.method)
        forged = {"sub": "0", "session_id": "0", "exp": 9_999_999_999, "aal": "aal2", "type": "access", "iss": "x"}
        return {**asked.claims, **forged, "plan": "gold", "role": "editor"}

    @on("custom_access_token")
    def forgetful(asked: CustomAccessToken) -> dict[str, Any]:
        return {"plan": asked.claims["plan"], "role": asked.claims["role"], "user_metadata": {}}

    @on("custom_access_token")
    def silent(asked: CustomAccessToken) -> None:
        asked.claims.clear()

    api = with_hooks(make_any, plan, forgetful, silent)
    session = api.sign_up()
    claims = claims_of(session["access_token"])
    assert (session["user"]["id"], "aal1", "gold", "editor") == tuple(claims[n] for n in ("sub", "aal", "plan", "role"))
    assert 3600 == claims["exp"] - claims["iat"]
    assert "type" not in claims
    assert {"iss", "aud", "email", "phone", "session_id", "is_anonymous", "jti", "amr"} <= claims.keys()
    assert 200 == api.call("GET", "/user", token=session["access_token"]).status_code
    assert ["password"] == written(api)
    refreshed = api.refresh(session["refresh_token"]).get_json()
    assert "gold" == claims_of(refreshed["access_token"])["plan"]


def test_a_refused_token_leaves_no_session_behind(make_any: Make) -> None:
    closed: list[bool] = []

    @on("custom_access_token")
    def office_hours(asked: CustomAccessToken) -> None:
        if closed:
            raise Refused("Come back tomorrow")

    api = with_hooks(make_any, office_hours)
    session = api.sign_up()
    closed.append(True)
    refusal = (403, {"code": "unknown", "message": "Come back tomorrow"})
    answer = api.sign_in()
    assert refusal == (answer.status_code, answer.get_json())
    assert 1 == len(api.call("GET", "/user/sessions", token=session["access_token"]).get_json())
    answer = api.refresh(session["refresh_token"])
    assert refusal == (answer.status_code, answer.get_json())
    closed.clear()
    assert 200 == api.refresh(session["refresh_token"]).status_code


@pytest.mark.parametrize("returned", [5, {"role": 7}, {"email": None}])
def test_claims_that_no_verifier_takes_are_an_error_of_the_server(make: Make, returned: Any) -> None:
    @on("custom_access_token")
    def nonsense(asked: CustomAccessToken) -> Any:
        return returned

    api = with_hooks(make, nonsense)
    answer = api.call("POST", "/signup", {"email": "ann@example.org", "password": PASSWORD})
    assert (500, "unexpected_failure") == code_of(answer)


# Attempts


def test_a_tried_password_is_told_and_may_be_refused(make_any: Make) -> None:
    told: list[PasswordVerificationAttempt] = []

    @on("password_verification_attempt")
    def watch(attempt: PasswordVerificationAttempt) -> None:
        writing("tried")
        told.append(attempt)
        if len(told) == 4:
            raise Refused("Too suspicious", end_sessions=True)

    api = with_hooks(make_any, watch)
    session = api.sign_up()
    api.sign_in()
    api.sign_in(password="wrong password")
    api.sign_in("nobody@example.org")
    answer = api.sign_in()
    message = {"code": "invalid_credentials", "message": "Too suspicious"}
    assert (400, message) == (answer.status_code, answer.get_json())
    user_id = session["user"]["id"]
    shown = [(str(attempt.user_id), attempt.valid, attempt.address) for attempt in told]
    assert [
        (user_id, True, "127.0.0.1"),
        (user_id, False, "127.0.0.1"),
        ("None", False, "127.0.0.1"),
        (user_id, True, "127.0.0.1"),
    ] == shown
    assert (403, "session_not_found") == code_of(api.call("GET", "/user", token=session["access_token"]))
    assert {"sign_in_refused", "session_ended"} <= set(happenings(api.context))


def test_a_tried_code_is_told_and_a_refusal_ends_all_sessions(make_any: Make) -> None:
    told: list[tuple[str, bool]] = []

    @on("mfa_verification_attempt")
    def watch(attempt: MfaVerificationAttempt) -> None:
        writing("code")
        told.append((attempt.factor_type, attempt.valid))
        if len(told) == 5:
            raise Refused("Not from there")

    api = with_hooks(make_any, watch)
    ann = ann_on(api).raised()
    ann.verify(code="000000")
    codes = ann.call("POST", "/factors/recovery-codes", {}).get_json()["codes"]
    for code in ("a" * 16, codes[0]):
        ann.call("POST", "/factors/recovery-codes/verify", {"code": code})
    answer = ann.call("POST", "/factors/recovery-codes/verify", {"code": codes[0]})
    body = {"code": "mfa_verification_rejected", "message": "Not from there"}
    assert [("totp", True), ("totp", False)] == told[:2]
    assert [("recovery_code", False), ("recovery_code", True), ("recovery_code", False)] == told[2:]
    assert (403, body) == (answer.status_code, answer.get_json())
    assert (403, "session_not_found") == code_of(ann.call("GET", "/user"))


# Mails


def test_a_hook_sends_the_mails_in_the_place_of_a_server(make_any: Make) -> None:
    sent: list[SendEmail] = []

    @on("send_email")
    def send(mail: SendEmail) -> None:
        writing(mail.kind)
        sent.append(mail)
        if len(sent) == 1:
            raise RuntimeError("the provider is down")
        if mail.to.startswith("gone"):
            raise Refused("no such box")

    api = with_hooks(make_any, send, confirm_email="yes")
    assert isinstance(api.runtime.mail_worker, object)
    transport = HookTransport(api.context.hooks)
    user = api.call("POST", "/signup", {"email": "ann@example.org", "password": PASSWORD}).get_json()
    now = datetime.now(UTC)
    assert 0 == mail_delivery.send_due(api.context, transport, now)
    later = now.replace(microsecond=0) + mail_delivery._PAUSES[0] * 3
    assert 1 == mail_delivery.send_due(api.context, transport, later)
    first, mail = sent
    assert first.message_id == mail.message_id
    assert ("confirmation", "ann@example.org", user["id"]) == (mail.kind, mail.to, str(mail.user_id))
    given = {"type": "signup", "token_hash": mail.values["TokenHash"]}
    assert mail.values["Token"] in mail.text
    assert 200 == api.call("POST", "/verify", given).status_code
    api.call("POST", "/signup", {"email": "gone@example.org", "password": PASSWORD})
    assert 0 == mail_delivery.send_due(api.context, transport, later)
    assert 0 == mail_delivery.send_due(api.context, transport, later.replace(year=later.year + 1))
    assert 3 == len(sent)


# Marking


def test_what_cannot_be_a_hook_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="There is no hook 'before_lunch'"):
        on("before_lunch")
    with pytest.raises(ConfigurationError, match="takes one argument"):
        on("send_email")(lambda: None)
    with pytest.raises(ConfigurationError, match="marks an ordinary function"):
        on("send_email")(print)
    with pytest.raises(ConfigurationError, match="no function marked"):
        JWTManager().hooks(writing)
    with pytest.raises(ValueError, match="400 to 499"):
        Refused("no", status=500)


def test_the_hooks_of_a_module_are_put_to_work_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("own_hooks")
    vars(module).update(only_colleagues=only_colleagues, again=only_colleagues, writing=writing)
    monkeypatch.setitem(sys.modules, "own_hooks", module)
    api = with_hooks(make, module, only_colleagues)
    api.sign_up()
    assert 1 == len(written(api))
    with pytest.raises(ConfigurationError, match="frozen"):
        api.app.extensions["portero"].hooks(welcome)
