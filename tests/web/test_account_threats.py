"""Threats to accounts that no table of answers shows: what one user's proof is to another, what no answer carries."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from tests.identity.people import PASSWORD
from tests.web.callers import Api, code_of
from tests.web.conftest import Make
from tests.web.test_factors import ann_on

from portero.crypto import totp
from portero.store.tables import OWN_TABLES

OTHER = "eight dry stones"


def proven(api: Api, email: str) -> dict[str, Any]:
    """Sign somebody up and prove the address."""
    api.call("POST", "/signup", {"email": email, "password": PASSWORD})
    given = {"type": "signup", "token_hash": api.mails[-1].token_hash}
    session: dict[str, Any] = api.call("POST", "/verify", given).get_json()
    return session


def test_se_18_another_users_nonce_proves_nothing(make_any: Make) -> None:
    """SE-18: it was mailed to Bob; in Ann's session it is worth nothing, and stays good for Bob."""
    api = make_any(confirm_email="yes")
    ann, bob = proven(api, "ann@example.org")["access_token"], proven(api, "bob@example.org")["access_token"]
    api.call("GET", "/reauthenticate", token=bob)
    wish = {"password": OTHER, "nonce": api.mails[-1].code}
    assert (422, "reauthentication_not_valid") == code_of(api.call("PUT", "/user", wish, token=ann))
    assert 200 == api.call("PUT", "/user", wish, token=bob).status_code


def test_se_18_another_users_password_proves_nothing(make: Make) -> None:
    """SE-18: the present password is the caller's own."""
    api = make(require_current_password=True)
    ann = api.sign_up()["access_token"]
    api.call("POST", "/signup", {"email": "bob@example.org", "password": OTHER})
    wish = {"password": "nine grey stones", "current_password": OTHER}
    assert (400, "current_password_invalid") == code_of(api.call("PUT", "/user", wish, token=ann))


def test_se_18_another_users_factor_proves_nothing(make: Make) -> None:
    """SE-18: neither Bob's factor nor his challenge answers for Ann."""
    api = make(throttle_mfa=0)
    ann = ann_on(api)
    bob = api.sign_up("bob@example.org")["access_token"]
    his = api.call("POST", "/factors", {"factor_type": "totp", "friendly_name": "his"}, token=bob).get_json()
    challenge = api.call("POST", f"/factors/{his['id']}/challenge", {}, token=bob).get_json()["id"]
    code = totp.code_at(his["totp"]["secret"], int(time.time()) // totp.STEP)
    given = {"challenge_id": challenge, "code": code}
    path = f"/factors/{his['id']}/verify"
    assert (404, "mfa_factor_not_found") == code_of(ann.call("POST", path, given))
    assert (422, "mfa_factor_not_found") == code_of(ann.call("POST", f"{ann.path}/verify", given))
    assert 200 == api.call("POST", path, given, token=bob).status_code


def test_mf_09_a_recovery_link_is_no_second_factor(make_any: Make) -> None:
    """MF-09: it signs in at aal1, sets no password and removes no factor; a sign-in afterwards still asks."""
    api = make_any(throttle_mfa=0)
    ann = ann_on(api).raised()
    api.call("POST", "/recover", {"email": "ann@example.org"})
    given = {"type": "recovery", "token_hash": api.mails[-1].token_hash}
    session = api.call("POST", "/verify", given).get_json()
    token = session["access_token"]
    assert "aal1" == jwt.decode(token, options={"verify_signature": False})["aal"]
    assert (401, "insufficient_aal") == code_of(api.call("PUT", "/user", {"password": OTHER}, token=token))
    assert (422, "insufficient_aal") == code_of(api.call("DELETE", ann.path, token=token))
    assert ["verified"] == [factor["status"] for factor in api.sign_in().get_json()["user"]["factors"]]


def test_cr_21_a_new_database_lets_nobody_in(any_api: Api) -> None:
    """CR-21: it has no user, no API key and no administrator; the one who makes the first is at the command line."""
    with any_api.context.database.reading() as connection:
        for table in ("portero_users", "portero_api_keys", "portero_sessions"):
            assert (table, 0) == (
                table,
                connection.execute(sa.select(sa.func.count()).select_from(OWN_TABLES[table])).scalar_one(),
            )
    for name in ("admin", "root", "admin@example.org", "postgres@example.org"):
        assert 400 == any_api.sign_in(name, "admin").status_code


ANSWERS = [
    ("POST", "/signup", {"email": "bob@example.org", "password": PASSWORD}),
    ("POST", "/token?grant_type=password", {"email": "ann@example.org", "password": PASSWORD}),
    ("POST", "/token?grant_type=password", {"email": "ann@example.org", "password": "wrong"}),
    ("POST", "/token?grant_type=refresh_token", {"refresh_token": "$refresh_token"}),
    ("GET", "/user", None),
    ("PUT", "/user", {"data": {}}),
    ("GET", "/user/sessions", None),
    ("GET", "/settings", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ANSWERS)
def test_an_answer_is_json_as_it_is_to_everybody(api: Api, method: str, path: str, body: Any) -> None:
    """BR-05, BR-07: no cookie, so another site's request carries nobody; BR-17: no JSONP; BR-18: nothing is packed."""
    session = api.sign_up()
    sent = {name: session.get(str(value)[1:], value) for name, value in body.items()} if body else None
    headers = {"Accept-Encoding": "gzip, br, zstd", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    path += ("&" if "?" in path else "?") + "callback=alert&jsonp=alert"
    answer = api.call(method, path, sent, token=session["access_token"], headers=headers)
    assert "application/json; charset=utf-8" == answer.content_type
    assert answer.get_data(as_text=True).startswith(("{", "["))
    assert {"Set-Cookie", "Content-Encoding"}.isdisjoint(answer.headers.keys())
    assert "nosniff" == answer.headers["X-Content-Type-Options"]
