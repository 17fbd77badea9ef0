"""The stages in order: sessions that ended, OPTIONS, caches that are bounded and hold no refusal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.data.films import ANNA, ANNAS_SESSION, BEN, NOW, Library, headers_of, opened, user

from portero.data.nodes import HttpRequest
from portero.data.reads import Reads
from portero.data.request import read_request
from portero.data.shape_budget import ShapeBudget
from portero.errors import DataError
from portero.principal import NOBODY, Principal
from portero.settings import Settings
from portero.store.tables import Session, User
from portero.weights import weight_of


def kept(reads: Reads, what: str) -> int:
    return reads.caches()[what].entries


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """A filled library on SQLite; Anna has a session."""
    with opened(f"sqlite:///{tmp_path / 'films.db'}") as found:
        with found.database.writing() as connection:
            connection.execute(sa.insert(User).values(id=ANNA, created_at=NOW, updated_at=NOW))
            connection.execute(
                sa.insert(Session).values(id=ANNAS_SESSION, user_id=ANNA, created_at=NOW, refreshed_at=NOW)
            )
        yield found


def test_an_ended_session_is_refused_at_the_next_request(library: Library) -> None:
    """Without any cache between."""
    anna = user(ANNA, ANNAS_SESSION)
    assert 5 == len(library.rows("/films?select=id", anna))
    with library.database.writing() as connection:
        connection.execute(sa.delete(Session))
    answer = library.ask("/films?select=id", anna)
    assert 401 == answer.status
    assert headers_of(answer)["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    assert (401, "PGRST303") == library.refusal("/films?select=id", anna)


def test_options_say_what_the_policies_allow_without_the_database(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown tables are 404 there too."""
    monkeypatch.setattr(library.database, "fetch_documents", None)
    assert [("Allow", "OPTIONS,GET,HEAD")] == library.api.describe("/films", "anon").headers
    assert 404 == library.api.describe("/vaults", "anon").status


