"""What holds for every answer of /auth/v1: JSON, headers, origins, sizes (threats BR-09 to BR-13, §1.7, §1.8)."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from tests.data import scene
from tests.web.callers import Api, code_of
from tests.web.described_app import make_app

from portero.errors import AuthError, DatabaseUnavailable, DataError, InvalidToken, TokenFault, TooBusy
from portero.store.driver_calls import Again
from portero.testing import running
from portero.web import problems
from portero.web.runtime import Runtime, runtime

Make = Callable[..., Api]
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Authorization, Cookie, Origin, apikey",
}


def break_store(api: Api) -> None:
    """Take the users' table away, so that a view meets what nobody foresaw."""
    with api.context.database.writing() as connection:
        connection.execute(sa.text("DROP TABLE portero_sessions"))


@pytest.mark.parametrize(
    ("status", "method", "path"),
    [
        (200, "GET", "/settings"),
        (400, "POST", "/signup"),
        (401, "GET", "/user"),
        (404, "GET", "/nothing"),
        (404, "GET", "/user/x.css"),
        (404, "GET", "/USER"),
        (404, "GET", "/./user"),
        (404, "GET", "/user;x"),
        (404, "GET", ""),
        (405, "DELETE", "/user"),
        (405, "TRACE", "/user"),
        (405, "PROPFIND", "/token"),
        (405, "FOO", "/signup"),
        (413, "POST", "/token?grant_type=password"),
        (415, "POST", "/token?grant_type=password&gzip"),
    ],
)
def test_every_answer_is_json_with_the_security_headers(make: Make, status: int, method: str, path: str) -> None:
    """Threats BR-11, BR-12, BR-13, BR-17, HT-07, HT-11: also where nothing was found and nothing was allowed."""
    api = make(url="https://portero.example")
    data = b"x" * 17_000 if status == 413 else None
    sent = {"Content-Encoding": "gzip"} if "gzip" in path else {}
    found = api.call(method, path, data=data, headers=sent)
    assert status == found.status_code
    assert "application/json" == found.mimetype
    assert isinstance(found.get_json(), dict)
    for name, value in HEADERS.items():
        assert value == found.headers[name]
    assert "max-age=31536000; includeSubDomains" == found.headers["Strict-Transport-Security"]
    assert "Server" not in found.headers
    assert "X-Powered-By" not in found.headers
    if status == 405:
        assert "Allow" in found.headers


def test_without_https_there_is_no_hsts(api: Api) -> None:
    assert "Strict-Transport-Security" not in api.call("GET", "/health").headers


def test_a_fault_is_500_in_the_contracts_words_and_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Threats OP-01: nothing of the cause leaves the house; the log has it."""
    token = api.sign_up()["access_token"]
    break_store(api)
    caplog.set_level(logging.ERROR)
    found = api.call("GET", "/user", token=token, old=True)
    body = found.get_json()
    assert 36 == len(body.pop("error_id"))
    assert {
        "code": 500,
        "error_code": "unexpected_failure",
        "msg": "Unexpected failure, please check server logs for more information",
    } == body
    assert "no such table" in caplog.text
    assert token not in caplog.text


def test_not_now_is_503_and_one_line_in_the_log(
    api: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is foreseen, so it has no trace: a busy hour would fill the log."""

    def busy(*_: object) -> None:
        raise DatabaseUnavailable("every connection is in use")

    token = api.sign_up()["access_token"]
    monkeypatch.setattr(api.context.database, "fetch_all", busy)
    caplog.set_level(logging.WARNING)
    caplog.clear()
    assert 503 == api.call("GET", "/user", token=token).status_code
    assert ["GET /auth/v1/user answered 503: every connection is in use"] == [
        record.getMessage() for record in caplog.records
    ]
    assert [None] == [record.exc_info for record in caplog.records]


def test_a_body_over_16_kib_is_refused_while_it_is_read(api: Api) -> None:
    """Threats HT-01: with a length, and in chunks of which nobody said how many come."""
    big = b'{"email": "' + b"a" * 17_000 + b'"}'
    for more in ({"data": big}, {"input_stream": BytesIO(big), "environ_overrides": {"wsgi.input_terminated": True}}):
        found = api.call("POST", "/signup", **more)
        assert (413, "request_entity_too_large") == code_of(found)
    fitting = b'{"email": "a@b.org", "password": "seven wet stones", "x": "' + b"a" * 16_000 + b'"}'
    assert 200 == api.call("POST", "/signup", data=fitting).status_code


