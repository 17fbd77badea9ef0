"""EXISTS as IN: where it is the same, where it is left alone, and that SQLite then begins at the caller's rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column, relationship

from portero.data.caller import me
from portero.data.catalogue import build
from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.execute import parameters_of
from portero.data.exposure import Exposure
from portero.data.nodes import HttpRequest
from portero.data.pipeline import DataApi
from portero.data.policy import Verb, allow_all
from portero.data.semi_joins import caller_first, callers_collected
from portero.principal import Principal
from portero.settings import Settings
from portero.store import sessions
from portero.store.engine import Database

METADATA = sa.MetaData()
DOCUMENTS = sa.Table(
    "documents",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("team_id", sa.Integer, index=True),
    sa.Column("code", sa.Text),
)
MEMBERS = sa.Table(
    "members",
    METADATA,
    sa.Column("user_id", sa.Uuid, primary_key=True),
    sa.Column("team_id", sa.Integer, primary_key=True),
)
TEAMS = sa.Table("teams", METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("code", sa.Text))
NOW = datetime(2026, 5, 1, tzinfo=UTC)
ANNA, BEN, CLARA = UUID(int=1), UUID(int=2), UUID(int=3)

TIED = MEMBERS.c.team_id == DOCUMENTS.c.team_id
MINE = MEMBERS.c.user_id == me.id
BELONGS = sa.exists().where(TIED, MINE)


def text_of(policy: sa.ColumnElement[bool]) -> str:
    return " ".join(str(caller_first(policy, DOCUMENTS)).split())


class Base(DeclarativeBase):
    """Classes that share a table."""


class Person(Base):
    """Anybody of a team."""

    __tablename__ = "people"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012 - the way SQLAlchemy reads it

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    team_id: Mapped[int] = mapped_column(sa.ForeignKey("squads.id"))


class Leader(Person):
    """Who leads a team; a row of the same table."""

    __mapper_args__ = {"polymorphic_identity": "leader"}  # noqa: RUF012 - the way SQLAlchemy reads it


class Squad(Base):
    """A team."""

    __tablename__ = "squads"

    id: Mapped[int] = mapped_column(primary_key=True)
    leaders: Mapped[list[Leader]] = relationship()


OTHER_LEADER = aliased(Leader)
LEADS = Leader.team_id == DOCUMENTS.c.team_id
IN = "documents.team_id IN (SELECT members.team_id FROM members WHERE members.user_id = :portero_me_id)"


@pytest.mark.parametrize(
    ("expected", "policy"),
    [
        (IN, BELONGS),
        (IN, sa.exists().where(DOCUMENTS.c.team_id == MEMBERS.c.team_id).where(MINE)),
        (IN, sa.select(MEMBERS.c.team_id).where(sa.and_(MINE, TIED)).exists()),
        (f"({IN}) OR documents.id = :id_1", sa.or_(BELONGS, DOCUMENTS.c.id == 5)),
        (f"({IN}) AND documents.id = :id_1", sa.and_(BELONGS, DOCUMENTS.c.id == 5)),
    ],
)
def test_one_equality_with_the_policys_own_table_becomes_in(expected: str, policy: sa.ColumnElement[bool]) -> None:
    assert expected == text_of(policy)


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(~BELONGS, id="a negation: NULL is not FALSE there"),
        pytest.param(sa.case((BELONGS, sa.true()), else_=sa.false()), id="inside another expression"),
        pytest.param(sa.exists().where(MINE), id="no tie"),
        pytest.param(sa.exists().where(TIED, MINE, MEMBERS.c.team_id > DOCUMENTS.c.id), id="two ties"),
        pytest.param(sa.exists().where(MEMBERS.c.team_id > DOCUMENTS.c.team_id, MINE), id="a tie that is no equality"),
        pytest.param(sa.exists().where(sa.or_(TIED, MINE)), id="a tie below OR"),
        pytest.param(sa.exists().where(TEAMS.c.id == DOCUMENTS.c.code), id="unlike types"),
        pytest.param(sa.exists().where(TEAMS.c.code == DOCUMENTS.c.code), id="the other text's collation"),
        pytest.param(sa.exists().where(LEADS), id="one of the classes of a table"),
        pytest.param(sa.select(Leader).where(LEADS).exists(), id="one of the classes of a table, selected"),
        pytest.param(
            sa.exists().where(OTHER_LEADER.team_id == DOCUMENTS.c.team_id), id="one of the classes of a table, alias"
        ),
        pytest.param(
            sa.select(Leader.id).join(Squad).where(Squad.id == DOCUMENTS.c.team_id).exists(),
            id="one of the classes of a table, joined from",
        ),
        pytest.param(
            sa.select(Squad.id).join(Squad.leaders).where(Squad.id == DOCUMENTS.c.team_id).exists(),
            id="one of the classes of a table, joined to",
        ),
        pytest.param(sa.exists().where(sa.func.abs(TEAMS.c.id) == DOCUMENTS.c.id), id="an expression"),
        pytest.param(sa.select(MEMBERS.c.team_id).where(TIED, MINE).limit(1).exists(), id="a part of the rows"),
        pytest.param(
            sa.select(MEMBERS.c.team_id).where(TIED).group_by(MEMBERS.c.team_id).having(sa.func.count() > 1).exists(),
            id="groups",
        ),
        pytest.param(
            sa.exists().select_from(MEMBERS.join(TEAMS, TEAMS.c.id == DOCUMENTS.c.team_id)).where(TIED),
            id="a tied join",
        ),
        pytest.param(sa.select(sa.literal(1)).exists(), id="no table"),
        pytest.param(DOCUMENTS.c.id == 5, id="no EXISTS"),
    ],
)
def test_anything_else_stays_as_it_is(policy: sa.ColumnElement[bool]) -> None:
    assert " ".join(str(policy).split()) == text_of(policy)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[DataApi]:
    """Two thousand documents of two hundred teams; Anna belongs to three of them."""
    database = Database.open(f"sqlite:///{tmp_path / 'semi.db'}", sqlite_functions=SQLITE_FUNCTIONS)
    with database.writing() as connection:
        METADATA.create_all(connection)
        documents = [
            {"id": at, "team_id": at % 200 if at % 7 else None, "code": f"c{at % 11}" if at % 5 else None}
            for at in range(1, 2001)
        ]
        connection.execute(sa.insert(DOCUMENTS), documents)
        connection.execute(sa.insert(MEMBERS), [{"user_id": ANNA, "team_id": team} for team in (3, 4, 5)])
        connection.execute(sa.insert(MEMBERS), [{"user_id": CLARA, "team_id": 9}])
        connection.execute(sa.insert(MEMBERS), [{"user_id": BEN, "team_id": team} for team in range(200)])
        connection.exec_driver_sql("ANALYZE")
    exposed = [
        Exposure(
            DOCUMENTS,
            {Verb.SELECT: lambda row: sa.exists().where(MEMBERS.c.team_id == row.team_id, MINE)},
            {},
            (),
            None,
            None,
            None,
            None,
            None,
        ),
        Exposure(TEAMS, {Verb.SELECT: allow_all}, {}, (), None, None, None, None, None),
    ]
    yield DataApi(build(exposed, "sqlite"), database, Settings(), sessions.standing())
    database.close()


def plan_of(api: DataApi, query: str) -> str:
    who = Principal("authenticated", ANNA, None)
    filled = api.reads.prepare(
        HttpRequest("GET", "/documents", query, prefer="count=exact"), who.role, guarded=False
    ).filled
    rows = api.database.fetch_all("EXPLAIN QUERY PLAN " + filled.sql, parameters_of(filled, who, NOW))
    return "\n".join(str(row[-1]) for row in rows)


def test_a_uuid_of_the_callers_claims_is_a_condition_like_others() -> None:
    """SQLAlchemy compiles for no database when it is asked what an EXISTS reads."""
    by_claim = sa.exists().where(TIED, MEMBERS.c.user_id == me.claim("app_metadata", "org", sa.Uuid))
    assert text_of(by_claim).startswith("documents.team_id IN (SELECT members.team_id FROM members WHERE")


def test_page_and_count_begin_at_the_callers_rows(api: DataApi) -> None:
    """The table is never walked, neither for the page nor for the count."""
    plan = plan_of(api, "order=team_id&limit=20")
    assert "SCAN documents" not in plan
    assert 2 == plan.count("INDEX ix_documents_team_id (team_id=?)")


def steps_of(api: DataApi, who: UUID, query: str) -> int:
    """Count what SQLite does for one read with its exact count."""
    principal = Principal("authenticated", who, None)
    http = HttpRequest("GET", "/documents", query, prefer="count=exact")
    filled = api.reads.prepare(http, principal.role, guarded=False).filled
    made = 0

    def step() -> None:
        nonlocal made
        made += 1

    with api.database.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        raw.set_progress_handler(step, 1)
        raw.execute(filled.sql, tuple(parameters_of(filled, principal, NOW))).fetchall()
    return made


def test_of_two_ways_to_a_sorted_page_the_share_that_is_visible_takes_one(api: DataApi) -> None:
    """Anna, who sees 26 of 2,000 documents, does not pay for the others; for Ben the table is walked once."""
    assert steps_of(api, ANNA, "order=code&limit=20") < 2_000
    plan = plan_of(api, "order=code&limit=20")
    assert 1 == plan.count("SCAN documents")
    assert "SEARCH documents USING INDEX ix_documents_team_id (team_id=?)" in plan
    walked = steps_of(api, BEN, "order=code&limit=20")
    with api.database.writing() as connection:
        connection.exec_driver_sql("UPDATE documents SET id = id + 1000000")
    assert walked != steps_of(api, BEN, "order=code&limit=20"), "of numbers that tell nothing the index's way is left"


SORTED = [
    ("order=code,id&limit=1000", "ORDER BY code NULLS LAST, id LIMIT 1000"),
    ("order=code.desc,id&limit=7&offset=3", "ORDER BY code DESC NULLS FIRST, id LIMIT 7 OFFSET 3"),
    ("order=code,id&team_id=gt.100&limit=1000", "AND team_id > 100 ORDER BY code NULLS LAST, id LIMIT 1000"),
    ("order=code,id&code=is.null", "AND code IS NULL ORDER BY id LIMIT 1000"),
    ("order=code,id&id=in.(3,4,5,7,209)", "AND id IN (3, 4, 5, 7, 209) ORDER BY code NULLS LAST, id LIMIT 1000"),
]


@pytest.mark.parametrize(("query", "rest"), SORTED)
@pytest.mark.parametrize("who", [ANNA, BEN, CLARA])
def test_a_sorted_page_and_its_count_are_the_policys_whatever_share_is_visible(
    api: DataApi, who: UUID, query: str, rest: str
) -> None:
    """As EXISTS finds them; teams and codes that are NULL and codes that come many times are among the documents."""
    policy = "EXISTS (SELECT 1 FROM members WHERE members.team_id = documents.team_id AND user_id = ?)"
    found = f"SELECT id FROM documents WHERE {policy} {rest}"
    counted = f"SELECT count(*) FROM documents WHERE {policy} {rest.partition('ORDER')[0]}"
    expected = [{"id": row[0]} for row in api.database.fetch_all(found, (who.hex,))]
    [(total,)] = api.database.fetch_all(counted, (who.hex,))
    http = HttpRequest("GET", "/documents", "select=id&" + query, prefer="count=exact")
    answer = api.answer(http, Principal("authenticated", who, None), NOW)
    assert expected == json.loads(answer.body)
    assert str(total) == dict(answer.headers)["Content-Range"].partition("/")[2]


def test_a_row_known_by_its_key_is_looked_at(api: DataApi) -> None:
    """The caller's rows are not collected for it."""
    plan = plan_of(api, "id=eq.5")
    assert "SEARCH documents USING INTEGER PRIMARY KEY (rowid=?)" in plan
    assert "LIST SUBQUERY" not in plan


