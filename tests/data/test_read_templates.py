"""Reads made of templates are those that are read from their own text, and what is no value is never taken for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from tests.data.films import Library, headers_of, user

from portero.data import reads
from portero.data.nodes import DataAnswer, HttpRequest
from portero.data.read_templates import cut, has_marks, marked, read_marked
from portero.settings import Settings

MEMBER = user(UUID(int=7))
#: {} stands for a value. Each is asked with several, so that the later ones are made of what the first one left.
SHARED = [
    "/films?id=eq.{}",
    "/films?id=not.eq.{}&select=id&order=id",
    "/films?id=gte.{}&year=lt.1990&select=id,title&order=id&limit=2",
    "/films?year=lt.1990&id=neq.{}&year=gt.{}&select=id&order=id",
    "/films?title=eq.{}&select=title,id",
    "/films?select=id,directors(name)&directors.name=eq.{}&order=id",
    "/films?select=id,d:directors!inner(name)&d.name=neq.{}&id=lte.3&order=id",
    "/films?info->>studio=eq.{}&select=id",
    "/films?z=1&id=eq.{}&b&a=eq.{}",
    "/films?id=eq.{}&or=(year.eq.1995,title.eq.Heat)",
    "/films?id=eq.{}&title=eq.portero-value-0-",
    "/films?title=eq.{}&title=neq.portero-value-1-",
    "/films?id=eq.{}&id=eq.{}",
    "/films?%69d=eq.{}&select=id",
]
VALUES = ("1", "2", "Heat", "", "a b", "a+b", "a%20b", "%C3%A9", "é", "%FF", "%00", '"x"', "a=b", "eq.1", "(1)", "1.5")
#: What only looks like a comparison.
OTHERS = [
    "/films?select=eq.1",
    "/films?order=eq.1",
    "/films?limit=eq.1",
    "/films?offset=gt.0",
    "/films?and=eq.1",
    "/films?directors.order=eq.1",
    "/films?columns=eq.1&id=eq.1",
    "/films?id==eq.1",
    "/films?=eq.1",
    "/films?id=eq",
    "/films?id=is.eq.1",
    "/films?title=like.eq.1",
    "/films?id=in.(=eq.1)",
    "/films?nothing=eq.1",
    "/nowhere?id=eq.1",
    "/films?directors=eq.1&select=id,directors(name)",
]
WAYS: list[dict[str, str]] = [
    {},
    {"prefer": "count=exact"},
    {"prefer": "count=planned"},
    {"prefer": "handling=lenient, count=estimated, nonsense"},
    {"accept": "text/csv"},
    {"accept": "application/vnd.pgrst.object+json"},
    {"range": "1-2", "range_unit": "items"},
    {"accept_profile": "elsewhere"},
]


def asked(library: Library, target: str, **headers: str) -> DataAnswer:
    return library.ask(target, MEMBER, **headers)


@pytest.fixture
def whole(library: Library, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DataAnswer]:
    """Asks without templates and without what is kept of earlier requests."""

    def ask(target: str, **headers: str) -> DataAnswer:
        library.api.reads._kept.cache_clear()
        with monkeypatch.context() as patched:
            patched.setattr(reads, "cut", lambda query: ((query,), []))
            return asked(library, target, **headers)

    return ask


def _said(answer: DataAnswer) -> Any:
    return answer.status, answer.headers, answer.body


@pytest.mark.parametrize("target", SHARED)
def test_what_a_template_gives_is_what_the_request_gives(
    library: Library, whole: Callable[..., DataAnswer], target: str
) -> None:
    for headers in WAYS:
        for value in VALUES:
            text = target.replace("{}", value)
            expected = _said(whole(text, **headers))
            library.api.reads._kept.cache_clear()
            assert _said(asked(library, text, **headers)) == expected, (text, headers)


@pytest.mark.parametrize("target", OTHERS)
def test_what_only_looks_like_a_comparison_is_answered_as_ever(
    library: Library, whole: Callable[..., DataAnswer], target: str
) -> None:
    assert _said(asked(library, target)) == _said(whole(target))
    assert _said(asked(library, target.replace("1", "2"))) == _said(whole(target.replace("1", "2")))


def test_requests_that_differ_in_values_are_read_once(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(library, "/films?id=eq.1&year=gt.1&select=id")
    asked(library, "/films?id=eq.2&year=gt.2&select=id")

    def never(*_: object) -> None:
        raise AssertionError("it was read again")

    monkeypatch.setattr("portero.data.reads.read_marked", never)
    monkeypatch.setattr("portero.data.reads.read_request", never)
    answer = asked(library, "/films?id=eq.3&year=gt.3&select=id")
    assert headers_of(answer)["Content-Location"] == "/films?id=eq.3&select=id&year=gt.3"
    assert answer.status == 200


def test_a_mark_that_a_caller_sends_spoils_the_template_only() -> None:
    http = HttpRequest("GET", "/films", "id=eq.1&title=eq.x&name=like.portero-value-1-")
    texts, compared = cut(http.query)
    head = http[:2] + http[3:]
    request = read_marked(head, texts, Settings())
    assert compared == ["1", "x"]
    assert request is not None
    assert not has_marks(request, texts)
    assert marked(head, texts).path == "/films"
