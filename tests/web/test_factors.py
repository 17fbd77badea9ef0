"""`/factors` over HTTP: each answer and each refusal of contract auth.md §1.4; what a user's JSON says of factors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
import pytest
import sqlalchemy as sa
from tests.at_once import MANY, at_once
from tests.identity.people import happenings
from tests.web.callers import Api, code_of
from tests.web.conftest import Make, make_api
from werkzeug.test import TestResponse

from portero.crypto import totp
from portero.store.tables import OWN_TABLES

STRANGER = "9d1e5f8c-6a43-4a57-8f7e-0d6b1c2a3e4f"


@dataclass
class Ann:
    """A user with an authenticator app; `token` is the present access token."""

    api: Api
    session: dict[str, Any]
    factor: dict[str, Any]
    step: int = 0

    @property
    def token(self) -> str:
        return str(self.session["access_token"])

    @property
    def path(self) -> str:
        return f"/factors/{self.factor['id']}"

    def call(self, method: str, path: str, json: Any = None, **more: Any) -> TestResponse:
        return self.api.call(method, path, json, token=self.token, **more)

    def challenge(self) -> str:
        return str(self.call("POST", f"{self.path}/challenge", {}).get_json()["id"])

    def code(self) -> str:
        """Give a code that was not used: of this step, or of the next one, which passes too."""
        self.step = max(self.step + 1, int(time.time()) // totp.STEP)
        return totp.code_at(self.factor["totp"]["secret"], self.step)

    def verify(self, challenge_id: str | None = None, code: str | None = None) -> TestResponse:
        given = {"challenge_id": challenge_id or self.challenge(), "code": self.code() if code is None else code}
        return self.call("POST", f"{self.path}/verify", given)

    def raised(self) -> Ann:
        """Return the same user at aal2."""
        answer = self.verify()
        assert 200 == answer.status_code, answer.get_data(as_text=True)
        return Ann(self.api, answer.get_json(), self.factor, self.step)

    def signed_in_again(self) -> Ann:
        return Ann(self.api, self.api.sign_in().get_json(), self.factor, self.step)

    def user(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", "/user").get_json()
        return found


def enrol(api: Api, token: str, name: str = "app") -> dict[str, Any]:
    answer = api.call("POST", "/factors", {"factor_type": "totp", "friendly_name": name}, token=token)
    assert 200 == answer.status_code, answer.get_data(as_text=True)
    found: dict[str, Any] = answer.get_json()
    return found


def ann_on(api: Api) -> Ann:
    session = api.sign_up()
    return Ann(api, session, enrol(api, session["access_token"]))


def test_a_row_that_another_holds_too_long_is_answered_not_now_and_spends_nothing(
    empty_postgresql_url: str,
) -> None:
    """A lock is waited for two seconds (SQLSTATE 55P03 after them); that is no fault of the server's."""
    api = make_api(empty_postgresql_url)
    ann = ann_on(api)
    challenge, code = ann.challenge(), ann.code()
    with api.context.database.writing() as connection:
        connection.exec_driver_sql("SELECT id FROM portero_users FOR UPDATE")
        answer = ann.verify(challenge, code)
        assert (503, "unexpected_failure", "1") == (*code_of(answer), answer.headers["Retry-After"])
    assert 200 == ann.verify(challenge, code).status_code
    api.runtime.database.close()


@pytest.fixture
def ann(make: Make) -> Ann:
    """Somebody whose factor is not verified yet; no limit a minute."""
    return ann_on(make(throttle_mfa=0))


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_an_enrolment_shows_the_secret_once(ann: Ann) -> None:
    """Threats MF-05."""
    assert {"id", "type", "friendly_name", "totp"} == set(ann.factor)
    assert ("totp", "app") == (ann.factor["type"], ann.factor["friendly_name"])
    shown = ann.factor["totp"]
    assert {"qr_code", "secret", "uri"} == set(shown)
    assert shown["qr_code"].startswith("<svg"), "raw: the client makes an address of it"
    assert shown["uri"].startswith("otpauth://totp/127.0.0.1:ann%40example.org?secret=" + shown["secret"])
    body = ann.call("GET", "/user").get_data(as_text=True)
    assert shown["secret"] not in body
    (factor,) = ann.user()["factors"]
    assert {
        "id": ann.factor["id"],
        "status": "unverified",
        "factor_type": "totp",
        "friendly_name": "app",
        "phone": "",
        "last_challenged_at": None,
    } == {name: value for name, value in factor.items() if name not in ("created_at", "updated_at")}