def test_pages_of_any_origin_may_call_without_cookies(api: Api) -> None:
    """Overrides.md "CORS": header tokens; without X-Supabase-Api-Version exposed clients lose every code."""
    for path, status in (("/settings", 200), ("/user", 401), ("/nothing", 404)):
        found = api.call("GET", path, headers={"Origin": "https://any.example"})
        assert (status, "*") == (found.status_code, found.headers["Access-Control-Allow-Origin"])
        assert "X-Supabase-Api-Version" in found.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in found.headers
    assert "Access-Control-Allow-Origin" not in api.call("GET", "/settings").headers


def test_a_preflight_allows_what_the_clients_send_and_asks_nobody(api: Api) -> None:
    """Threats HT-13: OPTIONS runs no view and no statement."""
    break_store(api)
    found = api.call(
        "OPTIONS", "/user", headers={"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    )
    assert (204, b"") == (found.status_code, found.get_data())
    allowed = {name.lower() for name in found.headers["Access-Control-Allow-Headers"].split(", ")}
    assert {"apikey", "authorization", "content-type", "x-client-info", "x-supabase-api-version"} <= allowed
    assert {"x-retry-count", "traceparent", "tracestate", "baggage", "x-jwt-aud", "x-use-cookie"} <= allowed
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(found.headers["Access-Control-Allow-Methods"].split(", "))


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://good.example.evil.com",
        "https://evilgood.example",
        "http://good.example",
        "https://good.example:444",
    ],
)
def test_with_a_list_of_origins_only_those_may_call(make: Make, origin: str) -> None:
    """Threats BR-09: exact, never a part; `null` is nobody's origin."""
    api = make(cors_origins=("https://good.example", "null"))
    good = api.call("GET", "/settings", headers={"Origin": "https://good.example"})
    assert "https://good.example" == good.headers["Access-Control-Allow-Origin"]
    for method in ("GET", "OPTIONS"):
        found = api.call(method, "/settings", headers={"Origin": origin})
        assert not [name for name in [name for name, _ in found.headers] if name.startswith("Access-Control")]


def test_doubled_slashes_are_put_right_before_the_guard(api: Api) -> None:
    """Threats HT-11: a redirect, never data."""
    found = api.call("GET", "//user")
    assert (308, "http://localhost/auth/v1/user") == (found.status_code, found.headers["Location"])


def test_a_method_cannot_be_overridden(api: Api) -> None:
    """Threats HT-06."""
    token = api.sign_up()["access_token"]
    headers = {"X-HTTP-Method-Override": "POST"}
    assert 405 == api.call("GET", "/logout?_method=POST", token=token, headers=headers).status_code
    assert 200 == api.call("GET", "/user", token=token).status_code


def test_the_developers_own_routes_are_left_alone(api: Api) -> None:
    client = api.app.test_client()
    own = client.get("/own", headers={"Origin": "https://a.example"})
    assert (200, "own") == (own.status_code, own.text)
    assert "Access-Control-Allow-Origin" not in own.headers
    assert "Referrer-Policy" not in own.headers
    assert "text/html" == client.get("/nothing").mimetype
    assert "text/html" == client.get("/auth/v1x").mimetype


def test_health_touches_nothing(api: Api) -> None:
    """Threats OP-13: it answers with the database gone; /auth/v1/health has the contract's body."""
    break_store(api)
    api.context.database.close()
    found = api.app.test_client().get("/health")
    assert (200, {"status": "ok"}) == (found.status_code, found.get_json())
    body = api.call("GET", "/health").get_json()
    assert {"version", "name", "description"} == set(body)
    assert "GoTrue" == body["name"]


def test_an_application_may_have_its_own_health_route(api: Api) -> None:
    app = Flask("app")
    app.extensions.update(api.app.extensions)
    app.register_blueprint(api.app.blueprints["portero"])
    app.add_url_rule("/health", view_func=lambda: "mine")
    assert "mine" == app.test_client().get("/health").text


