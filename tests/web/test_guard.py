"""Who asks, by the headers: each line one request (contract auth.md §1.0 and §5; threats JV-16, JV-17, HT-12)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.identity.people import SECRET
from tests.web.callers import Api, code_of, now

from portero.crypto import jws, keyring
from portero.errors import InvalidToken, TokenFault
from portero.identity import admin
from portero.identity.access_tokens import AccessTokens
from portero.principal import Principal
from portero.store import sessions, users
from portero.web import guard

Make = Callable[..., Api]


def jwt(**claims: Any) -> str:
    """Sign claims with the application's secret, as an old key generator does."""
    return jws.sign(
        {"alg": "HS256", "typ": "JWT"}, json.dumps(claims).encode(), keyring.shared_signing_key(SECRET.encode())
    )


ANON = jwt(role="anon", iss="supabase")
SERVICE = jwt(role="service_role", iss="supabase")


class Callers:
    """The credentials one application knows."""

    def __init__(self, api: Api) -> None:
        keys = api.context.api_keys
        self.publishable = keys.create("publishable", "web", now()).value
        self.secret = keys.create("secret", "server", now()).value
        self.user = api.sign_up()
        self.token: str = self.user["access_token"]


def asked(api: Api, headers: dict[str, str]) -> Principal:
    """Ask as the data mount does."""
    environ = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
    return guard.principal_of(environ, api.runtime, now().timestamp())


GOOD: list[tuple[str, dict[str, str]]] = [
    ("anon", {}),
    ("anon", {"apikey": "{publishable}"}),
    ("anon", {"apikey": "{publishable}", "Authorization": "Bearer {publishable}"}),
    ("anon", {"Authorization": "Bearer {publishable}"}),
    ("anon", {"apikey": "{anon}"}),
    ("anon", {"apikey": "{anon}", "Authorization": "Bearer {anon}"}),
    ("anon", {"Authorization": "Basic dTpw"}),
    ("anon", {"Authorization": "Bearerish x"}),
    ("service_role", {"apikey": "{secret}"}),
    ("service_role", {"apikey": "{secret}", "Authorization": "Bearer {secret}"}),
    ("service_role", {"Authorization": "bearer {service}"}),
    ("service_role", {"apikey": "{secret}", "User-Agent": "python-httpx/0.28"}),
    ("authenticated", {"Authorization": "Bearer {token}"}),
    ("authenticated", {"Authorization": "bEARER {token}", "apikey": "{publishable}"}),
    ("authenticated", {"Authorization": "Bearer {token}", "apikey": "{anon}"}),
    ("authenticated", {"Authorization": "Bearer {token}", "apikey": "{secret}"}),
    ("anon", {"X-User-Id": "1", "Remote-User": "root", "X-Forwarded-User": "root"}),
]


def filled(headers: dict[str, str], who: Callers) -> dict[str, str]:
    values = {"anon": ANON, "service": SERVICE, **vars(who)}
    return {name: value.format_map(values) for name, value in headers.items()}


def test_who_asks_the_data_api(any_api: Api) -> None:
    who = Callers(any_api)
    for role, headers in GOOD:
        assert role == asked(any_api, filled(headers, who)).role, headers


BAD: list[tuple[TokenFault, dict[str, str]]] = [
    (TokenFault.KEY, {"apikey": "sb_publishable_unknown"}),
    (TokenFault.KEY, {"Authorization": "Bearer sb_secret_unknown"}),
    (TokenFault.KEY, {"Authorization": "Bearer {token}", "apikey": "sb_publishable_unknown"}),
    (TokenFault.KEY, {"apikey": "{publishable}", "Authorization": "Bearer {secret}"}),
    (TokenFault.PARTS, {"apikey": "{publishable}", "Authorization": "Bearer {token}, Bearer {token}"}),
    (TokenFault.EMPTY, {"Authorization": "Bearer"}),
    (TokenFault.EMPTY, {"Authorization": "Bearer "}),
    (TokenFault.PARTS, {"Authorization": "Bearer\t{token}"}),
    (TokenFault.PARTS, {"apikey": ""}),
    (TokenFault.KIND, {"apikey": "{token}"}),
    (TokenFault.KIND, {"apikey": "{secret}", "User-Agent": "Mozilla/5.0 (X11)"}),
    (TokenFault.KIND, {"apikey": "{secret}", "Origin": "https://a.example"}),
    (TokenFault.KIND, {"Authorization": "Bearer {secret}", "User-Agent": "Mozilla/5.0"}),
]


