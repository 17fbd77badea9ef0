"""Tokens of sessions in cookies on the developer's own routes: the CSRF value belongs to the session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_jwt_extended as fje
import pytest
from flask import Flask, jsonify
from flask.testing import FlaskClient

import portero
from portero import JWTManager

SECRET = "q8Zr5mY2vK7dT1wX9cL4bN6hJ3gF0sPeUiAoRtMyQxWv"
FORMER = "Hn3kV8sQ1xZ6tB9wM4cR7yL2pD5fJ0gAeUiOoTrEwQaS"
PASSWORD = "correct horse battery staple"

MakeApp = Callable[..., Flask]


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[MakeApp]:
    """Build Flask applications over one database, their tokens in cookies."""
    made: list[Flask] = []

    def make(**config: Any) -> Flask:
        app = Flask(f"app{len(made)}", instance_path=str(tmp_path / "instance"))
        settings = {"JWT_SECRET_KEY": SECRET, "TESTING": True, "PORTERO_DEV": True, "JWT_TOKEN_LOCATION": ["cookies"]}
        app.config.update(settings | config)
        made.append(app)
        add_routes(app)
        return app

    yield make
    for app in made:
        app.extensions["portero"].close(app)


def add_routes(app: Flask) -> None:
    JWTManager(app)

    @app.post("/sign-in/<name>")
    def sign_in(name: str) -> Any:
        response = jsonify(ok=True)
        fje.set_access_cookies(response, portero.sign_in(f"{name}@example.org", PASSWORD).access_token)
        return response

    @app.post("/own")
    @fje.jwt_required()
    def own_route() -> Any:
        return jsonify(csrf=fje.get_jwt()["csrf"])


def signed_in(app: Flask, name: str, *, is_new: bool = True) -> tuple[FlaskClient, str]:
    """A browser with the cookies of a session, and what its page sends with unsafe requests."""
    client = app.test_client()
    if is_new:
        client.post("/auth/v1/signup", json={"email": f"{name}@example.org", "password": PASSWORD})
    assert 200 == client.post(f"/sign-in/{name}").status_code
    csrf = client.get_cookie("csrf_access_token")
    assert csrf is not None
    return client, csrf.value


def posted(client: FlaskClient, csrf: str | None = None, **options: Any) -> int:
    headers = {} if csrf is None else {"X-CSRF-TOKEN": csrf}
    return client.post("/own", headers=headers, **options).status_code


def test_a_session_in_cookies_has_a_csrf_value_of_its_own(make_app: MakeApp) -> None:
    """Threats BR-02, BR-03: none, a made up one, another user's, another session's are refused."""
    app = make_app()
    anna, of_anna = signed_in(app, "anna")
    ben, of_ben = signed_in(app, "ben")
    _, of_annas_next = signed_in(app, "anna", is_new=False)
    assert (200, 200) == (posted(anna, of_anna), posted(ben, of_ben))
    assert 3 == len({of_anna, of_ben, of_annas_next})
    for wrong in (None, "", "junk", of_ben, of_annas_next, of_anna[:-1], of_anna + "0", "\xe9"):
        assert 401 == posted(anna, wrong), wrong


def test_a_cookie_and_a_header_of_the_same_random_value_are_refused(make_app: MakeApp) -> None:
    """Threats BR-04: who can set a cookie cannot make the value that the server computes."""
    app = make_app()
    anna, _ = signed_in(app, "anna")
    anna.set_cookie("csrf_access_token", "random")
    assert 401 == posted(anna, "random")


def test_a_form_field_of_a_foreign_page_is_no_csrf_value(make_app: MakeApp) -> None:
    app = make_app(JWT_CSRF_CHECK_FORM=True)
    anna, csrf = signed_in(app, "anna")
    assert 401 == posted(anna, data={"csrf_token": "junk"})
    assert 200 == posted(anna, data={"csrf_token": csrf})


def test_a_csrf_value_ends_with_its_session_and_outlives_a_change_of_the_secret(make_app: MakeApp) -> None:
    app = make_app(JWT_SECRET_KEY=FORMER)
    anna, csrf = signed_in(app, "anna")
    token = anna.get_cookie("access_token_cookie")
    assert token is not None
    app.extensions["portero"].close(app)
    app = make_app(JWT_SECRET_KEY_FALLBACKS=[FORMER])
    later = app.test_client()
    later.set_cookie("access_token_cookie", token.value)
    assert 200 == posted(later, csrf)
    later.post("/auth/v1/logout", headers={"Authorization": f"Bearer {token.value}"})
    assert 401 == posted(later, csrf)


def test_an_expired_session_in_a_cookie_is_told_so(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a value that is no ASCII is refused of a token of `create_access_token` too."""
    app = make_app()
    anna, csrf = signed_in(app, "anna")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7200)
    assert "Token has expired" == anna.post("/own", headers={"X-CSRF-TOKEN": csrf}).get_json()["msg"]
    monkeypatch.undo()
    with app.app_context():
        anna.set_cookie("access_token_cookie", fje.create_access_token("anna"))
    assert 401 == posted(anna, "\xe9")