def test_the_name_may_be_empty_once_and_the_issuer_is_the_callers(ann: Ann) -> None:
    made = ann.call("POST", "/factors", {"factor_type": "totp", "friendly_name": None, "issuer": "Ann: & co"})
    assert "" == made.get_json()["friendly_name"]
    assert "issuer=Ann%3A%20%26%20co" in made.get_json()["totp"]["uri"]
    assert "friendly_name" not in ann.user()["factors"][1]
    assert (422, "mfa_factor_name_conflict") == code_of(ann.call("POST", "/factors", {"factor_type": "totp"}))


def test_enrolment_can_be_off_while_factors_go_on_to_count(make: Make) -> None:
    ann = ann_on(make()).raised()
    off = make(mfa_enroll=False)
    later = Ann(off, ann.session, ann.factor, ann.step)
    found = code_of(later.call("POST", "/factors", {"factor_type": "totp", "friendly_name": "b"}))
    assert (422, "mfa_totp_enroll_not_enabled") == found
    assert (422, "mfa_recovery_codes_enroll_not_enabled") == code_of(later.call("POST", "/factors/recovery-codes"))
    assert 200 == later.verify().status_code


def test_a_challenge_has_five_minutes(ann: Ann) -> None:
    answer = ann.call("POST", f"{ann.path}/challenge", {"factorId": ann.factor["id"]})
    body = answer.get_json()
    assert (200, {"id", "type", "expires_at"}, "totp") == (answer.status_code, set(body), body["type"])
    assert 298 <= body["expires_at"] - time.time() <= 300
    assert 200 == ann.call("POST", f"{ann.path}/challenge").status_code, "the body does not matter"


def test_a_right_code_gives_the_same_session_at_aal2(ann: Ann) -> None:
    answer = ann.verify()
    body = answer.get_json()
    before, after = claims(ann.token), claims(body["access_token"])
    assert before["session_id"] == after["session_id"] == answer.headers["sb-auth-session-id"]
    assert ("aal1", "aal2") == (before["aal"], after["aal"])
    assert ["totp", "password"] == [entry["method"] for entry in after["amr"]]
    assert {"access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user"} == set(body)
    assert ["verified"] == [factor["status"] for factor in body["user"]["factors"]]
    assert body["user"]["factors"][0]["last_challenged_at"] is not None
    refreshed = ann.api.refresh(body["refresh_token"]).get_json()
    assert "aal2" == claims(refreshed["access_token"])["aal"]
    assert ["verified"] == [factor["status"] for factor in refreshed["user"]["factors"]]


def test_a_new_sign_in_is_at_aal1_and_names_the_factor(ann: Ann) -> None:
    """The client reads from it that there is a next level."""
    ann.raised()
    again = ann.signed_in_again()
    assert "aal1" == claims(again.token)["aal"]
    assert ["verified"] == [factor["status"] for factor in again.session["user"]["factors"]]


def test_what_is_refused_at_a_challenge(ann: Ann) -> None:
    bob = ann.api.sign_up("bob@example.org")["access_token"]
    assert (404, "validation_failed") == code_of(ann.call("POST", "/factors/5/challenge", {}))
    assert (404, "mfa_factor_not_found") == code_of(ann.call("POST", f"/factors/{STRANGER}/challenge", {}))
    assert (404, "mfa_factor_not_found") == code_of(ann.api.call("POST", f"{ann.path}/challenge", {}, token=bob))


def test_a_wrong_code_says_no_more_than_that(ann: Ann) -> None:
    answer = ann.verify(code="000000")
    body = {"code": "mfa_verification_failed", "message": "Invalid TOTP code entered"}
    assert (422, body) == (answer.status_code, answer.get_json())


def test_a_challenge_is_answered_once_and_from_where_it_was_asked(ann: Ann) -> None:
    challenge = ann.challenge()
    elsewhere = {"environ_base": {"REMOTE_ADDR": "198.51.100.9"}}
    given = {"challenge_id": challenge, "code": ann.code()}
    found = code_of(ann.call("POST", f"{ann.path}/verify", given, **elsewhere))
    assert (422, "mfa_ip_address_mismatch") == found
    ann.step -= 1
    raised = Ann(ann.api, ann.verify(challenge).get_json(), ann.factor, ann.step)
    assert (422, "mfa_ip_address_mismatch") == code_of(raised.verify(challenge))


