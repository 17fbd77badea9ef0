"""Full-text searches: FTS5 for declared columns on SQLite, PostgreSQL's own; policies hold, and the index keeps up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.data.films import ANNA, BEN, NOW, user

from portero.alembic import create_search, drop_search
from portero.data import search_index
from portero.data.catalogue import build
from portero.data.dialects import SQLITE_FUNCTIONS
from portero.data.exposure import expose, exposure_of, own
from portero.data.nodes import DataAnswer, HttpRequest
from portero.data.openapi import document
from portero.data.pipeline import DataApi
from portero.data.policy import allow_all
from portero.data.search_queries import match_of
from portero.errors import ConfigurationError, DataError
from portero.settings import Settings
from portero.store import sessions
from portero.store.engine import Database
from portero.store.tables import OwnTable


class Base(DeclarativeBase):
    """Two models."""


@expose(own("owner_id"), search=["title", "body"])
class Page(Base):
    """A page of one user, searched by words."""

    __tablename__ = "pages"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
    title: Mapped[str]
    body: Mapped[str | None]
    other: Mapped[str | None]
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("pages.id"))


ROWS = [
    (1, ANNA, "Heat and dust", "A fat cat sat on a mat"),
    (2, ANNA, "The thief", "fat rats, thin cats; e-mail"),
    (3, ANNA, "Über alles", None),
    (4, BEN, "Heat of others", "A fat cat of Ben's"),
]


@pytest.fixture
def api(database_url: str) -> Iterator[DataApi]:
    """Four pages, once on each kind of database."""
    database = Database.open(database_url, sqlite_functions=SQLITE_FUNCTIONS)
    with database.writing() as connection:
        OwnTable.metadata.create_all(connection)
        Base.metadata.create_all(connection)
        table = Base.metadata.tables["pages"]
        rows = [dict(zip(("id", "owner_id", "title", "body"), row, strict=True)) for row in ROWS]
        connection.execute(table.insert(), rows)
    exposure = exposure_of(Page)
    assert exposure is not None
    yield DataApi(build([exposure], database.dialect_name), database, Settings(), sessions.standing())
    database.close()


def ask(api: DataApi, query: str, method: str = "GET", body: Any = None) -> DataAnswer:
    """Send a request as Anna."""
    text = b"" if body is None else json.dumps(body).encode()
    return api.answer(HttpRequest(method, "/pages", query, body=text), user(ANNA), NOW)


def ids(api: DataApi, query: str) -> list[int]:
    """The ids that a search finds."""
    answer = ask(api, f"select=id&order=id&{query}")
    assert 200 == answer.status, answer.body
    return [row["id"] for row in json.loads(answer.body)]


FOUND = [
    ("title=fts(simple).heat", [1]),
    ("title=plfts(simple).HEAT dust", [1]),
    ("title=plfts(simple).heat thief", []),
    ("body=phfts(simple).fat cat", [1]),
    ("body=phfts(simple).cat fat", []),
    ("body=wfts(simple).fat -rats", [1]),
    ("body=wfts(simple).cat or rats", [1, 2]),
    ('body=wfts(simple)."thin cats"', [2]),
    ("body=wfts(simple).-fat", []),
    ("body=fts(simple).fat %26 !rats", [1]),
    ("body=fts(simple).fat %26 (rats | mat)", [1, 2]),
    ("body=fts(simple).!(rats | mat)", []),
    ("body=fts(simple).fat <-> cat", [1]),
    ("body=fts(simple).ca:*", [1, 2]),
    ("body=not.fts(simple).rats", [1]),
    ("title=fts(simple).über", [3]),
    ("title=fts(simple).uber", []),
    ("body=plfts(simple).", []),
    ("body=plfts(simple).!!! fat", [1, 2]),
    ("or=(title.fts(simple).thief,body.fts(simple).mat)", [1, 2]),
    ("title=fts(simple).heat&body=fts(simple).cat", [1]),
]


def test_both_databases_find_the_same_words(api: DataApi) -> None:
    """Of the caller's own rows, without stemming: PostgreSQL's configuration `simple`."""
    assert FOUND == [(query, ids(api, query)) for query, _ in FOUND]


def test_a_search_counts_and_changes_the_callers_rows_only(api: DataApi) -> None:
    counted = api.answer(HttpRequest("HEAD", "/pages", "title=fts(simple).heat", prefer="count=exact"), user(ANNA), NOW)
    assert "0-0/1" == dict(counted.headers)["Content-Range"]
    assert 204 == ask(api, "title=fts(simple).heat", "PATCH", {"title": "Cold"}).status
    with api.database.reading() as connection:
        titles = connection.execute(sa.select(Page.title).order_by(Page.id)).scalars().all()
    assert ["Cold", "The thief", "Über alles", "Heat of others"] == titles


def test_the_index_keeps_up_with_every_write(api: DataApi) -> None:
    assert 201 == ask(api, "", "POST", {"id": 9, "title": "Ronin", "body": "new words"}).status
    assert [9] == ids(api, "body=fts(simple).words")
    ask(api, "id=eq.9", "PATCH", {"body": "other things", "id": 10})
    assert ([], [10]) == (ids(api, "body=fts(simple).words"), ids(api, "body=fts(simple).things"))
    ask(api, "id=eq.10", "DELETE")
    assert [] == ids(api, "body=fts(simple).things")


def test_an_index_of_an_older_sqlite_keeps_up_too(tmp_path: Any) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'old.db'}")
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE pages (id INTEGER PRIMARY KEY, body TEXT)")
        connection.exec_driver_sql("INSERT INTO pages VALUES (1, 'a fat cat'), (2, 'a rat')")
        made = list(search_index.statements("pages", ["body"], "id", version=(3, 40, 1)))
        assert not any("contentless" in statement for statement in made)
        for statement in (*made, "UPDATE pages SET body = 'a mouse' WHERE id = 1", "DELETE FROM pages WHERE id = 2"):
            connection.exec_driver_sql(statement)
        asked = "SELECT rowid FROM portero_search_pages WHERE portero_search_pages MATCH ?"
        found = [connection.exec_driver_sql(asked, (word,)).scalars().all() for word in ("cat", "mouse", "rat")]
    database.close()
    assert [[], [1], []] == found


def test_an_embed_is_searched_as_its_model_is(api: DataApi) -> None:
    ask(api, "id=eq.2", "PATCH", {"parent_id": 1})
    found = ask(api, "select=id,pages!parent_id(id)&pages.body=fts(simple).rats&order=id&id=lt.3")
    assert [{"id": 1, "pages": [{"id": 2}]}, {"id": 2, "pages": []}] == json.loads(found.body)


REFUSED = [
    ("body=fts(simple).fat rats", "42601"),
    ("body=fts(simple).fat %26", "42601"),
    ("body=fts(simple).(fat", "42601"),
    ("body=wfts(simple)." + "x" * 300, "PGRST100"),
]


def test_what_is_no_query_is_refused(api: DataApi) -> None:
    answers = [(query, ask(api, query)) for query, _ in REFUSED]
    assert REFUSED == [(query, json.loads(answer.body)["code"]) for query, answer in answers]
    assert {400} == {answer.status for _, answer in answers}


def test_sqlite_says_what_it_cannot_search(tmp_path: Any) -> None:
    exposure = exposure_of(Page)
    assert exposure is not None
    database = Database.open(f"sqlite:///{tmp_path / 'pages.db'}", sqlite_functions=SQLITE_FUNCTIONS)
    with database.writing() as connection:
        OwnTable.metadata.create_all(connection)
        Base.metadata.create_all(connection)
    api = DataApi(build([exposure], "sqlite"), database, Settings(), sessions.standing())
    for query in ("other=fts.x", "body=fts.a <2> b", "body=fts.a:A", "body=fts.(a | b) <-> c"):
        assert (400, "PGRST127") == (ask(api, query).status, json.loads(ask(api, query).body)["code"])
    assert json.loads(ask(api, "other=fts.x").body)["hint"] == "Declare it at its model: expose(…, search=[…])."
    with database.writing() as connection:
        for statement in search_index.drop_statements("pages"):
            connection.exec_driver_sql(statement)
        (sentence,) = search_index.missing_indexes(Base.metadata.sorted_tables, connection)
        assert "portero.alembic.create_search(op, 'pages', ['title', 'body'], 'id')" in sentence
    assert (400, "PGRST127") == (ask(api, "body=fts.x").status, json.loads(ask(api, "body=fts.x").body)["code"])
    with database.writing() as connection:
        search_index.make_missing(Base.metadata.sorted_tables, connection)
        assert [] == search_index.missing_indexes(Base.metadata.sorted_tables, connection)
        for statement in search_index.statements("pages", ["title"], "id"):
            connection.exec_driver_sql(statement)
        (sentence,) = search_index.missing_indexes(Base.metadata.sorted_tables, connection)
        assert sentence.startswith("The search index of pages is over title by id: a migration says")
        search_index.make_missing(Base.metadata.sorted_tables, connection)
        assert [] == search_index.missing_indexes(Base.metadata.sorted_tables, connection)
    database.close()


class Operations:
    """As much of Alembic's operations as is used."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def get_bind(self) -> sa.Connection:
        """Give the connection."""
        return self.connection