def test_the_same_rows_are_seen(api: DataApi) -> None:
    """With and without a key, and none whose column is NULL."""
    expected = [at for at in range(1, 2001) if at % 7 and at % 200 in (3, 4, 5)]
    answer = api.answer(
        HttpRequest("GET", "/documents", "select=id&order=id"), Principal("authenticated", ANNA, None), NOW
    )
    assert [{"id": at} for at in expected] == json.loads(answer.body)
    hidden = api.answer(HttpRequest("GET", "/documents", "id=eq.6"), Principal("authenticated", ANNA, None), NOW)
    assert b"[]" == hidden.body


def test_postgresql_collects_the_callers_rows_only_where_an_index_finds_theirs() -> None:
    """A column without one is left alone; so is a text, whose collation only the database knows."""
    found = " ".join(str(callers_collected(BELONGS, DOCUMENTS)).split())
    assert "documents.team_id = ANY (array((SELECT members.team_id" in found
    plain = sa.Table("documents", sa.MetaData(), sa.Column("team_id", sa.Integer))
    unindexed = sa.exists().where(MEMBERS.c.team_id == plain.c.team_id, MINE)
    assert unindexed is callers_collected(unindexed, plain)
    by_code = sa.exists().where(TEAMS.c.code == DOCUMENTS.c.code)
    assert by_code is callers_collected(by_code, DOCUMENTS)