@pytest.mark.parametrize(("fault", "headers"), BAD)
def test_who_is_refused_by_the_data_api(api: Api, fault: TokenFault, headers: dict[str, str]) -> None:
    """Threats JV-16: one credential a request; a secret key in a browser is a leaked one."""
    with pytest.raises(InvalidToken) as caught:
        asked(api, filled(headers, Callers(api)))
    assert caught.value.fault in (fault, TokenFault.ENCODING, TokenFault.JSON)


def test_a_key_can_be_demanded(make: Make) -> None:
    api = make(require_api_key=True)
    key = api.context.api_keys.create("publishable", "web", now()).value
    token = api.call("POST", "/signup", {"email": "a@b.org", "password": "seven wet stones"}, headers={"apikey": key})
    bearer = {"Authorization": f"Bearer {token.get_json()['access_token']}"}
    assert "authenticated" == asked(api, {**bearer, "apikey": key}).role
    for headers in ({}, bearer):
        with pytest.raises(InvalidToken):
            asked(api, headers)
    assert (401, "no_authorization") == code_of(api.call("GET", "/settings"))
    assert (401, "no_authorization") == code_of(api.call("GET", "/user", headers=bearer))
    assert 200 == api.call("GET", "/settings", headers={"Authorization": f"Bearer {key}"}).status_code
    assert 200 == api.call("GET", "/health").status_code
    assert 200 == api.call("GET", "/.well-known/jwks.json").status_code


def test_a_revoked_key_is_refused(api: Api) -> None:
    made = api.context.api_keys.create("secret", "server", now())
    assert "service_role" == asked(api, {"apikey": made.value}).role
    api.context.api_keys.revoke(made.record.id, now())
    with pytest.raises(InvalidToken):
        asked(api, {"apikey": made.value})


USER_GATE: list[tuple[tuple[int, str, str], dict[str, str]]] = [
    ((401, "no_authorization", "This endpoint requires a valid Bearer token"), {}),
    ((401, "no_authorization", "This endpoint requires a valid Bearer token"), {"apikey": "{publishable}"}),
    ((401, "no_authorization", "This endpoint requires a valid Bearer token"), {"Authorization": "Basic x"}),
    ((401, "no_authorization", "This endpoint requires a valid Bearer token"), {"Authorization": "Bearer a b"}),
    (
        (401, "no_authorization", "This endpoint requires a valid Bearer token"),
        {"Authorization": "Bearer {token}, Bearer {token}"},
    ),
    ((403, "bad_jwt", "invalid JWT: "), {"Authorization": "Bearer {token},"}),
    ((401, "no_authorization", "Invalid API key"), {"Authorization": "Bearer {token}", "apikey": "sb_secret_x"}),
    ((403, "bad_jwt", "invalid claim: missing sub claim"), {"Authorization": "Bearer {anon}"}),
    ((403, "bad_jwt", "invalid claim: missing sub claim"), {"Authorization": "Bearer {service}"}),
    ((403, "bad_jwt", "invalid JWT: "), {"Authorization": "Bearer {publishable}"}),
    ((403, "bad_jwt", "invalid JWT: "), {"Authorization": "Bearer x.y.z"}),
]


