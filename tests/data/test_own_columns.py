"""Columns as developers make them: names like our own, types that make something of None, filled and made values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from tests.data import scene as app
from tests.data.scene import Scene, answered

from portero.data import prepared_writes
from portero.data.catalogue import build
from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.exposure import Exposure
from portero.data.pipeline import DataApi
from portero.data.policy import Policy, Verb, allow_all
from portero.errors import ConfigurationError
from portero.settings import Settings
from portero.store.engine import Database
from portero.store.tables import Session, User


class Said(sa.TypeDecorator[str]):
    """Text that is never NULL: nothing is a word, too."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str:
        return "nothing" if value is None else value


METADATA = sa.MetaData()
ROWS = sa.Table(
    "own_columns",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("v0", sa.Integer, default=lambda: 7),
    sa.Column("v1", sa.Text),
    sa.Column("word", Said),
    sa.Column("gone", sa.Text),
)

NAMES = (
    *(f"{letter}{number}" for letter in "eknqrt" for number in range(1, 8)),
    "a%b",
    'q"',
    "ñandú",
    "Select",
    "x" * 63,
)
NAMED = sa.Table(
    "named",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("named_id", sa.Integer, sa.ForeignKey("named.id")),
    *[sa.Column(name, sa.Text) for name in NAMES],
)

COUNTED = itertools.count(1)
TOUCHED = sa.Table(
    "touched",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("s0", sa.Text),
    sa.Column("made", sa.Integer, default=lambda: next(COUNTED)),
    sa.Column("times", sa.Integer, onupdate=lambda: next(COUNTED)),
)

POINTS = sa.Table(
    "points",
    METADATA,
    sa.Column("price", sa.Numeric(10, 2), primary_key=True),
    sa.Column("height", sa.Float, primary_key=True),
    sa.Column("word", sa.Text),
)

STATES = sa.Table(
    "states", METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("state", sa.Text, nullable=False)
)


def exposed(table: sa.Table, policy: Policy, **fill: Any) -> Exposure:
    """Everything is allowed that the policy allows."""
    return Exposure(table, dict.fromkeys(Verb, policy), fill, (), None, None, None, None, None)


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """The table, empty, once on each database."""
    database = Database.open(database_url, sqlite_functions=SQLITE_FUNCTIONS)
    with database.writing() as connection:
        User.metadata.create_all(connection)
        METADATA.create_all(connection)
        made = {"id": app.ANNA, "email": "anna@example.org", "created_at": app.NOW, "updated_at": app.NOW}
        connection.execute(sa.insert(User).values(made))
        connection.execute(sa.insert(Session).values(id=app.SESSIONS[app.ANNA], user_id=app.ANNA, created_at=app.NOW))
    models = [
        exposed(ROWS, lambda row: row.v1 != "no", gone=None),
        exposed(NAMED, allow_all),
        exposed(TOUCHED, allow_all),
        exposed(STATES, lambda row: row.state.in_(["new", "open"])),
        exposed(POINTS, lambda row: row.word.is_distinct_from("no")),
    ]
    catalogue = build(models, database.dialect_name)
    yield Scene(database, DataApi(catalogue, database, Settings(), app.standing()))
    database.close()


def test_one_row_is_stored_like_two_whatever_its_columns_are_named_and_typed(scene: Scene) -> None:
    """`v0` is made in Python, `word` is made of None by its type, `gone` is filled with NULL."""

    def row(key: int) -> dict[str, Any]:
        return {"v1": "a", "word": None, "id": key}

    assert [201, 201] == [scene.ask("POST", "/own_columns", body).status for body in (row(1), [row(2), row(3)])]
    made = {"v0": 7, "v1": "a", "word": "nothing", "gone": None}
    assert [{"id": key, **made} for key in (1, 2, 3)] == scene.rows(ROWS)


def test_the_check_of_an_update_is_written_once(scene: Scene) -> None:
    scene.ask("POST", "/own_columns", {"id": 1, "v1": "a", "word": "b"})

    def change(word: str) -> tuple[int, Any]:
        return answered(scene.ask("PATCH", "/own_columns?id=eq.1", {"word": word}, prefer="return=representation"))

    assert 200 == change("c")[0]
    written = prepared_writes.passing.cache_info().misses
    assert [200, 200] == [change("d")[0], change("e")[0]]
    assert written == prepared_writes.passing.cache_info().misses


