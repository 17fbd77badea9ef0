"""`portero.jwt_required` beside Flask-JWT-Extended's own: whatever is asked, answers and calls of loaders agree."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask_jwt_extended as fje
import pytest
from flask import Flask, jsonify
from flask.testing import FlaskClient

import portero
from portero import JWTManager
from portero.testing import SignedInClient, running

SECRET = "q8Zr5mY2vK7dT1wX9cL4bN6hJ3gF0sPeUiAoRtMyQxWv"

#: What is said of the token in the Authorization header; T is the token.
VALUES = [
    None,
    "",
    "T",
    "Bearer T",
    "bearer T",
    "BEARER T",
    "Bearer  T",
    " Bearer T ",
    "Bearer T,",
    "Bearer T, Basic eDp5",
    "Basic eDp5, Bearer T",
    "Bearer T Bearer T",
    "Bearer T, Bearer T",
    "Bearer",
    "Bearer ",
    "JWT T",
    "Bearer TT",
]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "optional": {"optional": True},
    "fresh": {"fresh": True},
    "refresh": {"refresh": True},
    "headers": {"locations": ["headers"]},
    "cookies": {"locations": "cookies"},
    "any-type": {"verify_type": False},
    "unasked": {"skip_revocation_check": True},
}
CONFIGS: list[dict[str, Any]] = [
    {},
    {"JWT_TOKEN_LOCATION": "headers"},
    {"JWT_TOKEN_LOCATION": ["headers", "cookies"]},
    {"JWT_TOKEN_LOCATION": ["cookies", "headers"]},
    {"JWT_TOKEN_LOCATION": ["cookies"]},
    {"JWT_HEADER_TYPE": "JWT"},
    {"JWT_HEADER_TYPE": ""},
    {"JWT_HEADER_NAME": "X-Token"},
    {"JWT_IDENTITY_CLAIM": "email"},
]

Made = tuple[Flask, list[Any]]


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Callable[..., Made]]:
    """Build an application whose every protected view is there twice, and the list of what its loaders were given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        yield lambda **config: _made(tmp_path, config)


def _made(folder: Path, config: dict[str, Any]) -> Made:
    app = Flask("twice", instance_path=str(folder / "instance"))
    app.config.update({"JWT_SECRET_KEY": SECRET, "TESTING": True, "PORTERO_DEV": True} | config)
    manager, given = JWTManager(app), []

    @manager.token_in_blocklist_loader
    def is_blocked(header: Any, claims: Any) -> bool:
        given.append(("blocklist", header, claims))
        return bool(claims["user_metadata"].get("blocked")) if "user_metadata" in claims else False

    @manager.token_verification_loader
    def is_fine(header: Any, claims: Any) -> bool:
        given.append(("verification", header, claims))
        return "odd" not in str(claims.get("email"))

    @manager.user_lookup_loader
    def look_up(header: Any, claims: Any) -> Any:
        given.append(("lookup", header, claims))
        return None if "gone" in str(claims.get("email")) else f"row of {claims['sub']}"

    for name, options in OPTIONS.items():
        for kind in (fje, portero):
            app.add_url_rule(f"/{kind.__name__}/{name}", f"{kind.__name__}-{name}", kind.jwt_required(**options)(seen))
    return app, given


def folder_of(app: Flask) -> Path:
    return Path(app.instance_path).parent


def seen() -> Any:
    """Everything that a view can ask for."""
    assert portero.get_jwt_identity() == fje.get_jwt_identity()
    return jsonify(
        identity=fje.get_jwt_identity(),
        claims=fje.get_jwt(),
        header=fje.get_jwt_header(),
        place=fje.get_jwt_request_location(),
        user=fje.get_current_user(),
    )