def test_a_challenge_of_yesterday_is_over(ann: Ann) -> None:
    challenge = ann.challenge()
    table = OWN_TABLES["portero_challenges"]
    with ann.api.runtime.database.writing() as connection:
        past = sa.update(table).where(table.c.id == UUID(challenge))
        connection.execute(past.values(expires_at=table.c.created_at))
    assert (422, "mfa_challenge_expired") == code_of(ann.verify(challenge))


def test_the_limit_a_minute_is_answered_with_when_to_come_back(make: Make) -> None:
    ann = ann_on(make(throttle_mfa=1))
    assert 200 == ann.call("POST", f"{ann.path}/challenge", {}).status_code
    refused = ann.call("POST", f"{ann.path}/challenge", {})
    assert (429, "over_request_rate_limit") == code_of(refused)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_a_factor_is_removed_and_the_token_in_hand_is_worth_aal1(ann: Ann) -> None:
    raised = ann.raised()
    assert (422, "insufficient_aal") == code_of(ann.signed_in_again().call("DELETE", ann.path))
    removed = raised.call("DELETE", ann.path)
    assert (200, {"id": ann.factor["id"]}) == (removed.status_code, removed.get_json())
    assert "factors" not in raised.user()
    assert "aal1" == claims(raised.api.refresh(raised.session["refresh_token"]).get_json()["access_token"])["aal"]
    assert (404, "mfa_factor_not_found") == code_of(raised.call("DELETE", ann.path))
    assert (404, "validation_failed") == code_of(raised.call("DELETE", "/factors/5"))


def test_a_second_factor_is_enrolled_at_aal2_only(ann: Ann) -> None:
    raised = ann.raised()
    body = {"factor_type": "totp", "friendly_name": "other"}
    assert (403, "insufficient_aal") == code_of(ann.signed_in_again().call("POST", "/factors", body))
    assert 200 == raised.call("POST", "/factors", body).status_code


def test_eleven_factors_are_too_many(ann: Ann) -> None:
    for number in range(9):
        enrol(ann.api, ann.token, str(number))
    body = {"factor_type": "totp", "friendly_name": "eleven"}
    assert (422, "too_many_enrolled_mfa_factors") == code_of(ann.call("POST", "/factors", body))


@pytest.mark.parametrize("wish", [{"password": "nine dry stones"}, {"email": "new@example.org"}])
def test_what_one_signs_in_with_changes_at_aal2_only(ann: Ann, wish: dict[str, str]) -> None:
    """Threats MF-04: a session without the second factor is one, and cannot do what needs it."""
    assert 200 == ann.call("PUT", "/user", {"data": {"colour": "red"}}).status_code
    raised = ann.raised()
    low = ann.signed_in_again()
    assert (401, "insufficient_aal") == code_of(low.call("PUT", "/user", wish))
    assert 200 == low.call("PUT", "/user", {"data": {"colour": "blue"}}).status_code
    assert 200 == raised.call("PUT", "/user", wish).status_code


@contextmanager
def anonymous(ann: Ann) -> Iterator[None]:
    table = OWN_TABLES["portero_users"]
    with ann.api.runtime.database.writing() as connection:
        connection.execute(sa.update(table).values(is_anonymous=True))
    yield


