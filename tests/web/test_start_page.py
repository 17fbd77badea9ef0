"""What `/` says in development, and that it is the application's own otherwise."""

from __future__ import annotations

import pytest
from flask import Flask
from tests.identity.people import SECRET
from tests.web.callers import Api
from tests.web.conftest import Make

from portero import JWTManager
from portero.web.own_styles import POLICY

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_in_development_it_says_what_is_here(api: Api) -> None:
    client = api.app.test_client()
    page = client.get("/", headers=HTML)
    assert (200, "text/html", POLICY) == (page.status_code, page.mimetype, page.headers["Content-Security-Policy"])
    told = client.get("/", headers={"Accept": "*/*"})
    assert (200, "application/json", "app") == (told.status_code, told.mimetype, told.get_json()["name"])
    for path in told.get_json()["serves"]:
        assert f'<a href="{path}">{path}</a>' in page.text
        assert client.get(path, headers=HTML).status_code == 200, path
    assert "<script" not in page.text


def test_what_it_shows_begins_with_where_the_application_is_mounted(api: Api) -> None:
    told = api.app.test_client().get("/", environ_overrides={"SCRIPT_NAME": "/shop"}).get_json()
    assert all(path.startswith("/shop/") for path in told["serves"])


def test_mails_that_a_server_sends_are_not_pointed_to(make: Make) -> None:
    api = make(smtp_url="smtp://127.0.0.1", mail_from="a@example.org")
    assert not any("mail-box" in path for path in api.app.test_client().get("/").get_json()["serves"])


def app_of(sqlite_url: str, **config: object) -> Flask:
    app = Flask("<shop>")
    app.config.update(JWT_SECRET_KEY=SECRET, PORTERO_DATABASE_URL=sqlite_url, **config)
    JWTManager(app)
    return app


def test_outside_development_there_is_nothing(sqlite_url: str) -> None:
    found = app_of(sqlite_url).test_client().get("/", headers=HTML)
    assert (404, "text/html") == (found.status_code, found.mimetype)


def test_the_applications_own_page_comes_first(sqlite_url: str) -> None:
    app = app_of(sqlite_url, TESTING=True)
    app.add_url_rule("/", view_func=lambda: "mine")
    assert "mine" == app.test_client().get("/", headers=HTML).text


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_nothing_but_reading_is_answered(sqlite_url: str, method: str) -> None:
    assert 404 == app_of(sqlite_url, TESTING=True).test_client().open("/", method=method).status_code


def test_the_name_is_text(sqlite_url: str) -> None:
    page = app_of(sqlite_url, TESTING=True).test_client().get("/", headers=HTML).text
    assert "<h1>&lt;shop&gt;</h1>" in page
