"""The data mount: what is below the prefix, bodies with limits, tokens before connections, faults that say nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.data.films import opened
from tests.identity.people import context_on, signed_up

from portero.data.catalogue import build
from portero.data.pipeline import DataApi
from portero.data.shape_budget import ShapeBudget
from portero.errors import DatabaseUnavailable
from portero.store import sessions
from portero.web.runtime import Runtime
from portero.web.wsgi import DataMount


@dataclass
class Answer:
    """What a server would send."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Give the first header of this name."""
        return next((value for found, value in self.headers if found == name), None)


@dataclass
class Mount:
    """A mount, and requests to it."""

    runtime: Runtime

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **environ: Any) -> Answer:
        """Send one request as a WSGI server does."""
        target, _, query = path.partition("?")
        given = {"REQUEST_METHOD": method, "PATH_INFO": target, "QUERY_STRING": query, **environ}
        if body is not None:
            given["wsgi.input"] = io.BytesIO(body)
            given.setdefault("CONTENT_LENGTH", str(len(body)))
        said: list[Any] = []

        def behind(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            return [b"behind"]

        mount = DataMount(behind, lambda: self.runtime, "/rest/v1")
        parts = mount(given, lambda status, headers: said.extend((status, headers)))
        assert isinstance(parts, list), "granian takes a detour for what is no list"
        return Answer(said[0], said[1], b"".join(parts))


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """The film library behind the mount."""
    with opened(f"sqlite:///{tmp_path / 'films.db'}") as library:
        context = context_on(library.database, None)
        yield Mount(Runtime(context.settings, library.database, context, library.api))


def test_what_is_not_below_the_prefix_goes_to_the_next_application(mount: Mount) -> None:
    """Also a path that only begins alike."""
    for path in ("/", "/rest/v10/films", "/rest", "/auth/v1/user"):
        assert b"behind" == mount.ask(path).body


def test_rows_are_answered_with_length_type_and_security_headers(mount: Mount) -> None:
    """One read."""
    answer = mount.ask("/rest/v1/films?id=eq.1&select=id")
    assert ("200 OK", b'[{"id":1}]', "10") == (answer.status, answer.body, answer.header("Content-Length"))
    assert "nosniff" == answer.header("X-Content-Type-Options")
    assert answer.header("Access-Control-Allow-Origin") is None


def test_a_browser_may_read_the_headers_of_the_protocol(mount: Mount) -> None:
    """Any origin, no credentials."""
    answer = mount.ask("/rest/v1/films", HTTP_ORIGIN="https://a.example")
    assert "*" == answer.header("Access-Control-Allow-Origin")
    assert "Content-Range" in str(answer.header("Access-Control-Expose-Headers"))
    assert answer.header("Access-Control-Allow-Credentials") is None


def test_a_preflight_asks_neither_token_nor_database(mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """204 with what is allowed."""
    monkeypatch.setattr(mount.runtime.database, "fetch_documents", None)
    answer = mount.ask(
        "/rest/v1/films",
        "OPTIONS",
        HTTP_ORIGIN="https://a.example",
        HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST",
        HTTP_AUTHORIZATION="Bearer nonsense",
    )
    assert "204 No Content" == answer.status
    assert "POST" in str(answer.header("Access-Control-Allow-Methods"))
    assert "OPTIONS,GET,HEAD" == mount.ask("/rest/v1/films", "OPTIONS").header("Allow")


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "x" * 5000, "e30.e30.AA"])
def test_a_bad_token_takes_no_connection(mount: Mount, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    """401 with the challenge (threats HT-14)."""
    monkeypatch.setattr(mount.runtime.database, "fetch_documents", None)
    answer = mount.ask("/rest/v1/films", HTTP_AUTHORIZATION=f"Bearer {token}")
    assert "401" == answer.status[:3]
    assert str(answer.header("WWW-Authenticate")).startswith("Bearer")
    assert {"code", "message", "details", "hint"} == set(json.loads(answer.body))


def test_a_users_token_reads_until_the_session_ends(mount: Mount) -> None:
    """Sign up, read."""
    signed_in = signed_up(mount.runtime.identity, now=datetime.now(UTC))
    answer = mount.ask("/rest/v1/films?select=id", HTTP_AUTHORIZATION=f"Bearer {signed_in.access_token}")
    assert "200 OK" == answer.status


def test_a_user_pays_for_new_kinds_of_request_himself_and_a_stranger_with_his_network(mount: Mount) -> None:
    """What strangers of one network use up holds up neither those of another nor a user of the same."""
    assert mount.runtime.data is not None
    mount.runtime.data.reads.budget = ShapeBudget(rate=1)
    signed_in = signed_up(mount.runtime.identity, "anna@example.com", now=datetime.now(UTC))
    bearer = f"Bearer {signed_in.access_token}"

    def ask(number: int, address: str, **more: str) -> str:
        query = f"select=id&or=({','.join(['id.eq.1'] * number)})"
        return mount.ask(f"/rest/v1/films?{query}", REMOTE_ADDR=address, **more).status

    def are_held_up(statuses: list[str]) -> bool:
        return ["200 OK"] * 5 == statuses[:5] and "429 Too Many Requests" in statuses

    assert are_held_up([ask(number, "192.0.2.7") for number in range(1, 31)])
    assert "200 OK" == ask(31, "198.51.100.7")
    assert are_held_up([ask(number, "192.0.2.7", HTTP_AUTHORIZATION=bearer) for number in range(32, 62)])


def test_head_has_headers_and_no_body(mount: Mount) -> None:
    """And no Content-Length, refusals included."""
    for path, status in (("/rest/v1/films", "200"), ("/rest/v1/filmz", "404")):
        answer = mount.ask(path, "HEAD")
        assert (status, b"", None) == (answer.status[:3], answer.body, answer.header("Content-Length"))


def test_a_query_that_is_not_percent_encoded_is_read_as_utf_8(mount: Mount) -> None:
    """As `curl` sends it; read as latin-1 it found other rows than it named. What is no UTF-8 is refused."""
    query = "?select=id,it:title&title=eq.Ärger*".encode().decode("latin-1")
    assert b'[{"id":4,"it":"\xc3\x84rger*"}]' == mount.ask(f"/rest/v1/films{query}").body
    assert "400" == mount.ask("/rest/v1/films?title=eq.\xff").status[:3]


def test_a_path_is_utf_8(mount: Mount) -> None:
    """WSGI hands bytes over as latin-1."""
    assert "404" == mount.ask("/rest/v1/موارد".encode().decode("latin-1")).status[:3]
    answer = mount.ask("/rest/v1/\xff")
    assert ("404", "PGRST125") == (answer.status[:3], json.loads(answer.body)["code"])


def test_the_root_describes_the_api_with_or_without_its_slash(mount: Mount) -> None:
    """OPTIONS names the methods; nothing is written there."""
    for path in ("/rest/v1", "/rest/v1/"):
        assert "3.1.0" == json.loads(mount.ask(path).body)["openapi"]
    assert "OPTIONS,GET,HEAD" == mount.ask("/rest/v1/", "OPTIONS").header("Allow")
    assert "405" == mount.ask("/rest/v1/", "POST", b"{}").status[:3]


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_LENGTH": "2000000"}, "413"),
        ({"CONTENT_LENGTH": "9" * 30}, "413"),
        ({"CONTENT_LENGTH": "0" * 18 + "2000000"}, "413"),
        ({"CONTENT_LENGTH": "0" * 5000 + "9"}, "401"),
        ({"CONTENT_LENGTH": "-1"}, "400"),
        ({"CONTENT_LENGTH": "x"}, "400"),
        ({"HTTP_CONTENT_ENCODING": "gzip"}, "415"),
        ({"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}, "413"),
    ],
)
def test_bodies_are_bounded_while_they_are_read(mount: Mount, environ: dict[str, str], status: str) -> None:
    """threats HT-01, HT-04."""
    answer = mount.ask("/rest/v1/films", "POST", b"x" * 1_100_000, **environ)
    assert status == answer.status[:3]


def test_a_body_that_was_cut_off_on_its_way_is_not_taken_for_the_whole(mount: Mount) -> None:
    answer = mount.ask("/rest/v1/films", "POST", b"id,title\n1,x", CONTENT_LENGTH="100", CONTENT_TYPE="text/csv")
    assert ("400", "PGRST102") == (answer.status[:3], json.loads(answer.body)["code"])


@pytest.mark.parametrize("kind", ["text/csv", "Text/CSV; charset=utf-8", "application/x-www-form-urlencoded"])
def test_a_body_in_pieces_whose_end_cannot_be_told_is_not_taken(mount: Mount, kind: str) -> None:
    """A server ends it where the connection broke, and tells nobody; of JSON a part is no whole."""
    environ = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_TYPE": kind}
    answer = mount.ask("/rest/v1/films", "POST", b"title\nx", **environ)
    assert ("411 Length Required", "PGRST102") == (answer.status, json.loads(answer.body)["code"])


@pytest.mark.parametrize("environ", [{}, {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}])
def test_a_body_reaches_the_write(mount: Mount, environ: dict[str, Any]) -> None:
    """Films have no insert policy: 401 for strangers, after the body was read."""
    answer = mount.ask("/rest/v1/films", "POST", b'{"title":"x"}', **environ)
    assert ("401", "42501") == (answer.status[:3], json.loads(answer.body)["code"])
    assert "40" == mount.ask("/rest/v1/films", "POST").status[:2]


def test_a_fault_says_nothing_and_is_logged(
    mount: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The last resort (threats OP-01)."""

    def failing(*_: object) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr(mount.runtime.database, "fetch_documents", failing)
    answer = mount.ask("/rest/v1/films")
    assert "500" == answer.status[:3]
    assert b"secret" not in answer.body
    assert "the secret cause" in caplog.text


def test_not_now_is_one_line_in_the_log(
    mount: Mount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is foreseen, so it has no trace: a busy hour would fill the log."""

    def busy(*_: object) -> None:
        raise DatabaseUnavailable("every connection is in use")

    monkeypatch.setattr(mount.runtime.database, "fetch_documents", busy)
    assert "503" == mount.ask("/rest/v1/films").status[:3]
    assert ["GET '/films': every connection is in use"] == [record.getMessage() for record in caplog.records]
    assert [None] == [record.exc_info for record in caplog.records]


def test_an_application_that_exposes_nothing_has_no_tables(mount: Mount) -> None:
    """404 in the protocol's words."""
    database = mount.runtime.database
    nothing = DataApi(build([], database.dialect_name), database, mount.runtime.settings, sessions.standing())
    answer = Mount(replace(mount.runtime, data=nothing)).ask("/rest/v1/films")
    assert ("404", "PGRST205") == (answer.status[:3], json.loads(answer.body)["code"])


def test_a_method_override_is_ignored(mount: Mount) -> None:
    """threats HT-06."""
    answer = mount.ask("/rest/v1/films?select=id&limit=1&id=eq.1", HTTP_X_HTTP_METHOD_OVERRIDE="DELETE")
    assert b'[{"id":1}]' == answer.body


def test_an_odd_verb_is_405(mount: Mount) -> None:
    """TRACE."""
    assert "405" == mount.ask("/rest/v1/films", "TRACE").status[:3]


def with_settings(mount: Mount, **changes: Any) -> Mount:
    """Give the same mount under other settings, which the data API reads, too."""
    runtime = mount.runtime
    assert runtime.data is not None
    chosen = replace(runtime.settings, **changes)
    data = DataApi(runtime.data.catalogue, runtime.database, chosen, sessions.standing())
    return Mount(replace(runtime, identity=replace(runtime.identity, settings=chosen), settings=chosen, data=data))


def test_the_stages_are_timed_when_the_setting_asks_for_it(mount: Mount) -> None:
    """Never else: times tell what a policy costs."""
    assert mount.ask("/rest/v1/films").header("Server-Timing") is None
    timed = with_settings(mount, server_timing=True)
    for path, method, stages in (
        ("/rest/v1/films?id=eq.1", "GET", ["jwt", "parse", "plan", "transaction", "response"]),
        ("/rest/v1/films", "OPTIONS", ["jwt", "parse", "response"]),
        ("/rest/v1/films?id=x", "GET", ["jwt", "response"]),
    ):
        said = timed.ask(path, method).header("Server-Timing") or ""
        assert stages == [part.partition(";dur=")[0] for part in said.split(", ")]


def test_a_requests_own_number_comes_back(mount: Mount) -> None:
    """Under the header that the setting names, and only if it is one that may stand in a header."""
    traced = with_settings(mount, trace_header="X-Request-Id")
    assert "a-7" == traced.ask("/rest/v1/films", HTTP_X_REQUEST_ID="a-7").header("X-Request-Id")
    assert "a-7" == traced.ask("/rest/v1/nope", HTTP_X_REQUEST_ID="a-7").header("X-Request-Id")
    for value in ("", "a\r\nSet-Cookie: b", "é", "a" * 201):
        assert traced.ask("/rest/v1/films", HTTP_X_REQUEST_ID=value).header("X-Request-Id") is None
    assert mount.ask("/rest/v1/films", HTTP_X_REQUEST_ID="a-7").header("X-Request-Id") is None


def test_minimal_errors_say_a_code_and_a_message(mount: Mount) -> None:
    """No details, no hint; also of refused tokens."""
    minimal = with_settings(mount, errors="minimal")
    for path, environ in (("/rest/v1/film", {}), ("/rest/v1/films", {"HTTP_AUTHORIZATION": "Bearer x"})):
        assert {"code", "message"} == set(json.loads(minimal.ask(path, **environ).body))


def test_options_without_an_origin_says_whom_it_answers(mount: Mount) -> None:
    """Any page, unless there is a list."""
    assert "*" == mount.ask("/rest/v1/films", "OPTIONS").header("Access-Control-Allow-Origin")
    listed = with_settings(mount, cors_origins=("https://a.example",))
    assert listed.ask("/rest/v1/films", "OPTIONS").header("Access-Control-Allow-Origin") is None


def test_an_embed_with_an_alias_goes_by_it_alone_where_the_setting_says_so(mount: Mount) -> None:
    """Else by both names."""
    target = "/rest/v1/directors?select=name,theirs:films(id)&films.id=eq.1"
    assert "200 OK" == mount.ask(target).status
    strict = with_settings(mount, embed_names="alias")
    assert "PGRST108" == json.loads(strict.ask(target).body)["code"]
    assert "200 OK" == strict.ask(target.replace("&films.", "&theirs.")).status
    assert "200 OK" == strict.ask("/rest/v1/directors?select=name,films(id)&films.id=eq.1").status
