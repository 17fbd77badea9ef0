"""The busiest routes are answered in front of Flask, and nobody can tell: web/auth_mount.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask import Flask, Response, request, request_started
from flask.sessions import SecureCookieSessionInterface
from tests.identity.people import PASSWORD, SECRET
from tests.web.callers import Api

from portero import JWTManager, on

Make = Callable[..., Api]
PASSWORD_GRANT = "/token?grant_type=password"
REFRESH_GRANT = "/token?grant_type=refresh_token"


class Witness:
    """Counts the requests that come to Flask."""

    def __init__(self, app: Flask) -> None:
        self.seen = 0
        self._behind = app.full_dispatch_request
        app.full_dispatch_request = self._counted  # type: ignore[method-assign]

    def _counted(self) -> Response:
        self.seen += 1
        return self._behind()


@pytest.fixture
def witness(api: Api) -> Witness:
    """Who sees what Flask sees of an application that has answered already."""
    api.call("GET", "/user")
    return Witness(api.app)


def through_flask(api: Api, method: str, path: str, **sent: Any) -> Any:
    """Call where a signal has a receiver, which sends every request to Flask."""
    with request_started.connected_to(lambda app: None):
        return api.call(method, path, **sent)


def said(found: Any) -> tuple[int, list[tuple[str, str]], bytes]:
    return found.status_code, sorted(found.headers), found.data


def test_a_sign_in_a_refresh_a_look_at_oneself_and_a_sign_out_do_not_come_to_flask(api: Api, witness: Witness) -> None:
    api.sign_up()
    witness.seen = 0
    session = api.call("POST", PASSWORD_GRANT, json={"email": "ann@example.org", "password": PASSWORD}).get_json()
    renewed = api.call("POST", REFRESH_GRANT, json={"refresh_token": session["refresh_token"]}).get_json()
    token = renewed["access_token"]
    assert 200 == api.call("GET", "/user", token=token).status_code
    assert 204 == api.call("POST", "/logout", token=token).status_code
    assert 403 == api.call("GET", "/user", token=token).status_code
    assert 0 == witness.seen


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "/user", {}),
        ("GET", "/user", {"headers": {"Authorization": "Bearer x.y.z", "Origin": "https://a.example"}}),
        ("GET", "/user", {"headers": {"X-Supabase-Api-Version": "2024-01-01"}}),
        ("POST", "/logout", {}),
        ("POST", "/logout?scope=x", {"token": "x.y.z"}),
        ("POST", "/token", {"json": {}}),
        ("POST", "/token", {"json": {}, "environ_overrides": {"QUERY_STRING": "grant_type=\xff"}}),
        ("POST", "/token?grant_type=nothing", {"json": {}}),
        ("POST", "/token?grant_type=password&grant_type=password", {"json": {}}),
        ("POST", "/token?grant_type=pass%77ord", {"json": {"email": "a@b.example", "password": "wrong"}}),
        ("POST", PASSWORD_GRANT, {"json": {"email": "a@b.example", "password": "wrong"}}),
        ("POST", PASSWORD_GRANT, {"json": {"email": "a@b.example"}, "headers": {"Origin": "https://a.example"}}),
        ("POST", PASSWORD_GRANT, {"json": {"email": 1}}),
        ("POST", REFRESH_GRANT, {"json": {"refresh_token": "x"}, "headers": {"apikey": "unknown"}}),
        ("POST", REFRESH_GRANT, {"json": {"refresh_token": "x"}}),
        ("POST", REFRESH_GRANT, {"data": b"{"}),
        ("POST", REFRESH_GRANT, {"data": b"x" * 16_385}),
        ("POST", REFRESH_GRANT, {"data": b"x" * 16_384}),
        ("POST", REFRESH_GRANT, {"data": b"{}", "headers": {"Content-Encoding": "gzip"}}),
        ("POST", REFRESH_GRANT, {"data": b"{}", "headers": {"Content-Length": "5"}}),
        ("POST", REFRESH_GRANT, {"data": b"{}", "headers": {"Content-Length": "x"}}),
        ("POST", REFRESH_GRANT, {}),
    ],
)
def test_an_answer_is_the_same_as_flasks(
    api: Api, witness: Witness, method: str, path: str, sent: dict[str, Any]
) -> None:
    """Status, headers and body, of refusals by every part of the way."""
    in_front = api.call(method, path, **sent)
    assert 0 == witness.seen
    behind = through_flask(api, method, path, **sent)
    assert 1 == witness.seen
    assert said(behind) == said(in_front)


def test_a_token_answer_has_the_same_headers_and_members_as_flasks(api: Api, witness: Witness) -> None:
    api.sign_up()
    asked = {"json": {"email": "ann@example.org", "password": PASSWORD}}
    found = [ask("POST", PASSWORD_GRANT, **asked) for ask in (api.call, partial(through_flask, api))]
    names = [(each.status, [name for name, _ in each.headers], list(each.get_json())) for each in found]
    assert names[1] == names[0]


def test_a_sign_out_is_answered_as_by_flask(api: Api, witness: Witness) -> None:
    found = [
        ask("POST", "/logout", token=api.sign_up(f"{number}@a.example")["access_token"])
        for number, ask in enumerate((api.call, partial(through_flask, api)))
    ]
    assert 204 == found[0].status_code
    assert said(found[1]) == said(found[0])


def before(app: Flask, seen: list[str]) -> None:
    app.before_request(lambda: seen.append(request.path))


def after(app: Flask, seen: list[str]) -> None:
    @app.after_request
    def note(response: Response) -> Response:
        seen.append(request.path)
        return response


def teardown(app: Flask, seen: list[str]) -> None:
    app.teardown_request(lambda error: seen.append(request.path))


def own_session(app: Flask, seen: list[str]) -> None:
    class Own(SecureCookieSessionInterface):
        def open_session(self, app: Any, request: Any) -> Any:
            seen.append(request.path)
            return super().open_session(app, request)

    app.session_interface = Own()


def preprocessor(app: Flask, seen: list[str]) -> None:
    app.url_value_preprocessor(lambda endpoint, values: seen.append(request.path))


def wrapped_view(app: Flask, seen: list[str]) -> None:
    """As limiters and the like do it."""
    endpoint = "portero.GET:/user"
    view = app.view_functions[endpoint]

    def counted(**arguments: Any) -> Any:
        seen.append(request.path)
        return view(**arguments)

    app.view_functions[endpoint] = counted


def wrapped_method(app: Flask, seen: list[str]) -> None:
    dispatch = app.dispatch_request

    def counted() -> Any:
        seen.append(request.path)
        return dispatch()

    app.dispatch_request = counted  # type: ignore[method-assign]


@pytest.mark.parametrize("hang", [before, after, teardown, own_session, preprocessor, wrapped_view, wrapped_method])
def test_what_an_application_hangs_on_its_requests_sees_every_one(
    api: Api, hang: Callable[[Flask, list[str]], None]
) -> None:
    seen: list[str] = []
    hang(api.app, seen)
    for _ in range(3):
        api.call("GET", "/user")
    assert 3 * ["/auth/v1/user"] == seen


def test_a_route_of_the_application_that_stands_before_ours_answers_in_front_too(make: Make) -> None:
    held = make().runtime
    app = Flask("app")
    app.config.update(JWT_SECRET_KEY=SECRET, PORTERO_DATABASE_URL="sqlite:///unused.db")
    app.add_url_rule("/auth/v1/user", "own", lambda: "own")
    JWTManager(app).hold(app, held)
    assert 3 * [b"own"] == [app.test_client().get("/auth/v1/user").data for _ in range(3)]


def test_subdomains_are_for_flask(api: Api) -> None:
    api.app.subdomain_matching = True
    api.app.config["SERVER_NAME"] = "a.example"
    bases = ["http://a.example", "http://a.example", "http://other.a.example"]
    found = [api.call("GET", "/user", base_url=base).status_code for base in bases]
    assert [401, 401, 404] == found


def test_a_cookie_that_holds_a_session_is_for_flask(api: Api, witness: Witness) -> None:
    """A session may have to be given back with any answer."""
    client = api.app.test_client()
    client.set_cookie("session", "x")
    client.get("/auth/v1/user")
    assert 1 == witness.seen


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What a signal of Flask's told somebody."""
    seen: list[str] = []

    def note(app: Flask, **_: Any) -> None:
        seen.append(request.path)

    with request_started.connected_to(note):
        yield seen


def test_a_signal_is_sent_with_every_request(api: Api, witness: Witness, heard: list[str]) -> None:
    for _ in range(2):
        api.call("GET", "/user")
    assert 2 * ["/auth/v1/user"] == heard


def test_a_handler_of_a_status_comes_first_as_in_flask(api: Api) -> None:
    api.app.register_error_handler(413, lambda error: ("too long", 413))
    found = [api.call("POST", REFRESH_GRANT, data=b"x" * 17_000).data for _ in range(2)]
    assert 2 * [b"too long"] == found


def test_a_hook_may_look_at_the_request(make: Make) -> None:
    seen: list[str] = []

    @on("custom_access_token")
    def note(asked: Any) -> None:
        seen.append(request.path)

    api = make(hooks=[note])
    api.sign_up()
    for _ in range(2):
        api.call("POST", PASSWORD_GRANT, json={"email": "ann@example.org", "password": PASSWORD})
    assert 2 * ["/auth/v1/token"] == seen[-2:]


def test_a_test_client_may_look_into_the_context_after_an_answer(api: Api, witness: Witness) -> None:
    with api.app.test_client() as client:
        client.get("/auth/v1/user")
        assert "/auth/v1/user" == request.path
