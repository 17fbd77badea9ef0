"""Hostile tokens at the three doors: `/auth/v1`, `/rest/v1` and the developer's own routes.

Black box over HTTP. The attacker knows the published keys; where a row asks for a hostile but well-signed token, the
test signs with the application's own key. At every door: refused, no 5xx, and the next good request succeeds.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import flask_jwt_extended as fje
import pytest
from flask import Flask, jsonify
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.crypto.forging import b64, hmac_token, part
from tests.crypto.test_claims import NO_INSTANTS, ODD_NAMES
from tests.crypto.test_jws import KIDS, NONE_SPELLINGS
from werkzeug.test import TestResponse

from portero import JWTManager, allow_all, expose
from portero.crypto import base64url, jwk
from portero.testing import running

SECRET = "q8Zr5mY2vK7dT1wX9cL4bN6hJ3gF0sPeUiAoRtMyQxWv"
PASSWORD = "correct horse battery staple"
HEADER = {"alg": "HS256", "typ": "JWT"}
FOREIGN = jwk.generate("ES256")
DOORS = {"/auth/v1/user": (401, 403, 400), "/rest/v1/notes": (401,), "/own": (401,)}


@dataclass
class World:
    """An application with one user signed in, and the means of an attacker."""

    app: Flask
    token: str
    refresh_token: str
    user_id: str
    kid: str | None = None

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of the good token."""
        found: dict[str, Any] = json.loads(base64url.decode(self.token.split(".")[1]))
        return found

    def ask(self, path: str, authorization: str | None, **options: Any) -> TestResponse:
        """Send a GET request with an Authorization header as it is given."""
        headers = dict(options.pop("headers", {}))
        if authorization is not None:
            headers["Authorization"] = authorization
        with self.app.test_client() as client:
            answer = client.get(path, headers=headers, **options)
            answer.get_data()
        return answer

    def signed(self, claims: Any, header: Any = HEADER) -> str:
        """Sign hostile claims with the application's own secret."""
        return hmac_token(header, claims, SECRET)

    def changed(self, **changes: Any) -> str:
        """Sign the good claims with some changed; `...` takes one away."""
        members = self.claims | {"jti": str(uuid4())} | changes
        return self.signed({name: value for name, value in members.items() if value is not ...})

    def refuses(self, token: str) -> None:
        """Demand that every door refuses a token, without detail, and goes on serving the good one."""
        for path, statuses in DOORS.items():
            self._check_refusal(self.ask(path, f"Bearer {token}"), path, statuses, token)
        assert 200 == self.ask("/auth/v1/user", f"Bearer {self.token}").status_code

    def takes(self, token: str) -> None:
        """Demand that every door takes a token."""
        for path in DOORS:
            answer = self.ask(path, f"Bearer {token}")
            assert answer.status_code == 200, (path, answer.get_data(as_text=True))

    @staticmethod
    def _check_refusal(answer: TestResponse, path: str, statuses: tuple[int, ...], token: str) -> None:
        text = answer.get_data(as_text=True)
        assert answer.status_code in statuses, (path, answer.status_code, text)
        assert answer.is_json
        for leak in ("Traceback", "site-packages", "cryptography", "PyJWT", "sqlite", "SELECT", SECRET):
            assert leak not in text
        if len(token) > 20:
            assert token not in text
        if path.startswith("/rest"):
            assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
            assert {"code", "message", "details", "hint"} == set(answer.get_json())


def _app() -> Flask:
    class Base(DeclarativeBase):
        pass

    @expose(select=allow_all)
    class Note(Base):
        __tablename__ = "notes"
        id: Mapped[int] = mapped_column(primary_key=True)

    app = Flask("threatened")
    app.config.update(JWT_SECRET_KEY=SECRET, PORTERO_DEV=True, PORTERO_THROTTLE_SIGN_IN=10_000)
    JWTManager(app, models=Base)
    app.extensions["models"] = [Note]  # SQLAlchemy holds them weakly, and this one is in no module

    @app.get("/own")
    @fje.jwt_required()
    def own() -> Any:
        return jsonify(fje.get_jwt_identity())

    return app


