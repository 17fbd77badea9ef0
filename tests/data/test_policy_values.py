"""Policies as developers write them, on both databases: what SQLAlchemy can say of a row holds for reads and writes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from tests.data import scene as app
from tests.data.scene import ANNA, BEN, NOW, SERVICE, Scene, answered, caller, headers

from portero.data import batch
from portero.data.caller import me
from portero.data.catalogue import build
from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.explain import explain
from portero.data.exposure import Exposure
from portero.data.native_policies import script
from portero.data.nodes import HttpRequest
from portero.data.pipeline import DataApi
from portero.data.policy import Verb
from portero.errors import ConfigurationError
from portero.settings import Settings
from portero.store.engine import Database
from portero.store.tables import Session, User

METADATA = sa.MetaData()


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Case(NamedTuple):
    """A policy, and what makes a row that passes it one that does not."""

    policy: Callable[[Any], Any]
    bad: dict[str, Any]
    good: Mapping[str, Any] = MappingProxyType({})


GOOD = {
    "kind": "Public",
    "color": "RED",
    "team": str(ANNA),
    "price": 9.50,
    "day": "2026-05-01",
    "at": "2026-05-01T10:00:00+00:00",
    "info": {"kind": "open", "deep": {"n": 1}},
    "size": 5,
    "is_open": True,
    "gone": None,
    "owner_id": str(ANNA),
    "two words": "yes",
}
MEMBERS = sa.Table(
    "value_members", METADATA, sa.Column("user_id", sa.Uuid, primary_key=True), sa.Column("word", sa.Text)
)


def _as_member(row: Any, *words: str) -> Any:
    member = MEMBERS.c
    return sa.exists().where(member.user_id == me.id, member.word == row.kind, member.word.in_(words))


CASES = {
    "in a list": Case(lambda row: row.kind.in_(["Public", "open"]), {"kind": "private"}),
    "in a list of one": Case(lambda row: row.kind.in_(["Public"]), {"kind": "private"}),
    "in a list of numbers": Case(lambda row: row.size.in_([5, 6]), {"size": 7}),
    "in a list of ids": Case(lambda row: row.team.in_([ANNA, UUID(int=7)]), {"team": str(BEN)}),
    "in a list of members": Case(lambda row: row.color.in_([Color.RED]), {"color": "BLUE"}),
    "in a list of decimals": Case(lambda row: row.price.in_([Decimal("9.50"), Decimal(3)]), {"price": 3.25}),
    "in a list of days": Case(lambda row: row.day.in_([date(2026, 5, 1)]), {"day": "2026-05-02"}),
    "in a list with NULL": Case(lambda row: row.kind.in_(["Public", None]), {"kind": None}),
    "not in a list": Case(lambda row: row.kind.not_in(["private", "x"]), {"kind": "x"}),
    "a list turned round": Case(lambda row: ~row.kind.in_(["private", "x"]), {"kind": "x"}),
    "in no list": Case(lambda row: row.kind.in_([]) | (row.size == 5), {"size": 7}),
    "not in no list": Case(lambda row: row.kind.not_in([]) & (row.size == 5), {"size": 7}),
    "two lists and the caller": Case(
        lambda row: row.kind.in_(["Public", "b"]) & row.size.in_([5, 6]) & (row.owner_id == me.id),
        {"owner_id": str(BEN)},
    ),
    "a pair in a list": Case(
        lambda row: sa.tuple_(row.kind, row.size).in_([("Public", 5), ("x", 7), ("x", None)]),
        {"kind": "Public", "size": 7},
    ),
    "a list with the caller in it": Case(lambda row: row.owner_id.in_([me.id, UUID(int=7)]), {"owner_id": str(BEN)}),
    "the role in a list": Case(lambda row: me.role.in_(["authenticated", "staff"]) & (row.size < 7), {"size": 7}),
    "in a subquery": Case(
        lambda row: row.kind.in_(sa.select(MEMBERS.c.word).where(MEMBERS.c.user_id == me.id)), {"kind": "private"}
    ),
    "a list within EXISTS": Case(lambda row: _as_member(row, "Public", "open"), {"kind": "private"}),
    "a function": Case(lambda row: sa.func.lower(row.kind) == "public", {"kind": "private"}),
    "a function of constants": Case(lambda row: sa.func.coalesce(row.gone, "none") == "none", {"gone": "x"}),
    "CASE": Case(lambda row: sa.case((row.size > 6, "big"), else_="small").in_(["small"]), {"size": 7}),
    "CASE of conditions": Case(lambda row: sa.case((row.size > 6, False), else_=row.is_open), {"size": 7}),
    "between": Case(lambda row: row.size.between(4, 6), {"size": 7}),
    "between days": Case(lambda row: row.day.between(date(2026, 1, 1), date(2026, 6, 1)), {"day": "2027-01-01"}),
    "like": Case(lambda row: row.kind.like("Pub%"), {"kind": "private"}),
    "ilike": Case(lambda row: row.kind.ilike("pub%"), {"kind": "private"}),
    "startswith with an escape": Case(
        lambda row: row.kind.startswith("Pub%_", autoescape=True), {"kind": "Public"}, {"kind": "Pub%_x"}
    ),
    "a member": Case(lambda row: row.color == Color.RED, {"color": "BLUE"}),
    "an id": Case(lambda row: row.team == ANNA, {"team": str(BEN)}),
    "a day": Case(lambda row: row.day == date(2026, 5, 1), {"day": "2026-05-02"}),
    "an instant": Case(lambda row: row.at < datetime(2026, 5, 1, 11, tzinfo=UTC), {"at": "2026-05-01T12:00:00+00:00"}),
    "a decimal": Case(lambda row: row.price == Decimal("9.50"), {"price": 3.25}),
    "arithmetic": Case(lambda row: row.size * 2 + 1 == 11, {"size": 7}),
    "concatenation": Case(lambda row: row.kind + "!" == "Public!", {"kind": "private"}),
    "IS NULL": Case(lambda row: row.gone == None, {"gone": "x"}),  # noqa: E711 - SQLAlchemy's IS NULL
    "distinct from": Case(lambda row: row.gone.is_distinct_from("x"), {"gone": "x"}),
    "a boolean column": Case(lambda row: row.is_open, {"is_open": False}),
    "its negation": Case(lambda row: ~row.is_open, {"is_open": True}, {"is_open": False}),
    "is true": Case(lambda row: row.is_open.is_(True), {"is_open": False}),
    "TRUE and FALSE": Case(lambda row: (sa.true() & (row.size == 5)) | sa.false(), {"size": 7}),
    "a literal": Case(lambda row: sa.literal(5) == row.size, {"size": 7}),
    "a literal in the text": Case(lambda row: row.kind == sa.literal("Public", literal_execute=True), {"kind": "x"}),
    "a parameter with a value": Case(lambda row: row.size == sa.bindparam("most", 5), {"size": 7}),
    "a parameter with a list": Case(
        lambda row: row.size.in_(sa.bindparam("sizes", [5, 6], expanding=True)), {"size": 7}
    ),
    "a JSON path": Case(lambda row: row.info["kind"].as_string() == "open", {"info": {"kind": "x"}}),
    "a deep JSON path": Case(
        lambda row: row.info[("deep", "n")].as_integer().in_([1, 2]), {"info": {"deep": {"n": 3}}}
    ),
    "a column of two words": Case(lambda row: row["two words"].in_(["yes", "ja"]), {"two words": "no"}),
    "a column of two words and a value": Case(lambda row: row["two words"] == "yes", {"two words": "no"}),
    "a cast": Case(lambda row: sa.cast(row.size, sa.Text) == "5", {"size": 7}),
    "a percent sign": Case(lambda row: row.kind != "100%", {"kind": "100%"}),
}
NAMES = {name: f"values_{place}" for place, name in enumerate(CASES)}


def _exposure(name: str, case: Case) -> Exposure:
    table = sa.Table(
        name,
        METADATA,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text),
        sa.Column("color", sa.Enum(Color, name="value_color")),
        sa.Column("team", sa.Uuid),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("day", sa.Date),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.Column("info", sa.JSON),
        sa.Column("size", sa.Integer),
        sa.Column("is_open", sa.Boolean),
        sa.Column("gone", sa.Text),
        sa.Column("owner_id", sa.Uuid),
        sa.Column("two words", sa.Text),
    )
    return Exposure(table, dict.fromkeys(Verb, case.policy), {}, (), None, None, None, None, None)


EXPOSURES = [_exposure(NAMES[name], case) for name, case in CASES.items()]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One table for each policy, once on each database."""
    url = f"sqlite:///{tmp_path_factory.mktemp('values') / 'values.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        engine.dispose()
    database = Database.open(url, sqlite_functions=SQLITE_FUNCTIONS)
    with database.writing() as connection:
        User.metadata.create_all(connection)
        METADATA.create_all(connection)
        for who, email in ((ANNA, "anna@example.org"), (BEN, "ben@example.org")):
            made = {"id": who, "email": email, "created_at": NOW, "updated_at": NOW}
            connection.execute(sa.insert(User).values(made))
            connection.execute(sa.insert(Session).values(id=app.SESSIONS[who], user_id=who, created_at=NOW))
        connection.execute(sa.insert(MEMBERS).values(user_id=ANNA, word="Public"))
    yield Scene(database, DataApi(build(EXPOSURES, request.param), database, Settings(), app.standing()))
    database.close()


