"""Rarely used forms of a request that PostgREST's readers know, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.data.films import Library, headers_of

CSV_PATH = "/films?select=id,title,year,shot_at,directors(name)&order=id&id=in.(1,3,4)"
FOUND = [
    # of equal keys the last counts, and embeds come after columns
    ("/films?id=eq.1&select=id,x:title,x:year", [{"id": 1, "x": 1995}]),
    ("/films?id=eq.1&select=name:title,...directors(name)", [{"name": "Mann"}]),
    ("/films?id=eq.1&select=...directors(name),name:title", [{"name": "Mann"}]),
    (
        "/directors?id=eq.1&select=*,...films(id,title)&films.order=id",
        [{"id": [1, 2], "name": "Mann", "title": ["Heat", "Thief"]}],
    ),
    ("/films?id=eq.1&select=...directors!inner(...films(id))&directors.films.order=id", [{"id": [1, 2]}]),
    # lists of JSON literals
    ("/films?info->cost=in.(60,7)&select=id", [{"id": 1}]),
    ('/films?info->studio=in.("\\"UA\\"")&select=id', [{"id": 2}]),
    ("/films?info->cost=eq(any).{5,60}&select=id&order=id", [{"id": 1}, {"id": 2}]),
    ("/films?info->cost=not.in.(60)&select=id", [{"id": 2}]),
    ("/films?or=(info->cost.in.(5),info->>studio.eq.Regency)&select=id&order=id", [{"id": 1}, {"id": 2}]),
    ("/films?info->cost=gt(all).{4,59}&select=id", [{"id": 1}]),
    # a place in a document as text
    ("/films?id=eq.1&select=info->cast::text", [{"cast": '["Pacino", "De Niro"]'}]),
    ("/films?id=eq.1&select=info->studio::text,s:info->>studio", [{"studio": '"Regency"', "s": "Regency"}]),
    # null tests on embeds, in trees and negated
    ("/directors?select=id,films()&not.and=(films.not.is.null,id.gt.1)&order=id", [{"id": 1}, {"id": 3}]),
    ("/directors?select=id,f:films()&f=is.null", [{"id": 3}]),
    ("/films?select=id,posters(url)&posters=is.not_null", [{"id": 1, "posters": {"url": "heat.png"}}]),
    # trees within embeds of embeds
    (
        "/directors?id=eq.1&select=films(id,actors(name))&films.actors.or=(name.eq.Caan,not.and(id.gt.0))&films.order=id",
        [{"films": [{"id": 1, "actors": []}, {"id": 2, "actors": [{"name": "Caan"}]}]}],
    ),
    # blanks where the grammar allows them
    ("/films?select=id , name:title&id=eq.1", [{"id": 1, "name": "Heat"}]),
    ("/films?select=id&order=year.desc.nullslast , id &limit=1", [{"id": 1}]),
    ("/films?select=id&or=( id.eq.1 , id.eq.2 )&order=id", [{"id": 1}, {"id": 2}]),
]  # fmt: skip


@pytest.mark.parametrize(("target", "expected"), FOUND, ids=[target for target, _ in FOUND])
def test_a_rare_read_gives_these_rows(library: Library, target: str, expected: Any) -> None:
    assert expected == library.rows(target)


SAID = [
    ("/filmz", 404, "PGRST205", "Could not find the table 'public.filmz' in the schema cache", None,
     "Perhaps you meant the table 'public.films'"),
    ("/faketable", 404, "PGRST205", "Could not find the table 'public.faketable' in the schema cache", None, None),
    ("/films?select=director(*)", 400, "PGRST200",
     "Could not find a relationship between 'films' and 'director' in the schema cache",
     "Searched for a foreign key relationship between 'films' and 'director' in the schema 'public', but no matches "
     "were found.", "Perhaps you meant 'directors' instead of 'director'."),
    ("/films?select=directors(name)&directors=eq.1", 400, "PGRST120",
     "Bad operator on the 'directors' embedded resource",
     "Only is null or not is null filters are allowed on embedded resources", None),
    ("/directors?select=f:films(id)&order=f(id)", 400, "PGRST118", "A related order on 'f' is not possible",
     "'directors' and 'f' do not form a many-to-one or one-to-one relationship", None),
    ("/films?actors.id=eq.1", 400, "PGRST108", "'actors' is not an embedded resource in this request", None,
     "Verify that 'actors' is included in the 'select' query parameter."),
    ("/films?year=like.1", 404, "42883", "operator does not exist: integer ~~ unknown", None,
     "No operator matches the given name and argument types. You might need to add explicit type casts."),
    ("/films?select=info->>a->0", 404, "42883", "operator does not exist: text -> integer", None,
     "No operator matches the given name and argument types. You might need to add explicit type casts."),
    ("/films?limit=-1", 416, "PGRST103", "Requested range not satisfiable",
     "Limit should be greater than or equal to zero.", None),
    ("/films?on_conflict=(", 400, "PGRST100", '"failed to parse on_conflict parameter (()" (line 1, column 1)',
     'unexpected "(" expecting field name (* or [a..z0..9_$])', None),
    ("/films?year!=eq.1", 400, "PGRST100", '"failed to parse tree path (year!)" (line 1, column 5)',
     'unexpected "!" expecting "." or end of input', None),
    ("/films?or=()", 400, "PGRST100", '"failed to parse logic tree (())" (line 1, column 4)',
     'unexpected ")" expecting field name (* or [a..z0..9_$]), negation operator (not) or logic operator (and, or)',
     None),
    ("/films?or=(id.in.1,2,id.eq.3)", 400, "PGRST100", '"failed to parse logic tree ((id.in.1,2,id.eq.3))" '
     "(line 1, column 10)", 'unexpected "1" expecting "("', None),
    ("/films?id=in.(1,2", 400, "PGRST100", '"failed to parse filter (in.(1,2)" (line 1, column 8)',
     'unexpected end of input expecting ")"', None),
    ("/films?and=(ord(id.eq.1),id.eq.2)", 400, "PGRST100",
     '"failed to parse logic tree ((ord(id.eq.1),id.eq.2))" (line 1, column 7)', 'unexpected "d" expecting "("', None),
    ("/films?or=(id.eq.1,not.xor(id.eq.2,id.eq.3))", 400, "PGRST100",
     '"failed to parse logic tree ((id.eq.1,not.xor(id.eq.2,id.eq.3)))" (line 1, column 16)',
     'unexpected "x" expecting logic operator (and, or)', None),
    ("/films?or=(id)", 400, "PGRST100", '"failed to parse logic tree ((id))" (line 1, column 6)',
     'unexpected ")" expecting delimiter (.)', None),
    ("/films?or=(id.eq.1", 400, "PGRST100", '"failed to parse logic tree ((id.eq.1)" (line 1, column 11)',
     'unexpected end of input expecting "," or ")"', None),
    ("/films?order=id.ac", 400, "PGRST100", '"failed to parse order (id.ac)" (line 1, column 4)',
     'unexpected "c" expecting "asc", "desc", "nullsfirst" or "nullslast"', None),
    ("/films?order=id.descc", 400, "PGRST100", '"failed to parse order (id.descc)" (line 1, column 8)',
     "unexpected 'c' expecting delimiter (.), \",\" or end of input", None),
    ("/films?order=id.asc.nlsfst", 400, "PGRST100", '"failed to parse order (id.asc.nlsfst)" (line 1, column 8)',
     'unexpected "l" expecting "nullsfirst" or "nullslast"', None),
    ("/films?order=id.asc.nullslasttt", 400, "PGRST100",
     '"failed to parse order (id.asc.nullslasttt)" (line 1, column 17)',
     "unexpected 't' expecting \",\" or end of input", None),
    ("/films?order=id.", 400, "PGRST100", '"failed to parse order (id.)" (line 1, column 4)',
     'unexpected end of input expecting "asc", "desc", "nullsfirst" or "nullslast"', None),
    ("/films?select=id!hint", 400, "PGRST100", '"failed to parse select parameter (id!hint)" (line 1, column 3)',
     'unexpected \'!\' expecting letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input', None),
    ("/films?select=id::", 400, "PGRST100", '"failed to parse select parameter (id::)" (line 1, column 5)',
     "unexpected end of input expecting letter or digit", None),
]  # fmt: skip


@pytest.mark.parametrize(("target", "status", "code", "message", "details", "hint"), SAID, ids=[one[0] for one in SAID])
def test_a_refusal_is_worded_as_postgrests(
    library: Library, target: str, status: int, code: str, message: str, details: str | None, hint: str | None
) -> None:
    answer = library.ask(target)
    expected = {"code": code, "message": message, "details": details, "hint": hint}
    assert (status, expected) == (answer.status, json.loads(answer.body))


def test_a_range_and_a_page_without_a_common_row_are_refused(library: Library) -> None:
    assert [{"id": 3}] == library.rows("/films?select=id&order=id&offset=1&limit=2", range="2-8")
    assert (416, "PGRST103") == library.refusal("/films?offset=10&limit=3", range="0-4")
    assert (416, "PGRST103") == library.refusal("/films?limit=2", range="3-4")
    assert [] == library.rows("/films?limit=0", range="0-4")


def test_the_content_location_is_sorted_by_the_names_of_the_parameters(library: Library) -> None:
    answer = library.ask("/films?select=id&id=lt.9&id=gt.0&limit=1&or")
    assert "/films?id=lt.9&id=gt.0&limit=1&or=&select=id" == headers_of(answer)["Content-Location"]


def test_an_embed_called_by_its_target_although_it_has_an_alias_is_served_with_a_warning(library: Library) -> None:
    answer = library.ask("/films?id=eq.1&select=boss:directors(name)&directors.name=eq.Mann")
    assert [{"boss": {"name": "Mann"}}] == json.loads(answer.body)
    assert (
        '299 Portero "Embedded resource was referenced by relation name even though it has an alias. This is '
        "deprecated and will stop working in a future release. Update `directors` to `boss` in query string filters, "
        'orders or limits."'
    ) == headers_of(answer)["Warning"]
    assert "Warning" not in headers_of(library.ask("/films?select=boss:directors(name)&boss.name=eq.Mann"))
    odd = library.ask('/films?select="b%0A":directors(name)&directors.name=eq.Mann')
    assert "Update" not in headers_of(odd)["Warning"]


def test_csv_shows_values_as_postgresql_writes_rows(library: Library) -> None:
    answer = library.ask(CSV_PATH, accept="text/csv")
    assert (
        "id,title,year,shot_at,directors\n"
        '1,Heat,1995,"1995-03-01 12:30:00.5+00","{""name"": ""Mann""}"\n'
        '3,"the Driver",1978,,"{""name"": ""Hill""}"\n'
        "4,Ärger*,,,"
    ) == answer.body.decode()


def test_the_most_wanted_media_type_wins(library: Library) -> None:
    def kind(accept: str) -> str:
        return headers_of(library.ask("/films?limit=1", accept=accept))["Content-Type"].partition(";")[0]

    assert "application/json" == kind("text/csv;q=0.5, application/json")
    assert "text/csv" == kind("application/json;q=0.5, text/csv")
    assert "text/csv" == kind("*/*, text/csv")
    assert "application/json" == kind("text/html, application/xml;q=0.9, */*;q=0.8")
    assert (406, "PGRST107") == library.refusal("/films", accept="text/csv;q=0, text/html")