def _sign_in(app: Flask) -> World:
    with app.test_client() as client:
        form = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}
        session = client.post("/auth/v1/signup", json=form).get_json()
    return World(app, session["access_token"], session["refresh_token"], session["user"]["id"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The application as eight lines make it: HS256."""
    app = _app()
    with running(app, Path(tmp_path_factory.mktemp("threats"))):
        yield _sign_in(app)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same after `portero keys new --alg ES256`."""
    app = _app()
    with running(app, Path(tmp_path_factory.mktemp("published"))):
        ring = app.extensions["portero"].freeze(app).identity.keyring
        kid = ring.create("ES256", time.time() - 10).kid
        found = _sign_in(app)
        assert kid == json.loads(base64url.decode(found.token.split(".")[0]))["kid"]
        found.kid = kid
        yield found


def es_signed(world: World, claims: Any, **header: Any) -> str:
    """Sign hostile claims or headers with the application's published key."""
    ring = world.app.extensions["portero"].freeze(world.app).identity.keyring
    signing_input = f"{part({'alg': 'ES256', 'kid': world.kid, **header})}.{part(claims)}"
    return f"{signing_input}.{b64(ring.signing_key(time.time()).sign(signing_input.encode()))}"


def test_the_good_token_is_taken_at_every_door(world: World, published: World) -> None:
    for each in (world, published):
        each.takes(each.token)
    published.takes(es_signed(published, published.claims))
    world.takes(world.changed())


@pytest.mark.parametrize("alg", [*NONE_SPELLINGS, None, [], {}, True])
def test_jv_01_no_algorithm_is_none(world: World, alg: object) -> None:
    """JV-01: the header in any spelling, the payload of the good token, an empty or tiny signature."""
    payload = world.token.split(".")[1]
    for signature in ("", "AA"):
        world.refuses(f"{part({'alg': alg})}.{payload}.{signature}")
    world.refuses(f"{part({'typ': 'JWT'})}.{payload}.")
    escaped = b64(r'{"alg":"\u006eone"}')
    world.refuses(f"{escaped}.{payload}.")


def test_jv_02_a_published_key_is_no_secret(published: World) -> None:
    """JV-02: the JWKS as it is served, and each key in it."""
    served = published.ask("/auth/v1/.well-known/jwks.json", None).get_data()
    forms = [served, served.strip()]
    for key in json.loads(served)["keys"]:
        forms += [json.dumps(key).encode(), json.dumps(key, separators=(",", ":")).encode(), key["x"].encode()]
    for form in forms:
        published.refuses(hmac_token({"alg": "HS256", "kid": published.kid}, published.claims, form))
        published.refuses(hmac_token({"alg": "HS256"}, published.claims, form))


@pytest.mark.parametrize("alg", ["ES384", "ES512", "RS256", "PS256", "EdDSA", "HS256"])
def test_jv_03_a_sibling_algorithm_is_refused(published: World, alg: str) -> None:
    """JV-03."""
    published.refuses(es_signed(published, published.claims, alg=alg))


@pytest.mark.parametrize("secret", ["", "secret", "super-secret", "password", "changeme", "your-256-bit-secret", "jwt"])
def test_jv_04_a_guessed_secret_signs_nothing(world: World, secret: str) -> None:
    """JV-04."""
    world.refuses(hmac_token(HEADER, world.claims, secret))


def test_jv_05_a_missing_cut_or_foreign_signature_is_refused(world: World, published: World) -> None:
    """JV-05."""
    for each in (world, published):
        head, body, signature = each.token.split(".")
        length = len(base64url.decode(signature))
        other = published if each is world else world
        for wrong in ("", b64(bytes(length)), signature[:-1], other.token.split(".")[2]):
            each.refuses(f"{head}.{body}.{wrong}")
        each.refuses(f"{head}.{body}")


def test_jv_06_a_key_in_the_header_is_refused(published: World) -> None:
    """JV-06: by the attacker's key and by ours."""
    header = {"alg": "ES256", "kid": FOREIGN.kid, "jwk": dict(FOREIGN.public_jwk)}
    signing_input = f"{part(header)}.{part(published.claims)}"
    signature = jwk.signing_key(FOREIGN.kid, "ES256", FOREIGN.private_der).sign(signing_input.encode())
    published.refuses(f"{signing_input}.{b64(signature)}")
    published.refuses(es_signed(published, published.claims, jwk=dict(FOREIGN.public_jwk)))


@pytest.mark.parametrize("name", ["jku", "x5u", "x5c"])
def test_jv_07_a_link_is_refused_and_nobody_follows_it(published: World, name: str) -> None:
    """JV-07: the listener sees no connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/jwks.json"
        for link in (address, "file:///etc/hostname", "data:application/json,{}"):
            published.refuses(es_signed(published, published.claims, **{name: link}))
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("kid", ["", *KIDS])
def test_jv_08_jv_09_a_kid_is_only_a_name(world: World, kid: str) -> None:
    """JV-08, JV-09: signed with what the path, query or command would give."""
    begun = time.perf_counter()
    for secret in ("", "1", "Linux\n"):
        world.refuses(hmac_token({"alg": "HS256", "kid": kid}, world.claims, secret))
    assert time.perf_counter() - begun < 1


def test_jv_10_unknown_kids_are_cheap(published: World) -> None:
    """JV-10: no refetch, no growth; good calls between them go on."""
    token = [es_signed(published, published.claims, kid=f"unknown-{number}") for number in range(300)]
    begun = time.perf_counter()
    for each in token:
        assert 401 == published.ask("/rest/v1/notes", f"Bearer {each}").status_code
    assert time.perf_counter() - begun < 5
    published.takes(published.token)


@pytest.mark.parametrize("crit", [["exp"], ["x"], [], "exp", ["b64"]])
def test_jv_11_crit_is_refused(published: World, crit: object) -> None:
    """JV-11."""
    published.refuses(es_signed(published, published.claims, crit=crit))


@pytest.mark.parametrize("more", [{"b64": False}, {"b64": False, "crit": ["b64"]}])
def test_jv_12_an_unencoded_payload_is_refused(published: World, more: dict[str, Any]) -> None:
    """JV-12."""
    published.refuses(es_signed(published, published.claims, **more))


@pytest.mark.parametrize("name", ["sub", "role", "exp", "session_id"])
def test_jv_13_a_duplicate_member_is_refused(world: World, name: str) -> None:
    """JV-13: in the claims and in the header, well signed."""
    text = json.dumps(world.claims)
    world.refuses(world.signed(f'{{"{name}": "x", {text[1:]}'))
    world.refuses(world.signed(f'{text[:-1]}, "{name}": {json.dumps(world.claims[name])}}}'))
    world.refuses(world.signed(world.claims, '{"alg":"none","alg":"HS256"}'))


def _spellings(token: str) -> list[str]:
    head, body, signature = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    swapped = f"{head}.{body}." + (signature[:-4] + signature[-4:].replace("-", "+").replace("_", "/"))
    found = [f"{token}=", f"{token}==", f"{head}=.{body}.{signature}", f"{head}.{body}=.{signature}"]
    found += [f"{head}.{body}.{spare}", f"{head}.{body[:9]}!{body[9:]}.{signature}", f"{head}.{body}.{signature}!"]
    return found + ([swapped] if swapped != token else [])


def test_jv_14_a_token_has_one_spelling(world: World, published: World) -> None:
    """JV-14."""
    for each in (world, published):
        for variant in _spellings(each.token):
            each.refuses(variant)


def test_jv_15_after_sign_out_no_spelling_of_the_token_passes(world: World) -> None:
    """JV-15: revocation is by session, not by the bytes of a token."""
    ended = _sign_in(world.app)
    world.takes(ended.token)
    with world.app.test_client() as client:
        answer = client.post("/auth/v1/logout?scope=local", headers={"Authorization": f"Bearer {ended.token}"})
    assert 204 == answer.status_code
    for variant in (ended.token, *_spellings(ended.token)):
        world.refuses(variant)


def test_jv_16_one_credential_a_request(world: World) -> None:
    """JV-16: any case of the scheme; not two tokens, no blanks within."""
    for scheme in ("bearer", "BEARER", "Bearer"):
        for path in DOORS:
            assert 200 == world.ask(path, f"{scheme} {world.token}").status_code
    two = _sign_in(world.app).token
    for text in (f"Bearer {world.token}, Bearer {two}", f"Bearer {world.token} {two}"):
        for path, statuses in DOORS.items():
            answer = world.ask(path, text)
            assert answer.status_code in statuses, (path, answer.status_code)
    for text in (f"Bearer  {world.token}", f"Bearer\t{world.token}"):
        for path in ("/auth/v1/user", "/rest/v1/notes"):
            assert world.ask(path, text).status_code in DOORS[path]


def test_jv_16_two_authorization_headers_are_refused(world: World) -> None:
    """JV-16."""
    with world.app.test_client() as client:
        for path, statuses in DOORS.items():
            headers = [("Authorization", f"Bearer {world.token}"), ("Authorization", f"Bearer {world.token}")]
            assert client.get(path, headers=headers).status_code in statuses


def test_jv_17_a_token_in_the_url_or_the_body_is_not_looked_for(world: World) -> None:
    """JV-17."""
    for path in ("/auth/v1/user", "/own"):
        assert 401 == world.ask(f"{path}?access_token={world.token}&jwt={world.token}", None).status_code
        form = {"access_token": world.token}
        assert 401 == world.ask(path, None, data=form).status_code
    answer = world.ask(f"/rest/v1/notes?access_token={world.token}", None)
    assert 400 == answer.status_code
    assert world.token not in answer.get_data(as_text=True)


@pytest.mark.parametrize("size", [8 * 1024, 64 * 1024, 1024 * 1024])
def test_jv_18_an_oversized_token_is_refused_unread(world: World, size: int) -> None:
    """JV-18."""
    begun = time.perf_counter()
    for token in ("A" * size, f"{'A' * size}.e30.AA", world.signed({**world.claims, "x": "y" * size})):
        world.refuses(token)
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5_000, "[" * 300, "9" * 300, "NaN", "1e999", '"\\ud800"'])
def test_jv_19_a_deep_or_giant_header_is_refused(world: World, value: str) -> None:
    """JV-19: unsigned, so anybody can send it."""
    header = b64(f'{{"alg":"HS256","x":{value}}}')
    world.refuses(f"{header}.e30.AAAA")


@pytest.mark.parametrize("value", ["[" * 1500, "9" * 2900, "[" * 40 + "]" * 40, '{"a":' * 500])
def test_jv_19_a_deep_or_giant_payload_is_refused(world: World, value: str) -> None:
    """JV-19: well signed."""
    world.refuses(world.signed(f'{{"sub":"x","x":{value}}}'))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "dir", "enc": "A256GCM", "zip": "DEF"},
        {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 1_000_000_000, "p2s": "AAAA"},
        {"alg": "RSA1_5", "enc": "A128CBC-HS256"},
    ],
)
def test_jv_20_an_encrypted_token_is_refused_undecoded(world: World, header: dict[str, Any]) -> None:
    """JV-20."""
    world.refuses(f"{part(header)}.{'A' * 100}.AAAA.{'A' * 1000}.AAAA")


def test_jv_21_the_json_forms_are_refused(world: World) -> None:
    """JV-21."""
    head, body, signature = world.token.split(".")
    world.refuses(json.dumps({"payload": body, "protected": head, "signature": signature}, separators=(",", ":")))
    world.refuses(f'{{"a":"{head}.{body}.{signature}"}}')


def test_jv_22_an_expired_token_is_refused_after_thirty_seconds(world: World) -> None:
    """JV-22: the leeway is documented."""
    now = int(time.time())
    world.refuses(world.changed(exp=now - 31, iat=now - 600))
    for path in ("/auth/v1/user", "/rest/v1/notes"):
        assert 200 == world.ask(path, f"Bearer {world.changed(exp=now - 1, iat=now - 600)}").status_code


def test_jv_22_an_expired_published_key_token_is_refused(published: World) -> None:
    """JV-22."""
    now = int(time.time())
    published.refuses(es_signed(published, {**published.claims, "exp": now - 31, "iat": now - 600}))


def test_jv_23_a_token_of_the_future_is_refused(world: World) -> None:
    """JV-23."""
    now = time.time()
    world.refuses(world.changed(nbf=now + 35))
    world.refuses(world.changed(iat=now + 3600, exp=now + 7000))
    world.takes(world.changed(nbf=now + 10, iat=now + 10, exp=now + 600))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "exp", "iat", "jti"])
def test_jv_24_a_missing_claim_is_refused(world: World, name: str) -> None:
    """JV-24."""
    world.refuses(world.changed(**{name: ...}))


def test_jv_24_a_token_without_a_session_is_refused(world: World) -> None:
    """JV-24: at our doors; on the developer's own routes it is a token of theirs, made with their key."""
    token = world.changed(session_id=...)
    for path in ("/auth/v1/user", "/rest/v1/notes"):
        assert world.ask(path, f"Bearer {token}").status_code in (401, 403)


@pytest.mark.parametrize("value", NO_INSTANTS)
def test_jv_25_an_instant_that_is_none_is_refused(world: World, value: Any) -> None:
    """JV-25."""
    for name in ("exp", "iat"):
        world.refuses(world.changed(**{name: value}))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "9" * 2500, "1e308", "-1"])
