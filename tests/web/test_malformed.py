"""Whatever is sent, no answer is a fault of the server's: malformed, of wrong types, endless, doubled, strange letters.

Each body goes to each endpoint that reads one; values go into each member that its module reads, a seventh of them into
each, so that all are sent; texts go into each query and part of a path.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from tests.identity.people import PASSWORD
from tests.web.administering import Admin
from tests.web.callers import Api
from tests.web.conftest import make_api

from portero.web.routes import NOT_SERVED, ROUTES, Gate, Route

#: No JSON, or JSON that is no object.
NO_OBJECTS = (
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b"{",
    b"{}{}",
    b"null",
    b"[]",
    b'"email"',
    b"NaN",
    b"-Infinity",
    b"1e999999",
    b"9" * 5000,
    b'{"email": 1e400}',
    b'{"email": "\\ud800"}',
    b'{"email": "a@example.org", "email": "b@example.org"}',
    b'{"\\u0000": 1}',
    b'{"data": {"a": 1, "a": 2}}',
    b"[" * 10_000,
    b'{"data":' * 1000 + b"1" + b"}" * 1000,
    b'{"data": "' + b"x" * 20_000 + b'"}',
)
#: What no member of any body is, and what some look like.
VALUES: tuple[Any, ...] = (
    "",
    " ",
    "\x00",
    "a\x00@example.org",
    "a@example.org\r\nBcc: b@example.org",
    "\r\nSet-Cookie: a=b",
    "\u202e\u200b\ufeff",
    "ａｎｎ@ｅｘａｍｐｌｅ.org",
    "İ@example.org",
    "ann@xn--a.example",
    "ann@" + "a" * 300,
    "\U0001f9d9" * 200,
    "x" * 5000,
    "'; DROP TABLE portero_users; --",
    "{{7*7}}%s%(a)s${a}",
    "00000000-0000-0000-0000-000000000000",
    "none",
    "9" * 400 + "h",
    "-1h",
    "infinity",
    "$argon2id$v=19$m=99999999,t=9,p=9$YQ$YQ",
    "$2b$99$" + "a" * 53,
    0,
    -1,
    2**63,
    10**400,
    1.5,
    True,
    [],
    [[]],
    {},
    {"a": "\x00"},
    {"a": 2**70},
    {"\x00": 1},
    {"a": {"b": {"c": ["\ud83e\uddd9"]}}},
)
USUAL = {"email": "ann@example.org", "password": PASSWORD, "type": "signup", "factor_type": "totp", "code": "123456"}
_READ = re.compile(r'given\.(?:text|flag|mapping)\("(\w+)"')
QUERIES = (
    *("page", "per_page", "filter", "email", "sort", "query", "grant_type", "redirect_to", "scope", "token", "type"),
    *("state", "provider", "limit", "cursor"),
)
HEADERS = (
    *("Authorization", "apikey", "redirect_to", "Referer", "X-JWT-AUD", "X-Forwarded-For", "User-Agent", "Origin"),
    *("Accept-Language", "X-Supabase-Api-Version", "Content-Encoding", "Content-Type", "Sec-Fetch-Site", "Cookie"),
)
#: As a server hands them over: bytes read as Latin-1, line breaks refused before.
HEADER_VALUES = (
    "",
    "\xff\xfe",
    "Bearer \xe9",
    "x" * 8000,
    "\x7f",
    "1.2.3.4, [::1]:99999, \xe9",
    "2024-99-99",
    "https://[",
    "::",
)
READING = ("POST", "PUT", "PATCH", "DELETE")


class Attacker:
    """Somebody with a session, an administrator's key, and no scruples."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.admin = Admin(api)
        self.token = api.sign_up()["access_token"]
        self.user_id = self.admin.create("victim@example.org")["id"]
        self.faults: list[str] = []

    def ask(self, route: Route, *, query: str = "", part: str | None = None, **more: Any) -> None:
        path = re.sub("<.*?>", lambda _: self.user_id if part is None else part, route.path)
        token = {Gate.ADMIN: self.admin.key, Gate.USER: self.token, Gate.NAMED: self.token}.get(route.gate)
        answer = self.api.call(route.method, path + query, token=token, **more)
        if answer.status_code >= 500:
            self.faults.append(f"{answer.status_code} {route.method} {path[:80]}{query[:80]} {str(more)[:200]}")
        if route.path in ("/logout", "/user", "/user/sessions/<session_id>") and answer.status_code < 300:
            self.token = self.api.sign_up(f"{uuid4()}@example.org")["access_token"]