def row(case: Case, key: int, **changes: Any) -> dict[str, Any]:
    """A row that passes, but for the changes."""
    return {"id": key, **GOOD, **case.good, **changes}


@pytest.mark.parametrize("name", CASES)
def test_a_policy_holds_for_reads_writes_and_batches(scene: Scene, name: str) -> None:
    case, path = CASES[name], f"/{NAMES[name]}"
    bad = case.bad

    def post(*rows: Any, prefer: str = "return=representation", query: str = "?select=id") -> tuple[int, Any]:
        body = rows[0] if len(rows) == 1 else rows
        return answered(scene.ask("POST", path + query, body, prefer=prefer))

    def refuses(answer: tuple[int, Any]) -> bool:
        return (answer[0], answer[1]["code"]) == (403, "42501")

    assert 201 == scene.ask("POST", path, [row(case, 1), row(case, 2, **bad)], who=SERVICE).status
    read = scene.ask("GET", f"{path}?select=id&order=id", prefer="count=exact")
    assert (200, [{"id": 1}], "0-0/1") == (*answered(read), headers(read)["Content-Range"])

    assert (201, [{"id": 3}]) == post(row(case, 3))
    assert (201, None) == post(row(case, 4), prefer="")
    assert (201, [{"id": 5}, {"id": 6}]) == post(row(case, 5), row(case, 6))
    assert refuses(post(row(case, 7, **bad)))
    assert refuses(post(row(case, 7, **bad), prefer=""))
    assert refuses(post(row(case, 7), row(case, 8, **bad)))
    merge = "return=representation, resolution=merge-duplicates"
    assert (200, [{"id": 3}, {"id": 4}]) == post(row(case, 3), row(case, 4), prefer=merge)
    assert (201, [{"id": 7}]) == post(row(case, 3), row(case, 7), prefer=merge.replace("merge", "ignore"))
    assert refuses(post(row(case, 3, **bad), row(case, 4), prefer=merge))
    assert refuses(post(row(case, 2), prefer=merge)), "a row that the caller does not see is not merged"

    change = {key: row(case, 1)[key] for key in bad}
    patch = scene.ask("PATCH", f"{path}?select=id&id=in.(1,2)&order=id", change, prefer="return=representation")
    assert (200, [{"id": 1}]) == answered(patch)
    assert refuses(answered(scene.ask("PATCH", f"{path}?id=eq.1", bad)))
    operations = [
        {"method": "POST", "path": path, "body": row(case, 8), "headers": {"Prefer": "return=representation"}},
        {"method": "GET", "path": f"{path}?select=id&id=in.(2,8)"},
        {"method": "DELETE", "path": f"{path}?id=in.(2,8)"},
    ]
    status, answers = answered(scene.ask("POST", batch.PATH, operations))
    assert (200, [201, 200, 204], [{"id": 8}]) == (
        status,
        [each["status"] for each in answers],
        answers[1]["body"],
    )
    left = scene.rows(next(each.target for each in EXPOSURES if each.target.name == NAMES[name]))
    assert [1, 2, 3, 4, 5, 6, 7] == [each["id"] for each in left]