def test_jv_25_a_number_that_is_none_is_refused(world: World, text: str) -> None:
    """JV-25."""
    members = json.dumps({name: value for name, value in world.claims.items() if name != "exp"})
    world.refuses(world.signed(f'{members[:-1]}, "exp": {text}}}'))


def test_jv_26_a_token_for_ten_years_is_refused(world: World) -> None:
    """JV-26."""
    world.refuses(world.changed(exp=int(time.time()) + 315_360_000))


@pytest.mark.parametrize("aud", ["other", "", [], ["authenticated"], ["x"], {"a": 1}, [["authenticated"]], None])
def test_jv_27_another_audience_is_refused(world: World, aud: object) -> None:
    """JV-27."""
    world.refuses(world.changed(aud=aud))


def test_jv_28_another_issuer_is_refused(world: World) -> None:
    """JV-28: prefix, suffix, slash, case, list."""
    own = world.claims["iss"]
    for issuer in (own[:-1], own + "x", own + "/", own.upper(), [own], "", None, "https://attacker.example"):
        world.refuses(world.changed(iss=issuer))


@pytest.mark.parametrize("sub", ODD_NAMES)
def test_jv_29_an_odd_subject_is_refused(world: World, sub: Any) -> None:
    """JV-29."""
    world.refuses(world.changed(sub=sub))


