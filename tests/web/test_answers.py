"""JSON answers go out as they are, and what an application does to them still counts."""

from __future__ import annotations

from uuid import UUID

import pytest
from flask import Flask, Response

from portero.web.answers import as_json, without_body

CARRIED = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))


@pytest.fixture
def app() -> Flask:
    made = Flask(__name__)

    @made.get("/it")
    def it() -> Response:
        answer = as_json({"id": UUID(int=1)}, headers={"X-Own": "yes"})
        answer.carried = CARRIED
        return answer

    return made


def test_an_answer_has_its_own_headers_and_those_that_all_carry(app: Flask) -> None:
    got = app.test_client().get("/it")
    assert b'{"id":"00000000-0000-0000-0000-000000000001"}' == got.data
    assert sorted(got.headers) == sorted(
        [*CARRIED, ("X-Own", "yes"), ("Content-Type", "application/json; charset=utf-8"), ("Content-Length", "45")]
    )


def test_what_the_application_says_itself_is_not_said_again(app: Flask) -> None:
    @app.after_request
    def own(response: Response) -> Response:
        response.headers["cache-control"] = "private"
        return response

    assert app.test_client().get("/it").headers.getlist("Cache-Control") == ["private"]


def test_a_body_that_the_application_replaces_goes_out_with_its_length(app: Flask) -> None:
    @app.after_request
    def shorter(response: Response) -> Response:
        response.set_data(b"{}")
        return response

    got = app.test_client().get("/it")
    assert (b"{}", "2", "nosniff") == (got.data, got.headers["Content-Length"], got.headers["X-Content-Type-Options"])


def test_a_status_that_the_application_changes_and_what_it_does_at_the_end_count(app: Flask) -> None:
    closed = []

    @app.after_request
    def changed(response: Response) -> Response:
        response.status_code = 203
        response.call_on_close(lambda: closed.append(True))
        return response

    got = app.test_client().get("/it")
    got.close()
    assert (203, [True], "nosniff") == (got.status_code, closed, got.headers["X-Content-Type-Options"])


def test_head_is_answered_without_the_body(app: Flask) -> None:
    got = app.test_client().head("/it")
    assert (b"", "45", "no-store") == (got.data, got.headers["Content-Length"], got.headers["Cache-Control"])


@pytest.mark.parametrize("is_filled", [False, True])
def test_an_answer_without_a_body_goes_out_with_what_an_application_puts_into_it(app: Flask, is_filled: bool) -> None:
    @app.get("/nothing")
    def nothing() -> Response:
        answer = without_body()
        answer.carried = CARRIED
        return answer

    @app.after_request
    def fill(response: Response) -> Response:
        if is_filled:
            response.status_code = 200
            response.set_data(b"some")
        return response

    found = app.test_client().get("/nothing")
    length = [("Content-Length", "4")] if is_filled else []
    assert [*length, *CARRIED] == list(found.headers)
    expected = (200, b"some") if is_filled else (204, b"")
    assert expected == (found.status_code, found.data)


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=c", "a\nb", "a\rb"])
def test_a_header_of_an_answer_cannot_be_broken_in_two(value: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        as_json({}, headers={"X-Own": value})
    with pytest.raises(ValueError, match="one line"):
        without_body(303, {"Location": value})