def test_the_user_gate_refuses_in_the_contracts_words(any_api: Api) -> None:
    """Contract auth.md §1.0 steps 1 to 3, and §5 rule 4."""
    who = Callers(any_api)
    for (status, code, message), headers in USER_GATE:
        found = any_api.call("GET", "/user", headers=filled(headers, who))
        assert (status, code) == code_of(found), headers
        assert found.get_json()["message"].startswith(message), headers


def test_the_user_gate_asks_user_then_session_then_ban(any_api: Api) -> None:
    """Contract auth.md §1.0 steps 4 to 6; threats SE-01, SE-04: asked of the database at every request."""
    ann, bob = any_api.sign_up(), any_api.sign_up("bob@example.org")
    context, bob_id = any_api.context, bob["user"]["id"]
    with context.changing() as change:
        users.update(change.connection, UUID(bob_id), now(), banned_until=now() + timedelta(hours=1))
    assert (403, "user_banned") == code_of(any_api.call("GET", "/user", token=bob["access_token"]))
    admin.ban(context, UUID(bob_id), now())
    assert (403, "session_not_found") == code_of(any_api.call("GET", "/user", token=bob["access_token"]))
    admin.delete(context, UUID(bob_id), now())
    assert (403, "user_not_found") == code_of(any_api.call("GET", "/user", token=bob["access_token"]))
    with context.changing() as change:
        sessions.delete_of_user(change.connection, UUID(ann["user"]["id"]))
    assert (403, "session_not_found") == code_of(any_api.call("GET", "/user", token=ann["access_token"]))


def test_a_token_made_by_hand_passes_only_where_that_is_asked_for(make: Make) -> None:
    """Overrides.md "tokens made by hand": off by default; then without a session, as the contract has it."""
    api = make()
    user = api.sign_up()["user"]
    lifetime = {"exp": int(now().timestamp()) + 600}
    mine, nobodys = jwt(sub=user["id"], role="authenticated", **lifetime), jwt(sub="ann", **lifetime)
    assert (403, "bad_jwt") == code_of(api.call("GET", "/user", token=mine))
    accepting = AccessTokens(api.context.keyring, api.context.access_tokens.issuing, accept_shared_secret_tokens=True)
    object.__setattr__(api.context, "access_tokens", accepting)
    assert user["id"] == api.call("GET", "/user", token=mine).get_json()["id"]
    assert (400, "bad_jwt") == code_of(api.call("GET", "/user", token=nobodys))
    assert (403, "user_not_found") == code_of(api.call("GET", "/user", token=jwt(sub=str(uuid4()), **lifetime)))
    assert 204 == api.call("POST", "/logout?scope=local", token=mine).status_code


@pytest.mark.parametrize(
    "authorization", ["Bearer {anon}", "Bearer {publishable}", "Bearer x.y.z", "Basic x", "Bearer", "Bearer {token}"]
)
def test_open_endpoints_ignore_authorization_whatever_it_holds(api: Api, authorization: str) -> None:
    """Contract auth.md §5 rule 2."""
    headers = filled({"Authorization": authorization}, Callers(api))
    found = api.call(
        "POST",
        "/token?grant_type=password",
        {"email": "ann@example.org", "password": "seven wet stones"},
        headers=headers,
    )
    assert 200 == found.status_code


@pytest.mark.parametrize("key", ["sb_publishable_unknown", "sb_secret_", "eyJ.x.y", ""])
def test_an_unknown_apikey_is_refused_also_at_open_endpoints(api: Api, key: str) -> None:
    """Overrides.md "unknown apikey"."""
    assert (401, "no_authorization") == code_of(api.call("POST", "/signup", {}, headers={"apikey": key}))


def test_a_token_in_the_address_or_the_body_is_none(api: Api) -> None:
    """Threats JV-17."""
    token = api.sign_up()["access_token"]
    assert 401 == api.call("GET", f"/user?access_token={token}&apikey={token}").status_code
    assert 401 == api.call("PUT", "/user", {"access_token": token}).status_code
