"""Reads as callers see them, on SQLite and on PostgreSQL: the same rows, the same refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.films import ANNA, BEN, NOW, Library, headers_of, opened, user

from portero.data.nodes import HttpRequest
from portero.principal import NOBODY, Principal

FOUND = [
    # columns, aliases, casts, JSON paths
    ("/films?id=eq.1&select=id,name:title,year::text", [{"id": 1, "name": "Heat", "year": "1995"}]),
    ("/films?id=eq.1&select=seen,shot_at", [{"seen": True, "shot_at": "1995-03-01T12:30:00.5+00:00"}]),
    (
        "/films?id=eq.1&select=info->studio,s:info->>studio,info->cast->1",
        [{"studio": "Regency", "s": "Regency", "cast": "De Niro"}],
    ),
    ("/films?id=eq.1&select=info->>cost,n:info->>cost::int,info->nope", [{"cost": "60", "n": 60, "nope": None}]),
    (
        "/films?id=eq.1&select=last:info->cast->>-1,j:info->>cast::json",
        [{"last": "De Niro", "j": ["Pacino", "De Niro"]}],
    ),
    ("/films?id=eq.1&select=owner_id,id,id", [{"owner_id": None, "id": 1}]),
    ("/films?id=eq.1&select=seen::text,b:info->>cost::numeric", [{"seen": "true", "b": 60}]),
    ("/films?id=eq.1&select=t:year::bool", None),
    ("/directors?id=eq.1", [{"id": 1, "name": "Mann"}]),
    # operators
    ("/films?year=gte.1981&year=lt.1995&select=id", [{"id": 2}]),
    ("/films?id=neq.1&year=not.is.null&select=id&order=id", [{"id": 2}, {"id": 3}]),
    ("/films?title=like.*e*t&select=id", [{"id": 1}]),
    ("/films?title=like.THE*&select=id", []),
    ("/films?title=ilike.THE_D*&select=id", [{"id": 3}]),
    ("/films?title=ilike.ärger%2A&select=id", [{"id": 4}]),
    (r"/films?title=like.Ärger\*&select=id", []),
    ("/films?title=like(any).{He*,Th*}&select=id&order=id", [{"id": 1}, {"id": 2}]),
    ("/films?title=ilike(all).{*h*,*r*}&select=id", [{"id": 3}]),
    ('/films?title=in.(Heat,"Thief")&select=id&order=id', [{"id": 1}, {"id": 2}]),
    ("/films?id=in.()&select=id", []),
    ("/films?id=not.in.(1,2,3)&select=id", [{"id": 4}]),
    ("/films?year=eq(any).{1995,1981}&select=id&order=id", [{"id": 1}, {"id": 2}]),
    ("/films?year=gt(all).{1980,1990}&select=id", [{"id": 1}]),
    ("/films?year=isdistinct.1995&select=id&order=id", [{"id": 2}, {"id": 3}, {"id": 4}]),
    ("/films?seen=is.true&select=id", [{"id": 1}]),
    ("/films?seen=eq.True&select=id", [{"id": 1}]),
    ("/films?seen=is.unknown&select=id", []),
    ("/films?year=is.not_null&year=lt.1980&select=id", [{"id": 3}]),
    ("/films?shot_at=gt.1995-03-01T12:30:00Z&select=id", [{"id": 1}]),
    ('/films?shot_at=in.("1995-03-01T12:30:00.5Z")&select=id', [{"id": 1}]),
    ("/films?info->>studio=eq.UA&select=id", [{"id": 2}]),
    ("/films?info->cost=gt.10&select=id", [{"id": 1}]),
    ('/films?info->studio=eq."UA"&select=id', [{"id": 2}]),
    ("/films?info->>cost=in.(5,60)&select=id&order=id", [{"id": 1}, {"id": 2}]),
    ('/films?info=cs.{"tags":["heist"]}&select=id', [{"id": 1}]),
    ('/films?info=cd.{"studio":"UA","cost":5,"x":1}&select=id', [{"id": 2}]),
    ("/films?info->tags=ov.{heist}&select=id", None),
    ("/films?select=id,info&id=eq.2", [{"id": 2, "info": {"studio": "UA", "cost": 5}}]),
    ("/films?title=match(any).{^H,^T}&select=id&order=id", None),
    ("/films?title=imatch.^h&select=id", None),
    # trees
    ("/films?or=(year.lt.1980,and(seen.is.true,id.in.(1,2)))&select=id&order=id", [{"id": 1}, {"id": 3}]),
    ("/films?not.or=(id.eq.1,id.eq.2)&select=id&order=id", [{"id": 3}, {"id": 4}]),
    ("/films?and=(title.not.like.*e*,id.gt.1)&select=id", []),
    # order and pages
    ("/films?select=id&order=year.desc", [{"id": 4}, {"id": 1}, {"id": 2}, {"id": 3}]),
    ("/films?select=id&order=year.desc.nullslast&limit=2", [{"id": 1}, {"id": 2}]),
    ("/films?select=id&order=year&offset=3", [{"id": 4}]),
    ("/films?select=id&order=title", [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]),
    ("/films?select=id&order=info->cost.desc.nullslast,id&limit=2", [{"id": 1}, {"id": 2}]),
    (
        "/films?select=id,directors(name)&order=directors(name).desc.nullslast,id&limit=1",
        [{"id": 1, "directors": {"name": "Mann"}}],
    ),
    # embeds
    (
        "/films?id=in.(1,4)&select=id,directors(name)&order=id",
        [{"id": 1, "directors": {"name": "Mann"}}, {"id": 4, "directors": None}],
    ),
    (
        "/directors?select=name,films(id)&order=id&films.order=id",
        [
            {"name": "Mann", "films": [{"id": 1}, {"id": 2}]},
            {"name": "Hill", "films": [{"id": 3}]},
            {"name": "Nobody", "films": []},
        ],
    ),
    ("/directors?select=films(id)&id=eq.1&films.order=year&films.limit=1&films.offset=1", [{"films": [{"id": 1}]}]),
    (
        "/films?id=eq.1&select=posters(url),boss:director_id(name)",
        [{"posters": {"url": "heat.png"}, "boss": {"name": "Mann"}}],
    ),
    ("/films?id=eq.1&select=directors!films_director_id_fkey(name)", [{"directors": {"name": "Mann"}}]),
    (
        "/actors?id=eq.1&select=name,films(title,directors(name))",
        [{"name": "Pacino", "films": [{"title": "Heat", "directors": {"name": "Mann"}}]}],
    ),
    (
        "/films?select=title,directors!inner(name)&directors.name=eq.Hill",
        [{"title": "the Driver", "directors": {"name": "Hill"}}],
    ),
    ("/directors?select=name,films!inner()&films.year=eq.1995", [{"name": "Mann"}]),
    ("/directors?select=name,films()&films=is.null", [{"name": "Nobody"}]),
    ("/directors?select=name,films()&or=(films.is.null,id.eq.1)&order=id", [{"name": "Mann"}, {"name": "Nobody"}]),
    ("/directors?id=eq.1&select=f:films(id)&f.or=(id.eq.1,year.eq.7)", [{"f": [{"id": 1}]}]),
    # spreads
    ("/films?id=eq.1&select=id,...directors(director:name)", [{"id": 1, "director": "Mann"}]),
    (
        "/directors?id=eq.1&select=name,...films(titles:title)&films.order=id",
        [{"name": "Mann", "titles": ["Heat", "Thief"]}],
    ),
]


@pytest.mark.parametrize(("target", "expected"), FOUND, ids=[target for target, _ in FOUND])
def test_a_read_gives_these_rows(library: Library, target: str, expected: Any) -> None:
    """Anonymous callers, by the contract's own examples."""
    if expected is None:
        assert library.ask(target).status in (200, 400)
        return
    assert expected == library.rows(target)


