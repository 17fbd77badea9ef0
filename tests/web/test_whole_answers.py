"""Answers of a developer's views go out as Flask alone would send them: web/whole_answers.py."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, jsonify, redirect, request, send_file, stream_with_context
from tests.identity.people import SECRET
from werkzeug.test import EnvironBuilder

from portero import JWTManager

Events = list[str]


class Own(Response):
    """A class of the developer's, which has a say in how its answers are sent."""

    def iter_encoded(self) -> Iterator[bytes]:
        return (part.upper() for part in super().iter_encoded())


def set_twice() -> Response:
    answer = Response("ä", headers={"X-Own": "1", "content-length": "2"})
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    return answer


def without_length() -> Response:
    answer = Response([b"parts ", b"of ", b"it"])
    answer.automatically_set_content_length = False  # type: ignore[misc]
    return answer


def streamed() -> Response:
    return Response(stream_with_context(part.encode() for part in (request.path, " and ", "more")))


VIEWS: dict[str, Callable[[], Any]] = {
    "text": lambda: "text ä",
    "json": lambda: jsonify(b=1, a=[2]),
    "bytes": lambda: (b"\x00", 201, {"X-Own": "yes"}),
    "nothing": lambda: "",
    "parts": lambda: Response([b"one ", b"two"]),
    "texts": lambda: Response(["one ", "zwei ü"]),
    "tuple": lambda: Response((b"one ", b"two")),
    "passed": lambda: Response([b"as it is"], direct_passthrough=True),
    "without-length": without_length,
    "cookies": set_twice,
    "redirect": lambda: redirect("/text"),
    "content-location": lambda: ("x", {"Content-Location": "/ä"}),
    "no-content": lambda: ("gone", 204),
    "not-modified": lambda: ("gone", 304, {"Content-Length": "4", "ETag": '"e"'}),
    "streamed": streamed,
    "generator": lambda: (part for part in ("a", "b")),
    "length-of-stream": lambda: Response((part for part in (b"a", b"b")), headers={"Content-Length": "2"}),
    "file": lambda: send_file(io.BytesIO(b"of a file"), mimetype="text/plain", conditional=False),
    "own": lambda: Own("shouted"),
    "fault": lambda: 1 / 0,
}
WHOLE = ("text", "json", "bytes", "nothing", "parts", "without-length", "cookies")


def made(with_portero: bool, hooks: Callable[[Flask], None] = lambda app: None) -> Flask:
    app = Flask("views")
    app.config.update(JWT_SECRET_KEY=SECRET, SECRET_KEY=SECRET, PORTERO_DATABASE_URL="sqlite:///unused.db")
    app.logger.disabled = True
    if with_portero:
        JWTManager(app)
    hooks(app)
    for name, view in VIEWS.items():
        app.add_url_rule(f"/{name}", name, view)
    return app


def sent(app: Flask, path: str, method: str = "GET", events: Events | None = None) -> tuple[Any, ...]:
    """Call an application as a server does; give the answer's kind, then all that is sent of it."""
    said: list[Any] = []
    answer = app(EnvironBuilder(path, method=method).get_environ(), lambda *what: said.append(what))
    kind, body = type(answer), b"".join(answer)
    if events is not None:
        events.append("taken")
    if hasattr(answer, "close"):
        answer.close()
    return kind, *said, body


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("name", VIEWS)
def test_what_is_sent_is_what_flask_sends(name: str, method: str) -> None:
    answers = [sent(made(with_portero), f"/{name}", method)[1:] for with_portero in (False, True)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", VIEWS)
def test_a_whole_answer_is_a_list_and_every_other_is_what_it_was(name: str) -> None:
    kinds = [sent(made(with_portero), f"/{name}")[0] for with_portero in (False, True)]
    assert kinds[1] is (list if name in WHOLE else kinds[0])


def test_the_parts_of_a_stream_are_made_when_they_are_asked_for() -> None:
    events: Events = []

    def parts() -> Iterator[str]:
        for part in "ab":
            events.append(f"made {part}")
            yield part

    app = made(with_portero=True)
    app.add_url_rule("/now", "now", parts)
    for part in app(EnvironBuilder("/now").get_environ(), lambda *what: events.append(what[0])):
        events.append(f"sent {part.decode()}")
    assert ["200 OK", "made a", "sent a", "made b", "sent b"] == events


def witness(events: Events, late: bool) -> Callable[[Flask], None]:
    """Hang a function on everything that Flask calls around a view."""

    def hang(app: Flask) -> None:
        app.before_request(lambda: events.append("before"))
        app.teardown_request(lambda error: events.append("teardown request"))
        app.teardown_appcontext(lambda error: events.append("teardown context"))

        @app.after_request
        def after(answer: Response) -> Response:
            events.append("after")
            if late:
                answer.call_on_close(lambda: events.append("closed"))
            return answer

    return hang


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", VIEWS)
def test_everything_around_a_view_is_called_in_flasks_order_and_once(name: str, late: bool) -> None:
    seen: list[Events] = []
    for with_portero in (False, True):
        events: Events = []
        sent(made(with_portero, witness(events, late)), f"/{name}", events=events)
        seen.append(events)
    assert seen[0] == seen[1]
    assert 1 >= seen[1].count("closed")


def test_who_sees_an_answer_last_may_change_all_of_it() -> None:
    app = made(with_portero=True)

    def last(answer: Response) -> Response:
        assert isinstance(answer, Response)
        answer.set_data(b"changed")
        answer.status_code = 203
        answer.headers["X-Own"] = "last"
        return answer

    # Called after Portero's own.
    app.after_request_funcs[None].insert(0, last)
    kind, (status, headers), body = sent(app, "/text")
    assert (list, "203 NON AUTHORITATIVE INFORMATION", b"changed") == (kind, status, body)
    assert {"X-Own": "last", "Content-Length": "7"}.items() <= dict(headers).items()


def test_an_answer_that_an_application_keeps_and_gives_again_is_the_same_again() -> None:
    app, kept = made(with_portero=True), Response([b"kept"])
    app.add_url_rule("/kept", "kept", lambda: kept)
    assert sent(app, "/kept") == sent(app, "/kept")
    assert [b"kept"] == kept.response