def test_a_migration_makes_the_index_of_a_table_that_has_rows(api: DataApi) -> None:
    with api.database.writing() as connection:
        drop_search(Operations(connection), "pages")
        create_search(Operations(connection), "pages", ["title", "body"])
    assert [1] == ids(api, "title=fts(simple).heat")


def test_the_description_names_searches_where_they_are_served() -> None:
    exposure = exposure_of(Page)
    assert exposure is not None
    for dialect, expected in (("sqlite", [True, True, False]), ("postgresql", [True, True, True])):
        made = document(build([exposure], dialect), "authenticated", "/rest/v1")["components"]["parameters"]
        names = [f"pages.filter.{column}" for column in ("title", "body", "other")]
        assert expected == ["wfts" in made[name]["description"] for name in names]


def test_a_declaration_that_cannot_be_kept_is_refused() -> None:
    class Others(DeclarativeBase):
        """More models."""

    @expose(select=allow_all, search=["name"])
    class Keyed(Others):
        """Its key is no whole number."""

        __tablename__ = "keyed"
        id: Mapped[UUID] = mapped_column(primary_key=True)
        name: Mapped[str]

    @expose(select=allow_all, search=["size"])
    class Sized(Others):
        """Its column is no text."""

        __tablename__ = "sized"
        id: Mapped[int] = mapped_column(primary_key=True)
        size: Mapped[int]

    @expose(select=allow_all, search=["nome"])
    class Named(Others):
        """It has no such column."""

        __tablename__ = "named"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    for model, sentence in ((Keyed, "whole numbers"), (Sized, "is no text"), (Named, "did you mean 'name'")):
        exposure = exposure_of(model)
        assert exposure is not None
        with pytest.raises(ConfigurationError, match=sentence):
            build([exposure], "sqlite")