def test_a_default_that_asks_for_the_context_of_sqlalchemy_is_refused_when_the_application_starts() -> None:
    table = sa.Table("asking", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    table.append_column(sa.Column("copy", sa.Integer, default=lambda context: context.get_current_parameters()["id"]))
    with pytest.raises(ConfigurationError, match=r"default of asking\.copy asks for SQLAlchemy's context"):
        build([exposed(table, allow_all)], "sqlite")


def test_columns_may_have_the_names_that_a_statement_gives_its_rows(scene: Scene) -> None:
    """And any other that both databases take: at the top, in the lists of embeds, in whole rows and in some columns."""
    first = {"id": 1, "named_id": None, **dict.fromkeys(NAMES, "a")}
    second = {"id": 2, "named_id": 1, **dict.fromkeys(NAMES)}
    assert 201 == scene.ask("POST", "/named", [first, second]).status
    assert (200, [first, second]) == answered(scene.ask("GET", "/named?order=id"))
    listed = [{"id": 1, "named": [second]}, {"id": 2, "named": []}]
    assert (200, listed) == answered(scene.ask("GET", "/named?select=id,named!named_id(*)&order=id"))
    inside = [first | {"named_id": None}, second | {"named_id": first}]
    assert (200, inside) == answered(scene.ask("GET", "/named?select=*,named_id(*)&order=id"))
    for name in NAMES:
        asked = "/named?id=eq.1&select=" + quote('"' + name.replace('"', '\\"') + '"')
        assert (200, [{name: "a"}]) == answered(scene.ask("GET", asked)), name


def test_a_value_that_python_makes_is_made_at_each_update(scene: Scene) -> None:
    """Whether the column has it because the row changes, or because the caller leaves it to the default."""
    assert 201 == scene.ask("POST", "/touched", [{"id": 1}, {"id": 2}]).status

    def change(query: str, body: Any, **headers: str) -> Any:
        return answered(scene.ask("PATCH", f"/touched?{query}", body, **headers))[1]

    shown = {"prefer": "return=representation"}
    times = [change("id=eq.1", {"s0": "a"}, **shown)[0]["times"] for _ in range(3)]
    assert [times[0], times[0] + 1, times[0] + 2] == times
    left = {"prefer": "return=representation, missing=default"}
    made = [change("id=eq.1&columns=s0,made", {"s0": "b"}, **left)[0]["made"] for _ in range(3)]
    assert 3 == len(set(made))


def test_rows_are_changed_and_deleted_by_few_conditions_as_by_many(scene: Scene) -> None:
    """The statements of few are kept: with other values they pick other rows."""
    many = "".join(f"&s0=neq.no{number}" for number in range(12))
    assert 201 == scene.ask("POST", "/touched", [{"id": number, "s0": "a"} for number in range(1, 7)]).status

    def ids(method: str, query: str, body: Any = None) -> tuple[int, list[int]]:
        status, rows = answered(scene.ask(method, f"/touched?{query}&select=id", body, prefer="return=representation"))
        return status, sorted(row["id"] for row in rows)

    for more in ("", many):
        assert [(200, [1]), (200, [2])] == [ids("PATCH", f"id=eq.{key}{more}", {"s0": "b"}) for key in (1, 2)]
        assert [(200, [3]), (200, [1, 2])] == [
            ids("PATCH", f"id=in.({keys}){more}", {"s0": "c"}) for keys in ("3", "1,2")
        ]
        assert (200, []) == ids("PATCH", f"id=eq.9{more}", {"s0": "d"})
    assert [(200, [1]), (200, [2])] == [ids("DELETE", f"id=eq.{key}{more}") for key, more in ((1, ""), (2, many))]
    silent = [scene.ask("DELETE", f"/touched?id=eq.{key}{more}").status for key, more in ((3, ""), (4, many), (5, ""))]
    assert [204] * 3 == silent
    assert [6] == [row["id"] for row in answered(scene.ask("GET", "/touched?select=id"))[1]]


def test_numbers_with_a_point_may_be_keys(scene: Scene) -> None:
    """SQLAlchemy asks PostgreSQL's driver how it sent them."""
    row = {"price": 1.5, "height": 0.25, "word": "a"}
    shown = "return=representation"
    assert (201, [row]) == answered(scene.ask("POST", "/points", row, prefer=shown))
    assert (200, [row]) == answered(scene.ask("POST", "/points", row, prefer=f"{shown}, resolution=merge-duplicates"))
    changed = row | {"word": "b"}
    assert (200, [changed]) == answered(scene.ask("PATCH", "/points?price=eq.1.5", {"word": "b"}, prefer=shown))
    assert (200, [changed]) == answered(scene.ask("DELETE", "/points?height=eq.0.25", prefer=shown))
    assert [] == scene.rows(POINTS)


def test_many_rows_are_merged_though_the_policy_has_a_list_as_long_as_a_row(scene: Scene) -> None:
    """On SQLite their text is the same: SQLAlchemy repeated the policy's list as if it were a row."""

    def merge(*states: str) -> tuple[int, list[Any]]:
        rows = [{"id": place, "state": state} for place, state in enumerate(states)]
        answer = scene.ask("POST", "/states", rows, prefer="resolution=merge-duplicates")
        return answer.status, [row["state"] for row in scene.rows(STATES)]

    assert (201, ["new", "new"]) == merge("new", "new")
    assert (201, ["open", "new", "new"]) == merge("open", "new", "new")
    assert (403, ["open", "new", "new"]) == merge("new", "done")