def test_the_runtime_is_frozen_at_the_first_request(api: Api) -> None:
    class Extension:
        def freeze(self, app: Flask) -> Runtime:
            return api.runtime

    app = Flask("app")
    app.extensions["portero"] = Extension()
    with app.app_context():
        assert api.runtime is runtime()


UNEXPECTED = "Unexpected failure, please check server logs for more information"


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "bad_jwt", InvalidToken(TokenFault.EXPIRED)),
        (503, "unexpected_failure", DatabaseUnavailable("locked")),
        (503, "unexpected_failure", TooBusy("hashing")),
        (500, "unexpected_failure", RuntimeError("secret")),
        (422, "weak_password", AuthError(422, "weak_password", "…")),
    ],
)
def test_each_kind_of_error_has_one_place_at_the_auth_api(status: int, code: str, error: Exception) -> None:
    problem = problems.auth_problem(error, "2024-01-01")
    assert status == problem.status
    assert f'"code":"{code}"'.encode() in problem.body
    assert b"secret" not in problem.body
    assert (status == 503) == ("Retry-After" in dict(problem.headers))


def test_who_finds_prepared_statements_outdated_twice_may_send_the_request_again() -> None:
    refused = problems.data_error_of(Again("a table was altered"))
    assert (503, "Nothing was written. Send the request again.") == (refused.status, refused.hint)
    assert problems.data_error_of(DatabaseUnavailable("away")).hint is None, "a commit may have come through"


@pytest.mark.parametrize("lacking", ["ALTER TABLE notes DROP COLUMN price", "DROP TABLE notes"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/notes", None),
        ("GET", "/notes?price=gt.1&select=id", None),
        ("POST", "/notes", {"id": 9, "title": "new", "price": 1}),
        ("PATCH", "/notes?id=eq.1", {"price": 2}),
        ("DELETE", "/notes?price=eq.2", None),
    ],
)
def test_what_the_database_lacks_is_no_fault_of_the_callers(
    database_url: str, lacking: str, method: str, path: str, body: Any
) -> None:
    """The same on both databases: a fault for the log, and in development a hint."""
    with scene.opened(database_url) as opened:
        with opened.database.writing() as connection:
            connection.exec_driver_sql("DROP TABLE tags")
            connection.exec_driver_sql(lacking)
        with pytest.raises(Exception, match=r"no such|no column|not exist") as told:
            opened.ask(method, path, body)
        assert "portero db revision" in str(problems.data_error_of(told.value, dev=True).hint)
        refused = problems.data_error_of(told.value)
        assert (500, "XX000", None) == (refused.status, refused.code, refused.hint)


def test_what_only_an_operator_can_mend_is_logged_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Here the folder of the database is gone."""
    folder = tmp_path / "data"
    folder.mkdir()
    app = make_app()
    with running(app, tmp_path, database_url=f"sqlite:///{folder / 'app.db'}") as api:
        held = app.extensions["portero"].freeze(app).database
        held.close()
        shutil.rmtree(folder)
        assert 500 == api.get("/rest/v1/topics").status_code
    assert "app.db cannot be opened for writing" in caplog.text


def test_development_hints_at_a_database_that_the_models_have_left_behind() -> None:
    assert problems.data_error_of(RuntimeError("secret"), dev=True).hint is None


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "PGRST301", InvalidToken(TokenFault.EMPTY)),
        (401, "PGRST301", InvalidToken(TokenFault.SIGNATURE)),
        (401, "PGRST301", InvalidToken(TokenFault.KEY)),
        (401, "PGRST303", InvalidToken(TokenFault.EXPIRED)),
        (401, "PGRST303", InvalidToken(TokenFault.AUDIENCE)),
        (409, "23505", DataError(409, "23505", "…")),
        (429, "PGRST301", AuthError(429, "over_request_rate_limit", "…", retry_after=3)),
        (503, "PGRST000", DatabaseUnavailable("locked")),
        (503, "PGRST000", TooBusy("hashing")),
        (500, "XX000", RuntimeError("secret")),
    ],
)
def test_each_kind_of_error_has_one_place_at_the_data_api(status: int, code: str, error: Exception) -> None:
    found = problems.data_error_of(error)
    assert (status, code) == (found.status, found.code)
    assert "secret" not in found.message
    assert (status == 401) == ("WWW-Authenticate" in dict(found.headers))