def test_a_refusal_is_never_kept_and_a_kept_request_builds_nothing(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time no SQLAlchemy object is made."""
    anna = user(ANNA)
    library.rows("/films?select=id&id=eq.1", anna)
    library.refusal("/films?select=nope", anna)
    reads = library.api.reads
    assert 1 == kept(reads, "statements")

    def built(*_: object) -> None:
        raise AssertionError("a statement was built")

    monkeypatch.setattr(reads, "compile", built)
    monkeypatch.setattr("portero.data.reads.compile_read", built)
    assert [{"id": 1}] == library.rows("/films?select=id&id=eq.1", anna)
    assert [{"id": 2}] == library.rows("/films?select=id&id=eq.2", anna)


def test_what_is_long_is_not_kept(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can send what is long and different each time: a query, a header that means nothing, many embeds."""
    reads = library.api.reads
    plain = HttpRequest("GET", "/films", "select=id")
    long = " " * 3000
    for http in (plain._replace(range=long), plain._replace(accept=long), plain._replace(prefer=long)):
        reads.prepare(http, "anon", guarded=False)
    assert 0 == kept(reads, "requests")
    embeds = ",".join(f"a{number}:films(*)" for number in range(45))
    monkeypatch.setattr("portero.data.reads._HEAVIEST_STATEMENT", 32_768)
    for _ in range(2):
        reads.prepare(HttpRequest("GET", "/directors", f"select={embeds}"), "authenticated", guarded=False)
    assert (0, 1) == (kept(reads, "requests"), kept(reads, "statements")), "the short one only"
    reads.prepare(plain, "anon", guarded=False)
    assert 1 == kept(reads, "requests")


def test_a_request_that_asks_for_too_much_is_refused_soon(library: Library) -> None:
    """A filter on an embed is written wherever the embed is asked for: a short request is thousands of subqueries."""
    inner = ",".join(f"a{number}:directors!inner()" for number in range(45))
    tests = ",".join(["x.is.null"] * 90)
    began = time.process_time()
    assert (400, "54001") == library.refusal(f"/directors?select=x:films({inner})&or=({tests})")
    assert time.process_time() - began < 5


def test_shapes_of_strangers_are_kept_only_when_they_come_back(library: Library) -> None:
    """And the list of strangers is bounded."""
    reads = library.api.reads
    library.rows("/films?select=id")
    assert 0 == kept(reads, "statements")
    library.rows("/films?select=id&")
    assert 1 == kept(reads, "statements")
    for number in range(1100):
        library.api.reads._anonymous.add(number)
    library.rows("/films?select=title")
    figures = reads.caches()["strange_shapes"]
    assert figures.entries <= figures.most


def test_who_sends_ever_new_kinds_of_request_is_told_to_wait_and_holds_up_nobody_else(library: Library) -> None:
    """Known kinds are served on, to the same caller and to others; reads, writes that read back, and batches count."""
    reads, api = library.api.reads, library.api
    reads.budget = ShapeBudget(rate=1)
    anna, bert = user(ANNA), user(BEN)
    kinds = [f"select=id&or=({','.join(['id.eq.1'] * (number + 1))})" for number in range(5)]

    def ask(who: Principal, http: HttpRequest) -> int:
        return api.answer(http, who, NOW, None, lambda: str(who.user_id or "192.0.2.7")).status

    for query in kinds:
        assert 200 == ask(anna, HttpRequest("GET", "/films", query))
    refused = api.answer(HttpRequest("GET", "/films", "select=title"), anna, NOW, None, lambda: str(ANNA))
    assert (429, "1") == (refused.status, headers_of(refused)["Retry-After"])
    assert b'"PORTERO429"' in refused.body
    written = api.writes.heads.read(HttpRequest("POST", "/films", "select=title", prefer="return=representation"))
    with pytest.raises(DataError, match="PORTERO429"):
        reads.keyed_statement(written, "authenticated", lambda: str(ANNA))
    operation = b'[{"method": "GET", "path": "/films?select=year"}]'
    assert 429 == ask(anna, HttpRequest("POST", "/-/batch", body=operation))
    assert 200 == ask(anna, HttpRequest("GET", "/films", kinds[0].replace("id.eq.1", "id.eq.2")))
    assert 200 == ask(bert, HttpRequest("GET", "/films", "select=title"))
    assert 200 == ask(NOBODY, HttpRequest("GET", "/films", "select=title"))


def test_a_very_long_query_is_answered_and_not_kept(library: Library) -> None:
    """Longer than 2 KiB."""
    query = "select=id&" + "&".join(f"title=neq.{'x' * 60}{n}" for n in range(40))
    assert 4 == len(library.rows(f"/films?{query}"))
    assert 0 == kept(library.api.reads, "requests")


@pytest.mark.parametrize("part", ["id,", "id=eq.1&", "a->0->", "id::text,", "or=(id.eq.1,id.eq.2)&"])
def test_what_is_read_of_the_longest_write_that_is_kept_is_light(part: str) -> None:
    """At most 64 bytes a letter, whatever the letters say."""
    query = (part if "=" in part else "select=" + part) + part * 2000
    query = query[: 1000 - 1000 % len(part)].rstrip(",&->")
    head = HttpRequest("PATCH", "/films", query)
    request = read_request(head, Settings(max_conditions=1000, max_select=1000, max_json_path=1000))
    assert weight_of((head, request, request.shape.keyed)) < 64 * 1024


def test_an_unknown_verb_is_refused(library: Library) -> None:
    """405 with the verb."""
    answer = library.api.answer(HttpRequest("PROPFIND", "/films"), user(ANNA), NOW)
    assert 405 == answer.status


def test_what_was_asked_comes_back_in_the_headers(library: Library) -> None:
    """Content-Location with sorted parameters, Preference-Applied, Vary."""
    headers = headers_of(library.ask("/films?order=id&limit=1&id=eq.1", prefer="count=exact"))
    assert "/films?id=eq.1&limit=1&order=id" == headers["Content-Location"]
    assert ("count=exact", "Accept, Prefer, Range") == (headers["Preference-Applied"], headers["Vary"])


def test_a_fault_of_the_database_that_no_request_can_cause_stays_a_fault(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edge answers it with 500."""
    error = library.api._driver_error("disk on fire")

    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(library.database, "fetch_documents", failing)
    with pytest.raises(type(error), match="fire"):
        library.ask("/films")