def both(client: FlaskClient, made: Made, name: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Ask both views, demand that they agree, and give what they answered."""
    answers = []
    for kind in (fje, portero):
        made[1].clear()
        answer = client.get(f"/{kind.__name__}/{name}", headers=headers)
        answers.append((answer.status_code, answer.json, list(made[1])))
    assert answers[0] == answers[1]
    return answers[0][:2]


def the_short_way_is_taken(client: FlaskClient, headers: dict[str, str]) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fje, "verify_jwt_in_request", lambda *_: pytest.fail("the long way"))
        return client.get("/portero/plain", headers=headers).status_code == 200


def warm(user: SignedInClient) -> None:
    """Have the token's signature verified once."""
    assert 200 == user.get("/auth/v1/user").status_code


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_way_of_sending_a_token_is_judged_alike(make_app: Callable[..., Made], config: dict[str, Any]) -> None:
    made = make_app(**config)
    with running(made[0], folder_of(made[0])) as api:
        anna, client = api.sign_in("anna"), made[0].test_client()
        warm(anna)
        client.set_cookie("access_token_cookie", anna.access_token)
        name = config.get("JWT_HEADER_NAME", "Authorization")
        statuses = set()
        for value in VALUES:
            headers = {} if value is None else {name: value.replace("T", anna.access_token, value.count("T"))}
            statuses |= {both(client, made, option, headers)[0] for option in OPTIONS}
        assert {200, 401} <= statuses


def test_a_session_ended_or_banned_or_refused_by_a_loader_is_refused_alike(make_app: Callable[..., Made]) -> None:
    made = make_app()
    with running(made[0], folder_of(made[0])) as api:
        client = made[0].test_client()
        people = {name: api.sign_in(name) for name in ("anna", "ben", "odd", "gone", "blocked")}
        for person in people.values():
            warm(person)
        assert the_short_way_is_taken(client, bearer(people["anna"].access_token))
        people["anna"].post("/auth/v1/logout")
        with made[0].app_context():
            portero.users.ban(people["ben"].user.id)
        people["blocked"].put("/auth/v1/user", json={"data": {"blocked": True}})
        answers = {name: both(client, made, "plain", bearer(person.access_token)) for name, person in people.items()}
        assert {
            "anna": (401, {"msg": "Token has been revoked"}),
            "ben": (401, {"msg": "Token has been revoked"}),
            "odd": (400, {"msg": "User claims verification failed"}),
            "gone": (401, {"msg": f"Error loading the user {people['gone'].user.id}"}),
        } == {name: answer for name, answer in answers.items() if name != "blocked"}
        assert 200 == answers["blocked"][0], "what its token says was true when it was made"
        assert 200 == both(client, made, "unasked", bearer(people["anna"].access_token))[0]
        refreshed = client.post(
            "/auth/v1/token?grant_type=refresh_token", json={"refresh_token": people["blocked"].refresh_token}
        ).json
        assert (401, {"msg": "Token has been revoked"}) == both(
            client, made, "plain", bearer(refreshed["access_token"])
        )


def test_a_developers_own_tokens_are_judged_alike(make_app: Callable[..., Made]) -> None:
    made = make_app()
    with running(made[0], folder_of(made[0])), made[0].app_context():
        good = portero.create_access_token("anna")
        late = portero.create_access_token("anna", expires_delta=timedelta(seconds=-60))
        for _ in range(2):
            statuses = [
                both(made[0].test_client(), made, "plain", bearer(token))[0] for token in (good, late, good[:-9])
            ]
            assert [200, 401, 401] == statuses


def test_what_a_view_writes_into_the_claims_is_gone_at_the_next_request(make_app: Callable[..., Made]) -> None:
    app, _ = make_app()

    @app.get("/writes")
    @portero.jwt_required()
    def writes() -> Any:
        before = jsonify(fje.get_jwt() | {"header": fje.get_jwt_header()})
        fje.get_jwt()["app_metadata"]["role"] = "owner"
        fje.get_jwt()["amr"][0]["method"] = "totp"
        fje.get_jwt()["session_id"] = "another"
        fje.get_jwt_header()["kid"] = "another"
        return before

    with running(app, folder_of(app)) as api:
        anna = api.sign_in("anna")
        warm(anna)
        assert the_short_way_is_taken(app.test_client(), bearer(anna.access_token))
        assert anna.get("/writes").json == anna.get("/writes").json
        assert "owner" not in anna.get("/auth/v1/user").text


def test_nobody_is_told_who_asks_before_a_token_was_verified(make_app: Callable[..., Made]) -> None:
    app, _ = make_app()
    for context in (app.test_request_context(), contextlib.nullcontext()):
        with context, pytest.raises(RuntimeError) as theirs:
            fje.get_jwt_identity()
        with context, pytest.raises(RuntimeError, match=f"^{re.escape(str(theirs.value))}$"):
            portero.get_jwt_identity()


def test_an_application_decides_how_views_are_run(make_app: Callable[..., Made]) -> None:
    app, _ = make_app()
    run: list[Any] = []

    def ensure_sync(view: Callable[..., Any]) -> Callable[..., Any]:
        run.append(view)
        return view

    app.ensure_sync = ensure_sync  # type: ignore[method-assign]
    with running(app, folder_of(app)) as api:
        assert 200 == api.sign_in("anna").get("/portero/plain").status_code
        assert seen in run


def test_another_manager_that_takes_over_is_asked_itself(make_app: Callable[..., Made]) -> None:
    app, _ = make_app()
    with running(app, folder_of(app)) as api:
        anna = api.sign_in("anna")
        warm(anna)
        assert the_short_way_is_taken(app.test_client(), bearer(anna.access_token))
        other = fje.JWTManager()
        other.token_in_blocklist_loader(lambda *_: True)
        app.extensions["flask-jwt-extended"] = other
        assert 401 == anna.get("/portero/plain").status_code