def test_jv_29_an_unknown_subject_or_session_is_refused(world: World) -> None:
    """JV-29: who is not there, whose session is another's, and no session at all."""
    other = _sign_in(world.app)
    world.refuses(world.changed(session_id=str(uuid4())))
    world.refuses(world.changed(sub=str(uuid4()), session_id=str(uuid4())))
    for sub in (str(uuid4()), other.user_id):
        world.refuses(world.changed(sub=sub))


def test_jv_30_other_tokens_are_no_access_tokens(world: World) -> None:
    """JV-30: refresh token, API keys, other typ; a developer's token at our doors."""
    world.refuses(world.refresh_token)
    for typ in ("rt+jwt", "id+jwt", "logout+jwt", "", [], 5):
        world.refuses(world.signed(world.claims, {**HEADER, "typ": typ}))
    world.takes(world.signed(world.claims, {**HEADER, "typ": "application/at+jwt"}))
    with world.app.app_context():
        claims = {"role": "service_role", "session_id": world.claims["session_id"], "iss": world.claims["iss"]}
        own = fje.create_access_token(world.user_id, additional_claims=claims)
    assert 200 == world.ask("/own", f"Bearer {own}").status_code
    assert 403 == world.ask("/auth/v1/user", f"Bearer {own}").status_code
    assert 401 == world.ask("/rest/v1/notes", f"Bearer {own}").status_code
    for role in ("anon", "service_role"):
        key = world.signed({"role": role, "iat": int(time.time())})
        assert world.ask("/auth/v1/user", f"Bearer {key}").status_code in (401, 403)
        assert 401 == world.ask("/own", f"Bearer {key}").status_code