ROUTES = [
    ("POST", "/factors"),
    ("POST", f"/factors/{STRANGER}/challenge"),
    ("POST", f"/factors/{STRANGER}/verify"),
    ("DELETE", f"/factors/{STRANGER}"),
    ("GET", "/factors/recovery-codes"),
    ("POST", "/factors/recovery-codes"),
    ("POST", "/factors/recovery-codes/verify"),
    ("POST", "/factors/recovery-codes/regenerate"),
    ("DELETE", "/factors/recovery-codes"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_and_anonymous_users_do_not_pass(ann: Ann, method: str, path: str) -> None:
    assert (401, "no_authorization") == code_of(ann.api.call(method, path, {}))
    with anonymous(ann):
        refused = ann.call(method, path, {})
    message = "Anonymous user not allowed to perform these actions"
    assert (403, {"code": "no_authorization", "message": message}) == (refused.status_code, refused.get_json())


def test_recovery_codes_from_making_to_removal(ann: Ann) -> None:
    assert (404, "mfa_factor_not_found") == code_of(ann.call("GET", "/factors/recovery-codes"))
    assert (422, "mfa_recovery_codes_sole_factor") == code_of(ann.call("POST", "/factors/recovery-codes"))
    raised = ann.raised()
    made = raised.call("POST", "/factors/recovery-codes", {"friendly_name": "in the safe"}).get_json()
    factor_id, codes = made["id"], made.pop("codes")
    assert {"id": factor_id, "type": "recovery_code", "friendly_name": "in the safe", "total": 10} == made
    assert (10, {16}) == (len(codes), {len(code) for code in codes})
    assert (422, "mfa_verified_factor_exists") == code_of(raised.call("POST", "/factors/recovery-codes", {}))

    low = ann.signed_in_again()
    used = low.call("POST", "/factors/recovery-codes/verify", {"code": codes[0].upper()})
    after = claims(used.get_json()["access_token"])
    assert ("aal2", "mfa/recovery_code") == (after["aal"], after["amr"][0]["method"])
    kinds = {factor["factor_type"]: factor["status"] for factor in used.get_json()["user"]["factors"]}
    assert {"totp": "verified", "recovery_code": "verified"} == kinds
    wrong = low.call("POST", "/factors/recovery-codes/verify", {"code": codes[0]})
    assert (422, "mfa_verification_failed") == code_of(wrong)
    assert (422, "mfa_verification_failed") == code_of(low.call("POST", "/factors/recovery-codes/verify", {}))
    status = low.call("GET", "/factors/recovery-codes").get_json()
    assert {"id": factor_id, "type": "recovery_code", "total": 10, "remaining": 9} == status

    anew = raised.call("POST", "/factors/recovery-codes/regenerate").get_json()
    assert (factor_id, "in the safe", 10) == (anew["id"], anew["friendly_name"], len(anew["codes"]))
    third = ann.signed_in_again()
    assert (403, "insufficient_aal") == code_of(third.call("POST", "/factors/recovery-codes/regenerate"))
    assert (403, "insufficient_aal") == code_of(third.call("DELETE", "/factors/recovery-codes"))
    assert (400, "validation_failed") == code_of(raised.call("POST", f"/factors/{factor_id}/challenge", {}))
    assert {"id": factor_id} == raised.call("DELETE", "/factors/recovery-codes").get_json()
    assert (404, "mfa_factor_not_found") == code_of(raised.call("DELETE", "/factors/recovery-codes"))


def test_guessed_recovery_codes_are_locked(ann: Ann) -> None:
    raised = ann.raised()
    codes = raised.call("POST", "/factors/recovery-codes").get_json()["codes"]
    for _ in range(20):
        raised.call("POST", "/factors/recovery-codes/verify", {"code": "guess"})
    locked = raised.call("POST", "/factors/recovery-codes/verify", {"code": codes[0]})
    assert (429, "mfa_recovery_codes_locked") == code_of(locked)
    assert 0 < int(locked.headers["Retry-After"]) <= 3600


def test_of_twenty_requests_with_one_code_one_is_answered_well(any_api: Api) -> None:
    """Threats MF-08, at both doors, over HTTP."""
    ann = ann_on(any_api)
    raised = ann.raised()
    code = raised.call("POST", "/factors/recovery-codes").get_json()["codes"][0]
    low = ann.signed_in_again()
    body = {"code": code}
    statuses = at_once(lambda _: low.call("POST", "/factors/recovery-codes/verify", body).status_code)
    assert (1, MANY) == (statuses.count(200), len(statuses))
    assert not [status for status in statuses if status >= 500]


def test_what_happened_is_written_down(ann: Ann) -> None:
    ann.verify(code="000000")
    raised = ann.raised()
    raised.call("POST", "/factors/recovery-codes")
    raised.call("DELETE", ann.path)
    expected = {
        "factor_enrolled",
        "factor_challenged",
        "factor_refused",
        "factor_verified",
        "recovery_codes_created",
        "factor_removed",
    }
    assert expected <= set(happenings(ann.api.context))