CONNECTION = sa.create_engine("sqlite://").connect()
for statement in (
    "CREATE VIRTUAL TABLE f USING fts5(c0, every, content='', contentless_delete=1)",
    "INSERT INTO f(rowid, c0, every) VALUES (1, 'a b or', 'x')",
):
    CONNECTION.exec_driver_sql(statement)


@given(
    st.sampled_from(["fts", "plfts", "phfts", "wfts"]), st.text(st.sampled_from("ab \"-&|!()<>:*'or.^{}+"), max_size=25)
)
def test_whatever_is_searched_for_fts5_reads_it(operator: str, text: str) -> None:
    """No text of a caller is an operator, and none is an error of SQLite's."""
    try:
        query = match_of(operator, text, 0)
    except DataError as refusal:
        assert 400 == refusal.status
        return
    CONNECTION.exec_driver_sql("SELECT rowid FROM f WHERE f MATCH ?", (query,)).all()


def test_a_change_that_names_long_languages_is_not_kept(api: DataApi) -> None:
    """A caller may write anything there: what is kept of it would be as long as what came."""

    def kept(language: str) -> int:
        ask(api, f"title=fts({language}).heat", "PATCH", {"body": "x"})
        return api.writes.filters.caches()["write_filters"].entries

    assert [1, 1] == [kept("simple"), kept("e" * 300)]