def test_jv_31_an_access_token_is_nothing_else(world: World) -> None:
    """JV-31: not a refresh token, not an API key; nothing changes."""
    with world.app.test_client() as client:
        answer = client.post("/auth/v1/token?grant_type=refresh_token", json={"refresh_token": world.token})
        assert answer.status_code in (400, 401)
    assert 401 == world.ask("/rest/v1/notes", None, headers={"apikey": world.token}).status_code
    world.takes(world.token)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": ["HS256"]},
        {"alg": {}},
        {"alg": 5},
        {"alg": "HS256", "kid": 1},
        {"alg": "HS256", "kid": ["a"]},
        {"alg": "HS256", "typ": {}},
        [],
        None,
        '"x"',
        "null",
        "{",
        b"\xff\xfe",
    ],
)
def test_jv_32_a_header_of_wrong_types_is_refused(world: World, header: Any) -> None:
    """JV-32: also where the signature would fit."""
    world.refuses(world.signed(world.claims, header))


def test_jv_33_a_right_in_the_token_is_not_believed_where_the_row_says_otherwise(world: World) -> None:
    """JV-33: app_metadata is read from the row; the role is bound to the session, which ends when it changes."""
    token = world.changed(app_metadata={"roles": ["admin"]})
    assert {"provider": "email", "providers": ["email"]} == world.ask("/auth/v1/user", f"Bearer {token}").get_json()[
        "app_metadata"
    ]