def test_on_postgresql_the_same_rows_are_counted_as_are_seen(empty_postgresql_url: str) -> None:
    """With the count and without it, by both ways of saying the policy; a NULL belongs to nobody."""
    database = Database.open(empty_postgresql_url)
    with database.writing() as connection:
        METADATA.create_all(connection)
        documents = [{"id": at, "team_id": at % 20 if at % 7 else None} for at in range(1, 201)]
        connection.execute(sa.insert(DOCUMENTS), documents)
        connection.execute(sa.insert(MEMBERS), [{"user_id": ANNA, "team_id": team} for team in (3, 4, 5)])
    policy = {Verb.SELECT: lambda row: sa.exists().where(MEMBERS.c.team_id == row.team_id, MINE)}
    exposed = [Exposure(DOCUMENTS, policy, {}, (), None, None, None, None, None)]
    api = DataApi(build(exposed, "postgresql"), database, Settings(), sessions.standing())
    expected = [{"id": at} for at in range(1, 201) if at % 7 and at % 20 in (3, 4, 5)]
    for who, seen in ((ANNA, expected), (BEN, [])):
        for prefer in ("count=exact", ""):
            request = HttpRequest("GET", "/documents", "select=id&order=id", prefer=prefer)
            answer = api.answer(request, Principal("authenticated", who, None), NOW)
            assert seen == json.loads(answer.body)
            if prefer:
                assert dict(answer.headers)["Content-Range"].endswith(f"/{len(seen)}")
    database.close()