REFUSED = [
    ("/filmz", (404, "PGRST205")),
    ("/vaults", (404, "PGRST205")),
    ("/sqlite_master", (404, "PGRST205")),
    ("/portero_users", (404, "PGRST205")),
    ("/films?select=budget", (400, "42703")),
    ("/films?select=b:budget::text", (400, "42703")),
    ("/films?budget=gt.1", (400, "42703")),
    ("/films?order=budget", (400, "42703")),
    ("/films?or=(budget.gt.1,id.eq.1)", (400, "42703")),
    ("/directors?select=films(id)&films.budget=eq.7", (400, "42703")),
    ("/films?select=id,directors(name)&order=directors(nope)", (400, "42703")),
    ("/films?select=id,vaults(*)", (400, "PGRST200")),
    ("/films?directors.name=eq.Mann", (400, "PGRST108")),
    ("/directors?select=name,films(id)&order=films(id)", (400, "PGRST118")),
    ("/directors?select=name,films(id)&films=eq.1", (400, "PGRST120")),
    ("/films?order=directors(name)", (400, "PGRST108")),
    ("/films?year=eq.abc", (400, "22P02")),
    ("/films?year=in.(1,x)", (400, "22P02")),
    ("/films?year=eq.99999999999999999999", (400, "22003")),
    ("/films?year=eq(any).1", (400, "22P02")),
    ("/films?year=like.1*", (404, "42883")),
    ("/films?year=is.true", (400, "42804")),
    ("/films?title->a=eq.1", (404, "42883")),
    ("/films?title=cs.{a}", (400, "PGRST127")),
    ("/films?info->cost=eq.{", (400, "22P02")),
    ("/films?select=year::regclass", (400, "42704")),
    ("/films?select=title::uuid", (400, "PGRST127")),
    ("/films?select=title::int", (400, "22P02")),
    ("/films?select=id.count()", (400, "PGRST123")),
    ("/films?limit=-1", (416, "PGRST103")),
    ("/films?title=like." + "a" * 300, (400, "PGRST100")),
    ("/films?title=like.a%5C", (400, "22025")),
    ("/films?id=in.(" + ",".join("1" * 1 for _ in range(501)) + ")", (400, "PGRST100")),
    ("/films?select=id;drop table films", (400, "PGRST100")),
    ("/ledgers", (401, "42501")),
]


