"""Tests of portero.data.single_inserts: where more than the statement has a hand in a row, the longer way is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from tests.data import scene as app
from tests.data.scene import ANNA, BEN, Scene, refused

from portero.data.caller import me
from portero.data.catalogue import build
from portero.data.exposure import Exposure
from portero.data.pipeline import DataApi
from portero.data.policy import Verb, allow_all
from portero.settings import Settings
from portero.store import sessions
from portero.store.tables import Session

SHOW = "return=representation"
ONE = {"id": 1, "owner_id": str(ANNA), "w": "x"}
GIVES = f"UPDATE given SET owner_id = '{BEN.hex}' WHERE id = NEW.id"
FUNCTION = (
    "CREATE FUNCTION gives() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN UPDATE held SET owner_id = '{BEN}' WHERE id = NEW.id; RETURN NULL; END $$"
)
TRIGGER = "CREATE TRIGGER gives AFTER INSERT ON held FOR EACH ROW EXECUTE FUNCTION gives()"
COLUMNS = "(id int PRIMARY KEY, owner_id uuid, w text)"


@pytest.fixture
def on_sqlite(sqlite_url: str) -> Iterator[Scene]:
    with app.opened(sqlite_url) as opened:
        yield opened


@pytest.fixture
def on_postgresql(empty_postgresql_url: str) -> Iterator[Scene]:
    with app.opened(empty_postgresql_url) as opened:
        yield opened


def is_own(row: Any) -> Any:
    return row.owner_id == me.id


def exposing(scene: Scene, table: sa.Table, insert: Callable[[Any], Any]) -> Scene:
    policies = dict.fromkeys(Verb, allow_all) | {Verb.INSERT: insert}
    catalogue = build([Exposure(table, policies, {}, (), None, None, None, None, None)], scene.database.dialect_name)
    return Scene(scene.database, DataApi(catalogue, scene.database, Settings(), sessions.standing()))


def given() -> sa.Table:
    columns = [sa.Column("owner_id", sa.Uuid), sa.Column("w", sa.Text)]
    return sa.Table("given", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *columns)


def made(scene: Scene, *statements: str) -> None:
    with scene.database.writing() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize("prefer", ["", SHOW])
def test_a_plain_insert_on_sqlite_is_one_statement_and_its_commit(on_sqlite: Scene, prefer: str) -> None:
    made(on_sqlite, "CREATE TABLE given " + COLUMNS)
    scene, told = exposing(on_sqlite, given(), is_own), []
    assert 201 == scene.ask("POST", "/given", ONE, prefer=prefer).status
    with scene.database.writing() as connection:
        driver: Any = connection.connection.dbapi_connection
    driver.set_trace_callback(told.append)
    assert 201 == scene.ask("POST", "/given", ONE | {"id": 2}, prefer=prefer).status
    assert ["BEGIN", "INSERT", "COMMIT"] == [statement.split()[0] for statement in told]


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE given " + COLUMNS, f"CREATE RULE gives AS ON INSERT TO given DO ALSO {GIVES}"],
        ["CREATE TABLE held " + COLUMNS, FUNCTION, TRIGGER, "CREATE VIEW given AS SELECT * FROM held"],
        [
            f"CREATE TABLE given {COLUMNS} PARTITION BY RANGE (id)",
            "CREATE TABLE held PARTITION OF given FOR VALUES FROM (0) TO (9)",
            FUNCTION,
            TRIGGER,
        ],
    ],
    ids=["rule", "view", "partition"],
)
@pytest.mark.parametrize("prefer", ["", SHOW])
def test_postgresql_judges_the_row_that_is_there_in_the_end(
    on_postgresql: Scene, statements: list[str], prefer: str
) -> None:
    made(on_postgresql, *statements)
    scene = exposing(on_postgresql, given(), is_own)
    assert 403 == scene.ask("POST", "/given", ONE, prefer=prefer).status
    assert [] == scene.rows(given())


def test_a_policy_may_count_by_a_function_of_the_database(on_postgresql: Scene) -> None:
    count = "SELECT count(*) FROM given WHERE owner_id = $1"
    made(
        on_postgresql,
        "CREATE TABLE given " + COLUMNS,
        f"CREATE FUNCTION held_by(uuid) RETURNS bigint LANGUAGE sql STABLE AS '{count}'",
    )
    scene = exposing(on_postgresql, given(), lambda row: sa.func.held_by(row.owner_id) <= 1)
    assert [201, 403] == [scene.ask("POST", "/given", ONE | {"id": number}).status for number in (1, 2)]


def test_a_policy_in_words_counts_the_new_row_too(on_sqlite: Scene) -> None:
    made(on_sqlite, "CREATE TABLE given " + COLUMNS)
    words = "((SELECT count(*) FROM given AS o WHERE o.owner_id = given.owner_id) <= 1)"
    scene = exposing(on_sqlite, given(), lambda row: sa.literal_column(words, sa.Boolean()))
    assert [201, 403] == [scene.ask("POST", "/given", ONE | {"id": number}).status for number in (1, 2)]


def test_a_table_that_comes_later_may_have_a_trigger(on_sqlite: Scene) -> None:
    scene = exposing(on_sqlite, given(), is_own)
    with pytest.raises(sa.exc.OperationalError, match="no such table"):
        scene.ask("POST", "/given", ONE)
    made(on_sqlite, "CREATE TABLE given " + COLUMNS, f"CREATE TRIGGER gives AFTER INSERT ON given BEGIN {GIVES}; END")
    assert 403 == scene.ask("POST", "/given", ONE, prefer=SHOW).status
    assert [] == scene.rows(given())


@pytest.mark.parametrize("prefer", ["", SHOW])
def test_what_the_schema_ignores_is_not_there(on_sqlite: Scene, prefer: str) -> None:
    made(on_sqlite, "CREATE TABLE given (id integer PRIMARY KEY, owner_id char(32), w text UNIQUE ON CONFLICT IGNORE)")
    scene = exposing(on_sqlite, given(), is_own)
    assert [201, 201] == [scene.ask("POST", "/given", ONE | {"id": id_}, prefer=prefer).status for id_ in (1, 2)]
    assert [1] == [row["id"] for row in scene.rows(given())]


def test_where_the_schema_rolls_back_an_ended_session_is_not_told_of_a_conflict(on_sqlite: Scene) -> None:
    made(
        on_sqlite, "CREATE TABLE given (id integer PRIMARY KEY, owner_id char(32), w text UNIQUE ON CONFLICT ROLLBACK)"
    )
    scene = exposing(on_sqlite, given(), is_own)
    assert 201 == scene.ask("POST", "/given", ONE).status
    with on_sqlite.database.writing() as connection:
        connection.execute(sa.delete(Session).where(Session.user_id == ANNA))
    assert (401, "PGRST303") == refused(scene.ask("POST", "/given", ONE | {"id": 2}))[:2]


@pytest.mark.parametrize("prefer", ["", SHOW])
def test_what_python_makes_is_made_anew_for_each_row_and_stored_like_what_is_sent(
    on_sqlite: Scene, prefer: str
) -> None:
    made(
        on_sqlite, 'CREATE TABLE given (w text, mark char(32), owner_id char(32), id int PRIMARY KEY, "a (b) %c" bool)'
    )
    table = given()
    table.append_column(sa.Column("mark", sa.Uuid, default=uuid4))
    table.append_column(sa.Column("a (b) %c", sa.Boolean, default=True))
    scene = exposing(on_sqlite, table, is_own)
    assert [201, 201] == [scene.ask("POST", "/given", ONE | {"id": id_}, prefer=prefer).status for id_ in (1, 2)]
    own = {"id": 3, "mark": str(BEN), "w": None, "owner_id": str(ANNA), "a (b) %c": False}
    assert 201 == scene.ask("POST", "/given", own, prefer=prefer).status
    first, second, third = scene.rows(table)
    assert first["mark"] != second["mark"]
    assert [True, True, False] == [row["a (b) %c"] for row in (first, second, third)]
    assert (BEN, ANNA, None) == (third["mark"], third["owner_id"], third["w"])


def test_a_document_is_kept_by_the_one_statement_as_by_any_other(on_sqlite: Scene) -> None:
    row = {"owner_id": str(ANNA), "info": {"é": "😀", "many": 10**30}}
    assert 201 == on_sqlite.ask("POST", "/notes", row | {"title": "alone"}).status
    assert 201 == on_sqlite.ask("POST", "/notes", [row | {"title": "first"}, row | {"title": "second"}]).status
    with on_sqlite.database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT info, count(*) FROM notes WHERE info IS NOT NULL GROUP BY info").all()
    assert [3] == [count for _, count in kept]


def test_a_document_of_a_developers_own_type_may_hold_any_integer(on_sqlite: Scene) -> None:
    class Details(sa.TypeDecorator[Any]):
        impl, cache_ok = sa.JSON, True

    made(on_sqlite, "CREATE TABLE given (id int PRIMARY KEY, owner_id uuid, w text, details json)")
    table = given()
    table.append_column(sa.Column("details", Details))
    scene = exposing(on_sqlite, table, is_own)
    assert 201 == scene.ask("POST", "/given", ONE | {"details": {"é": [10**30]}}).status
    assert [{"é": [10**30]}] == [row["details"] for row in scene.rows(table)]
