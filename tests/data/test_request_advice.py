"""What callers filter and order by, off their requests, and which of it the database has no index for."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from portero.data.caller import me
from portero.data.catalogue import Catalogue, build
from portero.data.exposure import Exposure
from portero.data.policy import Policy, Verb, allow_all
from portero.data.request_advice import Advice, advice_of
from portero.settings import Settings
from portero.store.engine import Database

METADATA = sa.MetaData()
TEAMS = sa.Table("teams", METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
NOTES = sa.Table(
    "notes",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("owner_id", sa.Uuid, index=True),
    sa.Column("team_id", sa.ForeignKey("teams.id")),
    sa.Column("title", sa.Text),
    sa.Column("at", sa.DateTime),
    sa.Column("info", sa.JSON),
)


@pytest.fixture
def database(database_url: str) -> Database:
    """The tables, on each kind of database."""
    opened = Database.open(database_url)
    with opened.writing() as connection:
        METADATA.create_all(connection)
    return opened


def catalogue(dialect: str, select: Policy) -> Catalogue:
    """Expose notes with a policy, and teams to everybody."""
    given = {NOTES: select, TEAMS: allow_all}
    return build(
        [Exposure(each, {Verb.SELECT: which}, {}, (), None, None, None, None, None) for each, which in given.items()],
        dialect,
    )


def advised(database: Database, *lines: str, select: Policy = allow_all) -> Advice:
    """Look through these lines."""
    try:
        with database.reading() as connection:
            return advice_of(catalogue(database.dialect_name, select), connection, Settings(), lines)
    finally:
        database.close()


def named(advice: Advice) -> list[str]:
    """The part of each sentence before the advice."""
    return [each.partition(". Say")[0] for each in advice.sentences]


def test_what_is_asked_most_stands_first(database: Database) -> None:
    found = advised(
        database,
        "/notes?title=eq.a",
        "GET /rest/v1/notes?title=eq.b&select=id",
        '10.0.0.1 - - [28/Nov/2026:10:00:00 +0000] "GET /rest/v1/notes?title=in.(a,b) HTTP/1.1" 200 2',
        '10.0.0.1 - - [28/Nov/2026:10:00:00 +0000] "PATCH /rest/v1/notes?title=lt.a HTTP/1.1" 204 0',
        "/notes?order=at.desc&limit=10",
    )
    assert [
        "No index on notes.title: 4 requests filter by it",
        "No index on notes.at: 1 request orders by it",
    ] == named(found)
    assert (5, 0) == (found.read, found.passed_over)


@pytest.mark.parametrize(
    "request_line",
    [
        "/notes?id=eq.1&title=eq.a",  # one condition with an index is enough
        "/notes?and=(title.eq.a,owner_id.eq.6f1c2c0e-8f5b-4f0e-9d0a-3f6f0c9d1a11)",
        "/notes?or=(id.eq.1,owner_id.is.null)",
        "/notes?title=neq.a",  # what no ordinary index serves
        "/notes?title=not.eq.a",
        "/notes?title=ilike.*a*",
        "/notes?not.or=(title.eq.a,id.eq.1)",
        "/notes?info->>x=eq.a&order=info->>x",
        "/notes?id=eq.1&order=at",
        "/notes?select=id,teams(name)&order=teams(name)",
        "/notes",
    ],
)
def test_what_an_index_serves_or_none_can_is_not_named(database: Database, request_line: str) -> None:
    assert ([], 1) == (named(found := advised(database, request_line)), found.read)


def test_of_alternatives_each_needs_an_index(database: Database) -> None:
    assert ["No index on notes.title: 1 request filters by it"] == named(
        advised(database, "/notes?or=(id.eq.1,title.eq.a)")
    )


def test_a_policy_that_finds_the_callers_rows_by_an_index_is_enough(database: Database) -> None:
    assert [] == named(advised(database, "/notes?title=eq.a&order=at", select=lambda note: note.owner_id == me.id))


def test_a_policy_that_also_shows_the_rows_of_others_is_not(database: Database) -> None:
    def everybodys(note: sa.sql.base.ReadOnlyColumnCollection[str, sa.Column[object]]) -> sa.ColumnElement[bool]:
        return (note.owner_id == me.id) | (note.team_id == 1)

    assert 1 == len(named(advised(database, "/notes?title=eq.a", select=everybodys)))


def test_lines_that_are_no_requests_to_tables_are_counted(database: Database) -> None:
    lines = ["", "no request", "/nothing?x=eq.1", "/notes?title=a", "POST /rest/v1/rpc/add", "/rest/v1/-/batch"]
    found = advised(database, *lines)
    assert ([], 0, 5) == (found.sentences, found.read, found.passed_over)