@pytest.mark.parametrize(("target", "expected"), REFUSED, ids=[target[:60] for target, _ in REFUSED])
def test_a_read_is_refused(library: Library, target: str, expected: tuple[int, str]) -> None:
    """With all four keys; hidden is the same as missing."""
    assert expected == library.refusal(target)


def test_rows_that_a_policy_hides_are_nowhere(library: Library) -> None:
    """Lists, filters, counts, embeds (threats DA-02, DA-05, DA-06, DA-08)."""
    anna, ben = user(ANNA), user(BEN)
    assert [5] == [row["id"] for row in library.rows("/films?select=id&owner_id=not.is.null", anna)]
    assert [] == library.rows(f"/films?or=(owner_id.eq.{BEN},id.eq.6)", anna)
    answer = library.ask("/films?select=id&limit=1", anna, prefer="count=exact")
    assert (206, "0-0/5") == (answer.status, headers_of(answer)["Content-Range"])
    names = library.rows("/directors?id=eq.2&select=films(title)&films.order=id", ben)
    assert [{"films": [{"title": "the Driver"}, {"title": "Bens"}]}] == names
    assert [] == library.rows("/posters?select=url,films!inner(id)&film_id=eq.6")
    assert [{"films": None}] == library.rows("/posters?select=films(id)&film_id=eq.6")
    assert 6 == len(library.rows("/films?select=id", Principal("service_role")))


def test_rows_of_a_junction_pass_the_junctions_policy(library: Library) -> None:
    """A secret role does not show who played it."""
    assert [{"actors": [{"name": "Pacino"}]}] == library.rows("/films?id=eq.1&select=actors(name)")
    assert [] == library.rows("/actors?id=eq.3&select=name,films!inner(id)")


