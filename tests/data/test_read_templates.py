"""Reads made of templates are those that are read from their own text, and what is no value is never taken for one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.data.films import NOBODY, Library, headers_of, user

from portero.data.nodes import DataAnswer
from portero.principal import Principal

MEMBER = user(UUID(int=7))
CALLERS = [MEMBER, NOBODY, Principal("service_role", None, None)]
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
    "/films?title=like.x=eq.1",
    "/films?nothing=eq.%FF1",
    "/nowhere?id=eq.%001",
    "/films?id=eq.1&portero-value-0-",
    '/films?id=eq.1&select=id,"portero-value-0-":title',
    "/films?id=eq.1&title=like.portero-value-1-",
    "/films?select=title&limit=eq.1&limit=5&title=like.%70ortero-value-0-",
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


#: A preference that is none, so long that a request with it has no template and is not kept.
LONG = "x" * 2_100


def asked(library: Library, target: str, who: Principal = MEMBER, method: str = "GET", **headers: str) -> DataAnswer:
    return library.ask(target, who, method, **headers)


def whole(library: Library, target: str, who: Principal = MEMBER, method: str = "GET", **headers: str) -> DataAnswer:
    """Ask for the same in a request that is read from its own text."""
    preferences = ", ".join(filter(None, [headers.pop("prefer", ""), LONG]))
    return library.ask(target, who, method, prefer=preferences, **headers)


def said(answer: DataAnswer) -> Any:
    return answer.status, answer.headers, answer.body


@pytest.mark.parametrize("target", SHARED)
def test_what_a_template_gives_is_what_the_request_gives(library: Library, target: str) -> None:
    for headers in WAYS:
        for value in VALUES:
            text = target.replace("{}", value)
            assert said(asked(library, text, **headers)) == said(whole(library, text, **headers)), (text, headers)


@pytest.mark.parametrize("who", CALLERS, ids=["member", "anon", "service"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_caller_gets_what_their_request_gives(library: Library, who: Principal, method: str) -> None:
    for target in SHARED:
        for value in VALUES[:3]:
            text = target.replace("{}", value)
            assert said(asked(library, text, who, method)) == said(whole(library, text, who, method)), text


@pytest.mark.parametrize("target", OTHERS)
def test_what_only_looks_like_a_comparison_is_answered_as_ever(library: Library, target: str) -> None:
    for text in (target, target.replace("1", "2"), target.replace("1", "3")):
        assert said(asked(library, text)) == said(whole(library, text))
        assert asked(library, text).status < 500


def test_requests_that_differ_in_values_share_a_template(library: Library) -> None:
    for number in (1, 2):
        asked(library, f"/films?id=eq.{number}&year=gt.{number}&select=id")
    before = library.api.caches()["templates"]
    for number in range(10, 15):
        answer = asked(library, f"/films?id=eq.{number}&year=gt.{number}&select=id")
        assert headers_of(answer)["Content-Location"] == f"/films?id=eq.{number}&select=id&year=gt.{number}"
    after = library.api.caches()["templates"]
    assert (after.hits - before.hits, after.misses - before.misses) == (5, 0)


@pytest.mark.parametrize(
    "target", ["/films?select=((&id=eq.1&z{}", "/films?limit=eq.1&z{}", "/films?z{}&" + "id=eq.&" * 99]
)
def test_what_is_refused_or_heavy_leaves_no_template(library: Library, target: str) -> None:
    before = library.api.caches()["templates"].entries
    for number in range(5):
        asked(library, target.replace("{}", str(number)))
    assert library.api.caches()["templates"].entries == before