def test_jv_34_a_rotation_keeps_and_a_retirement_ends(tmp_path: Path) -> None:
    """JV-34: old tokens pass, new ones have the newest kid, both are published; after retirement the old ones fail."""
    app = _app()
    with running(app, tmp_path):
        ring = app.extensions["portero"].freeze(app).identity.keyring
        plain = _sign_in(app)
        now = time.time()
        first = ring.create("ES256", now - 9000).kid
        old = _sign_in(app)
        second = ring.rotate(now - 5000).kid
        new = _sign_in(app)
        kids = [json.loads(base64url.decode(each.token.split(".")[0])).get("kid") for each in (plain, old, new)]
        assert [None, first, second] == kids
        served = new.ask("/auth/v1/.well-known/jwks.json", None).get_json()
        assert {first, second} == {key["kid"] for key in served["keys"]}
        for each in (plain, old, new):
            new.takes(each.token)
        ring.retire(first, now)
        new.refuses(old.token)
        new.takes(new.token)
        new.takes(plain.token)


def test_jv_35_what_is_published_is_public(published: World) -> None:
    """JV-35."""
    answer = published.ask("/auth/v1/.well-known/jwks.json", None)
    assert 200 == answer.status_code
    cache = answer.headers["Cache-Control"]
    assert "public" in cache
    assert "max-age" in cache
    keys = answer.get_json()["keys"]
    assert [published.kid] == [key["kid"] for key in keys]
    for key in keys:
        assert {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}.isdisjoint(key)
        assert key["kty"] != "oct"
        assert jwk.thumbprint(key) == key["kid"]