def test_a_policy_is_parenthesised_against_the_callers_or(library: Library) -> None:
    """threats DA-05."""
    found = library.rows(f"/films?or=(owner_id.eq.{BEN},id.gt.0)&select=id&order=id")
    assert [1, 2, 3, 4] == [row["id"] for row in found]


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE films;--", '" OR 1=1', "%", "\\", "a'b", "💥", "$.x", "{}", "%s", ":x", "?"]
)
def test_hostile_values_are_values(library: Library, text: str) -> None:
    """threats DA-19; also as alias, JSON key and pattern."""
    from urllib.parse import quote

    value = quote(text, safe="")
    assert [] == library.rows(f"/films?title=eq.{value}&select=id")
    assert [] == library.rows(
        f'/films?title=in.("{quote(text.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34)), safe="")}")'
    )
    alias = quote('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"', safe="")
    assert [{text: 1}] == library.rows(f"/films?id=eq.1&select={alias}:id")
    assert 400 >= library.ask(f"/films?select=info->{alias}").status
    assert 4 == len(library.rows("/films?select=id"))


def test_counts_pages_and_head(library: Library) -> None:
    """Content-Range and statuses."""

    def ranged(target: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        answer = library.ask(target, NOBODY, method, **headers)
        return answer.status, headers_of(answer)["Content-Range"]

    assert (200, "0-3/*") == ranged("/films")
    assert (200, "0-3/4") == ranged("/films", prefer="count=exact")
    assert (206, "1-2/4") == ranged("/films?limit=2&offset=1", prefer="count=exact")
    assert (206, "0-0/4") == ranged("/films", prefer="count=estimated", range="0-0")
    assert (200, "*/*") == ranged("/films?id=eq.0")
    assert (200, "*/*") == ranged("/films?limit=0")
    assert (416, "*/4") == ranged("/films?offset=9", prefer="count=exact")
    assert (200, "0-0/1") == ranged(
        "/directors?select=films!inner(id)&films.year=eq.1995", "HEAD", prefer="count=exact"
    )
    assert b"" == library.ask("/films", method="HEAD").body


def test_one_object_csv_and_stripped_nulls(library: Library) -> None:
    """Media types."""
    single = "application/vnd.pgrst.object+json"
    assert {"id": 1} == library.rows("/films?id=eq.1&select=id", accept=single)
    refused = library.ask("/films?select=id", accept=single)
    assert (406, "The result contains 4 rows") == (refused.status, json.loads(refused.body)["details"])
    stripped = "application/vnd.pgrst.array+json;nulls=stripped"
    assert [{"id": 4}] == library.rows("/films?id=eq.4&select=id,year", accept=stripped)
    lines = library.ask("/films?select=id,title,year,seen,info->cast&order=id&limit=1", accept="text/csv")
    assert b'id,title,year,seen,cast\n1,Heat,1995,t,"[""Pacino"", ""De Niro""]"' == lines.body
    assert b"id,title" == library.ask("/films?select=id,title&id=eq.0", accept="text/csv").body


def test_every_read_is_one_statement(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the embeds and counts."""
    said: list[str] = []
    fetch = library.database.fetch_documents

    def counted(sql: str, parameters: Any = ()) -> Any:
        said.append(sql)
        return fetch(sql, parameters)

    monkeypatch.setattr(library.database, "fetch_documents", counted)
    library.ask("/directors?select=*,films!inner(*,actors(*),posters(*))&order=id", prefer="count=exact")
    assert 1 == len(said)


def test_a_regular_expression_is_served_by_both_databases(library: Library) -> None:
    """SQLite has RE2 for it; a pattern that is none is refused."""
    assert [{"id": 1}] == library.rows("/films?title=match.^H&select=id")
    assert [{"id": 3}] == library.rows("/films?title=imatch.DRIVER$&select=id")
    assert [{"id": 1}, {"id": 2}] == library.rows("/films?title=match(any).{^H,^T}&select=id&order=id")
    assert (400, "2201B") == library.refusal("/films?title=match.(")
    assert (404, "42883") == library.refusal("/films?id=match.1")
    assert (400, "PGRST100") == library.refusal("/films?title=match." + "a" * 300)


def test_an_expression_that_backtracks_elsewhere_costs_nothing(library: Library) -> None:
    """RE2 is linear; PostgreSQL's engine does not backtrack either."""
    assert [] == library.rows("/films?title=match.^(a%2B)%2B$b&select=id")


def test_instants_are_shown_in_the_time_zone_that_was_preferred(library: Library) -> None:
    """On both databases, in embeds and casts too; the answer says that it was followed."""
    select = "/films?id=eq.1&select=shot_at,t:shot_at::text"
    assert [{"shot_at": "1995-03-01T04:30:00.5-08:00", "t": "1995-03-01 04:30:00.5-08"}] == library.rows(
        select, prefer="timezone=America/Los_Angeles"
    )
    assert [{"films": [{"shot_at": "1995-03-01T14:30:00.5+02:00"}, {"shot_at": None}]}] == library.rows(
        "/directors?id=eq.1&select=films(shot_at)&films.order=id", prefer="timezone=2"
    )
    answer = library.ask(select, prefer="timezone=Asia/Kolkata")
    assert "timezone=Asia/Kolkata" == headers_of(answer)["Preference-Applied"]
    assert (400, "22023") == library.refusal(select, prefer="timezone=Mars/Olympus")


def test_documents_are_equal_whatever_the_order_of_their_members(library: Library) -> None:
    """What JSON means, not how it is written; the type json of PostgreSQL has no equality."""
    target = '/films?info=eq.{"cost":5,"studio":"UA"}&select=id'
    if library.database.dialect_name == "sqlite":
        assert [{"id": 2}] == library.rows(target)
        assert (400, "PGRST127") == library.refusal("/films?info=gt.{}")
    else:
        assert (404, "42883") == library.refusal(target)


def test_full_text_is_searched_by_postgresql_and_refused_on_sqlite(library: Library) -> None:
    """Each of the four ways, with a language, in a tree and negated; an unknown language is refused."""
    if library.database.dialect_name == "sqlite":
        for target in ("/films?title=fts.heat", "/films?info=wfts(english).x"):
            assert (400, "PGRST127") == library.refusal(target)
        return
    assert [{"id": 3}] == library.rows("/films?title=fts(english).drivers&select=id")
    assert [{"id": 3}] == library.rows("/films?title=plfts.the driver&select=id")
    assert [{"id": 3}] == library.rows("/films?title=phfts(simple).the driver&select=id")
    assert [{"id": 1}, {"id": 2}] == library.rows("/films?title=wfts.heat or thief&select=id&order=id")
    assert [{"id": 1}] == library.rows("/films?or=(info.fts.regency,title.fts.none)&select=id")
    assert [{"id": 1}] == library.rows("/films?title=not.fts.thief&id=lt.3&select=id")
    assert (400, "42704") == library.refusal("/films?title=fts(klingon).x")
    assert (400, "42601") == library.refusal("/films?title=fts.a b")
    assert (400, "54001") == library.refusal(f"/films?title=fts.{'!' * 60}a")


def test_ranges_are_not_to_be_had_of_other_types(library: Library) -> None:
    """The position of a number is no range's."""
    assert (400, "PGRST127") == library.refusal("/films?id=sl.[1,2]")


def test_a_planned_count_is_a_number_and_an_estimated_one_is_exact_while_it_is_small(library: Library) -> None:
    """SQLite keeps no figures, so it counts."""
    planned = headers_of(library.ask("/actors?select=id", prefer="count=planned"))["Content-Range"]
    assert planned.startswith("0-2/")
    assert planned.removeprefix("0-2/").isdigit()
    estimated = library.ask("/actors?select=id&limit=2", prefer="count=estimated")
    assert (206, "0-1/3") == (estimated.status, headers_of(estimated)["Content-Range"])


@pytest.mark.parametrize("count", ["planned", "estimated"])
def test_a_planned_count_is_exact_where_a_policy_hides_rows(library: Library, count: str) -> None:
    """Else the planner's figures would tell how common a value is among them (threats DA-06)."""
    for target, total in (("/films?select=id", 4), ("/films?title=eq.Bens", 0), ("/actors?select=roles!inner()", 2)):
        found = headers_of(library.ask(target, method="HEAD", prefer=f"count={count}"))["Content-Range"]
        assert str(total) == found.rpartition("/")[2], target


def test_an_embed_of_one_row_can_be_paged_away(library: Library) -> None:
    """As any other embed."""
    assert [{"directors": None}] == library.rows("/films?id=eq.1&select=directors(name)&directors.offset=1")
    assert [{"directors": None}] == library.rows("/films?id=eq.1&select=directors(name)&directors.limit=0")
    assert [{"directors": {"name": "Mann"}}] == library.rows("/films?id=eq.1&select=directors(name)&directors.limit=9")


def test_a_path_does_not_go_on_after_a_text(library: Library) -> None:
    """`->>` gives a text, which has no members."""
    assert (404, "42883") == library.refusal("/films?select=info->>cast->0")


def test_null_is_neither_among_any_nor_among_all(library: Library) -> None:
    """Under `not` too."""
    assert [1, 3] == [row["id"] for row in library.rows("/films?year=not.eq(any).{1981}&select=id&order=id")]
    assert [2, 3] == [row["id"] for row in library.rows("/films?year=not.gt(all).{1990}&select=id&order=id")]


def test_a_wide_object_is_put_together_from_pieces(library: Library) -> None:
    """More members than one call of json_build_object takes."""
    select = ",".join(f"c{n}:id" for n in range(120))
    assert [{f"c{n}": 1 for n in range(120)}] == library.rows(f"/directors?id=eq.1&select={select}")


def test_row_limits_hold_at_every_level(tmp_path: Path) -> None:
    """At the top, in embeds, and for a limit that asks for more."""
    with opened(f"sqlite:///{tmp_path / 'few.db'}", max_rows=1) as few:
        assert 1 == len(few.rows("/films?limit=1000000000"))
        assert [{"films": [{"id": 1}]}] == few.rows("/directors?select=films(id)&films.limit=50&limit=9&films.order=id")
        assert (206, "0-0/4") == (
            (answer := few.ask("/films", prefer="count=exact")).status,
            headers_of(answer)["Content-Range"],
        )


def test_a_kept_plan_holds_nothing_of_a_caller(library: Library) -> None:
    """The same request by two users, twice."""
    for _ in range(2):
        for who, expected in ((ANNA, ["Annas"]), (BEN, ["Bens"])):
            found = library.rows("/films?select=title&owner_id=not.is.null", user(who))
            assert expected == [row["title"] for row in found]


VALUES = st.sampled_from(
    ["1", "2", "1995", "x", "-1", "(1,2)", "(x)", "()", "He*", "*", "{1,2}", "null", "true", '"a"']
)
CONDITIONS = st.builds(
    lambda column, negated, operator, value: f"{column}={negated}{operator}.{value}",
    st.sampled_from(["id", "title", "year", "seen", "info->cost", "info->>studio", "films.id", "nope", "budget"]),
    st.sampled_from(["", "not."]),
    st.sampled_from(["eq", "neq", "gt", "lte", "like", "ilike", "in", "is", "isdistinct", "cs", "eq(any)"]),
    VALUES,
)
QUERIES = st.lists(
    st.one_of(
        CONDITIONS,
        st.sampled_from(
            ["limit=1", "offset=1", "limit=x", "order=year.desc,id", "select=id,year", "select=*,directors(*)"]
        ),
    ),
    max_size=4,
).map("&".join)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(QUERIES, st.sampled_from(["", "count=exact"]))
def test_a_cached_plan_answers_like_a_fresh_one(library: Library, query: str, prefer: str) -> None:
    """And no request fails with 5xx."""
    fresh = _fresh(library)
    http = HttpRequest("GET", "/films", query, prefer=prefer)
    answers = [api.answer(http, user(ANNA), NOW) for api in (library.api, library.api, fresh)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0].status < 500


def _fresh(library: Library) -> Any:
    from portero.data.pipeline import DataApi
    from portero.store import sessions

    api = library.api
    return DataApi(api.catalogue, library.database, api.settings, sessions.standing())