@pytest.mark.parametrize("name", CASES)
def test_a_policy_is_told_and_its_read_explained(scene: Scene, name: str) -> None:
    http = HttpRequest("GET", f"/{NAMES[name]}", "select=id")
    told = explain(scene.api, http, caller(ANNA), NOW)
    [(_, condition)] = told.nodes[0].policies
    assert "POSTCOMPILE" not in condition + told.sql
    assert told.steps


def test_the_second_wall_is_built_of_every_policy(postgresql_url: str) -> None:
    """That it shows what the first wall shows is in `test_native_policies`."""
    engine = sa.create_engine(postgresql_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
        METADATA.create_all(connection)
    written = script(build(EXPOSURES, "postgresql"), "values_caller")
    with psycopg.connect(postgresql_url.replace("+psycopg", ""), autocommit=True) as session:
        session.execute(written.encode())
        found = session.execute("SELECT count(*) FROM pg_policies WHERE roles = '{values_caller}'").fetchone()
    engine.dispose()
    assert found == (4 * len(CASES),)


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (lambda row: row.kind == sa.bindparam("x", callable_=lambda: "a"), "asks a function for the value of 'x'"),
        (lambda row: row.kind.in_(sa.bindparam("x", expanding=True)), "holds the parameter 'x', which nobody gives"),
    ],
)
def test_a_value_that_is_not_there_when_the_application_starts_is_refused(policy: Any, sentence: str) -> None:
    exposure = EXPOSURES[0]
    with pytest.raises(ConfigurationError, match=sentence):
        build([replace(exposure, policies={Verb.SELECT: policy})], "sqlite")
