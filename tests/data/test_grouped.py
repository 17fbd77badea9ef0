"""Aggregates on both databases: groups, spreads, embeds, policies, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.data.films import ANNA, Library, headers_of, opened, user


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """A filled library in which aggregates are allowed."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('groups') / 'films.db'}"
    else:
        url = request.getfixturevalue("postgresql_url")
        _empty(url)
    with opened(url, aggregates=True) as found:
        yield found


def _empty(url: str) -> None:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


FOUND: list[tuple[str, list[dict[str, Any]]]] = [
    ("/films?select=count()", [{"count": 4}]),
    ("/films?select=count", [{"count": 4}]),
    (
        "/films?select=n:year.count(),year.sum(),year.min(),year.max()",
        [{"n": 3, "sum": 5954, "min": 1978, "max": 1995}],
    ),
    ("/films?select=year.sum()&id=eq.0", [{"sum": None}]),
    ("/films?select=seen,count()&order=seen", [{"seen": False, "count": 3}, {"seen": True, "count": 1}]),
    ("/films?select=seen,count()&order=seen&limit=1&offset=1", [{"seen": True, "count": 1}]),
    ("/films?select=title.min(),last:title.max()", [{"min": "Heat", "last": "Ärger*"}]),
    ("/films?select=shot_at.max()", [{"max": "1995-03-01T12:30:00.5+00:00"}]),
    ("/films?select=year.max()::text", [{"max": "1995"}]),
    ("/films?select=info->>cost::int.sum()", [{"sum": 65}]),
    (
        "/films?select=s:info->>studio,count()&order=info->>studio.nullsfirst",
        [{"s": None, "count": 2}, {"s": "Regency", "count": 1}, {"s": "UA", "count": 1}],
    ),
    ("/films?select=info,count()&id=eq.2", [{"info": {"studio": "UA", "cost": 5}, "count": 1}]),
    ("/films?select=i:info->tags,count()&id=eq.1", [{"i": ["crime", "heist"], "count": 1}]),
    (
        "/films?select=director_id,directors(name),count()&order=director_id.nullslast",
        [
            {"director_id": 1, "directors": {"name": "Mann"}, "count": 2},
            {"director_id": 2, "directors": {"name": "Hill"}, "count": 1},
            {"director_id": None, "directors": None, "count": 1},
        ],
    ),
    (
        "/films?select=count(),...directors(who:name)&order=directors(who).nullslast",
        [{"count": 1, "who": "Hill"}, {"count": 2, "who": "Mann"}, {"count": 1, "who": None}],
    ),
    ("/films?select=...directors(id.max())", [{"max": 2}]),
    ("/posters?select=...films(...directors(directors:count()))", [{"directors": 1}]),
    (
        "/directors?select=name,films(count(),year.max())&order=id",
        [
            {"name": "Mann", "films": [{"count": 2, "max": 1995}]},
            {"name": "Hill", "films": [{"count": 1, "max": 1978}]},
            {"name": "Nobody", "films": [{"count": 0, "max": None}]},
        ],
    ),
    (
        "/directors?select=films(seen,count())&order=id&films.order=seen&id=eq.1",
        [{"films": [{"seen": False, "count": 1}, {"seen": True, "count": 1}]}],
    ),
    ("/films?select=directors(count())&id=eq.1", [{"directors": {"count": 1}}]),
    ("/films?select=actors(count())&id=eq.1", [{"actors": [{"count": 1}]}]),
    ("/directors?select=count(),...films(year)&id=eq.3", [{"count": 1, "year": []}]),
]


@pytest.mark.parametrize(("target", "expected"), FOUND)
def test_groups_are_found(library: Library, target: str, expected: list[dict[str, Any]]) -> None:
    """The same on both databases."""
    assert expected == library.rows(target)


def test_averages_agree(library: Library) -> None:
    """PostgreSQL writes more digits."""
    assert 1984.67 == round(library.rows("/films?select=year.avg()")[0]["avg"], 2)


def test_only_rows_that_the_caller_may_see_are_counted(library: Library) -> None:
    """Anna has a film of her own; Bens counts for nobody here."""
    assert [{"count": 5}] == library.rows("/films?select=count()", user(ANNA))
    films = library.rows("/directors?select=films(count())&id=eq.2", user(ANNA))
    assert [{"films": [{"count": 2}]}] == films


def test_a_count_of_an_aggregated_read_counts_its_rows_before_they_are_grouped(library: Library) -> None:
    """As PostgREST does."""
    answer = library.ask("/films?select=seen,count()", prefer="count=exact")
    assert "0-1/4" == headers_of(answer)["Content-Range"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/films?select=title.sum()", (404, "42883")),
        ("/films?select=seen.max()", (404, "42883")),
        ("/films?select=info.min()", (404, "42883")),
        ("/films?select=nope.max()", (400, "42703")),
        ("/films?select=budget.max()", (400, "42703")),
        ("/films?select=seen,count()&order=title", (400, "42803")),
        ("/films?select=count(),directors(name)&order=directors(name)", (400, "42803")),
        ("/films?select=year.max()::uuid", (400, "42704")),
        ("/directors?select=name,...films(year.max())", (400, "PGRST127")),
        ("/films?select=year.median()", (400, "PGRST100")),
    ],
)
def test_an_aggregate_is_refused(library: Library, target: str, expected: tuple[int, str]) -> None:
    """What a type does not have, and what no group has."""
    assert expected == library.refusal(target)