@pytest.fixture
def attacker(sqlite_url: str) -> Iterator[Attacker]:
    limits = dict.fromkeys(
        ("throttle_sign_in", "throttle_sign_up", "throttle_refresh", "throttle_update", "throttle_mfa"), 0
    )
    api = make_api(sqlite_url, anonymous_users=True, **limits)
    yield Attacker(api)
    api.runtime.close()


def bodies_of(route: Route) -> Iterator[bytes]:
    """Give bodies for a view: values in each member that its module reads."""
    yield from NO_OBJECTS
    read = set(_READ.findall(inspect.getsource(sys.modules[route.view.__module__])))
    for number, member in enumerate(sorted(read)):
        for value in VALUES[number % 7 :: 7]:
            yield json.dumps({**USUAL, member: value}).encode()


def test_no_body_is_a_fault_of_the_servers(attacker: Attacker) -> None:
    for route in ROUTES:
        if route.method in READING:
            for body in bodies_of(route):
                attacker.ask(route, data=body, content_type="application/json")
    assert [] == attacker.faults


def test_no_query_and_no_part_of_a_path_is_a_fault_of_the_servers(attacker: Attacker) -> None:
    for route in ROUTES + NOT_SERVED:
        for text in (quote(value, safe="") for value in VALUES if isinstance(value, str)) if "<" in route.path else ():
            attacker.ask(route, part=text, json={})
    for route in ROUTES:
        for text in ("%FF%00", "%00", "1&page=2", "99999999999999999999", "%0D%0ASet-Cookie:%20a=b"):
            attacker.ask(route, query="?" + "&".join(f"{name}={text}" for name in QUERIES), json={})
    assert [] == attacker.faults


def test_a_query_of_bytes_that_are_no_text_is_refused(attacker: Attacker) -> None:
    for method, path in (("POST", "/token"), ("GET", "/verify"), ("POST", "/signup")):
        sent = {"json": {}, "environ_overrides": {"QUERY_STRING": "grant_type=\xff"}}
        assert "validation_failed" == attacker.api.call(method, path, **sent).get_json()["code"]


@pytest.mark.parametrize(
    ("path", "start", "kind"),
    [
        ("/token?grant_type=refresh_token", b'{"refresh_token": "x"}', "application/json"),
        ("/verify", b"token=x&type=signup&a=", "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_in_pieces_that_is_too_long_is_refused_and_not_cut_off(
    attacker: Attacker, path: str, start: bytes, kind: str
) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    answers = [
        attacker.api.call(
            "POST", path, input_stream=BytesIO(start.ljust(size)), content_type=kind, environ_overrides=chunked
        )
        for size in (16 * 1024, 16 * 1024 + 1, 64 * 1024)
    ]
    assert [False, True, True] == [413 == answer.status_code for answer in answers]


def test_no_header_is_a_fault_of_the_servers(attacker: Attacker) -> None:
    for route in ROUTES:
        for value in HEADER_VALUES:
            attacker.ask(route, headers=dict.fromkeys(HEADERS[1:], value), data=b"{}")
            attacker.ask(route, headers={"X-Forwarded-For": value, "Authorization": value}, json={})
        for name in HEADERS:
            attacker.ask(route, headers={name: HEADER_VALUES[len(name) % len(HEADER_VALUES)]}, json=USUAL)
    assert [] == attacker.faults
