"""Queries stay flat: a page of one's own rows is read through the policy's index, however large the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from portero.data import write_sql
from portero.data.binds import KEYS
from portero.data.catalogue import build
from portero.data.dialects import SQLITE_FUNCTIONS, sql_of
from portero.data.execute import parameters_of
from portero.data.exposure import expose, exposure_of, own
from portero.data.keys import joined_by
from portero.data.nodes import HttpRequest
from portero.data.parameters import facts_of
from portero.data.pipeline import DataApi
from portero.data.policy import Verb, allow_all
from portero.principal import Principal
from portero.settings import Settings
from portero.store import sessions
from portero.store.engine import Database
from portero.store.tables import OwnTable

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PAGE = "done=is.false&order=created_at.desc&limit=20"
OWNERS = [UUID(int=number) for number in range(1, 41)]


class Base(DeclarativeBase):
    """One model."""


@expose(select=allow_all)
class Writer(Base):
    """Who writes notes; everybody may know."""

    __tablename__ = "writers"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]


@expose(own("owner"))
class Note(Base):
    """A note is its owner's."""

    __tablename__ = "notes"
    __table_args__ = (sa.Index("notes_owner_created_at", "owner", "created_at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[UUID] = mapped_column(sa.ForeignKey("writers.id"))
    title: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    parent_id: Mapped[int | None] = mapped_column(sa.ForeignKey("notes.id"), index=True)


@contextmanager
def filled(database: Database) -> Iterator[DataApi]:
    """Fill 4,000 notes of 40 owners, and let the database look at them."""
    rows = [
        {"owner": OWNERS[at % 40], "title": f"note {at}", "created_at": NOW.replace(tzinfo=None) - timedelta(hours=at)}
        for at in range(4000)
    ]
    with database.writing() as connection:
        Base.metadata.create_all(connection)
        connection.execute(sa.insert(Writer), [{"id": owner, "name": f"writer {owner.int}"} for owner in OWNERS])
        connection.execute(sa.insert(Note), rows)
    with database.writing() as connection:
        connection.exec_driver_sql("ANALYZE")
    exposures = [each for each in map(exposure_of, (Note, Writer)) if each is not None]
    catalogue = build(exposures, database.dialect_name)
    yield DataApi(catalogue, database, Settings(), sessions.standing())
    with database.writing() as connection:
        Base.metadata.drop_all(connection)


def explained(api: DataApi, query: str) -> str:
    """Give the database's own plan of a read of one owner, as text."""
    who = Principal("authenticated", OWNERS[7], UUID(int=99))
    filled = api.reads.prepare(HttpRequest("GET", "/notes", query), who.role, guarded=True).filled
    parameters = parameters_of(filled, who, NOW)
    word = "EXPLAIN QUERY PLAN " if api.database.dialect_name == "sqlite" else "EXPLAIN (FORMAT TEXT) "
    rows = api.database.fetch_all(word + filled.sql, parameters)
    return "\n".join(str(row[-1]) for row in rows)


def test_a_page_of_ones_own_notes_is_read_through_the_index_in_its_order(database: Database) -> None:
    """No scan of the table, no sort."""
    with filled(database) as api:
        plan = explained(api, PAGE)
    if database.dialect_name == "sqlite":
        assert "SEARCH notes USING INDEX notes_owner_created_at (owner=?)" in plan
        assert "TEMP B-TREE" not in plan
        assert "SCAN notes" not in plan
    else:
        assert "Index Scan Backward using notes_owner_created_at" in plan
        assert "Seq Scan on notes" not in plan
        assert "Sort" not in plan


def test_an_embed_under_its_own_policy_is_found_by_its_key(database: Database) -> None:
    """Children by their foreign key's index, not by all notes of the owner."""
    with filled(database) as api:
        plan = explained(api, f"select=id,children:notes!parent_id(title)&{PAGE}")
    if database.dialect_name == "sqlite":
        assert plan.count("SEARCH notes USING INDEX") == 2
        assert "SCAN notes" not in plan


def test_what_belongs_to_the_caller_is_looked_up_once_for_all_of_the_callers_rows(database: Database) -> None:
    """Every note there is the caller's own, so each has the same writer."""
    query = f"select=id,writer:writers!inner(name)&{PAGE}"
    with filled(database) as api:
        plan = explained(api, query)
        answer = api.answer(HttpRequest("GET", "/notes", query), Principal("authenticated", OWNERS[7], None), NOW)
    assert ("CORRELATED" if database.dialect_name == "sqlite" else "SubPlan") not in plan
    assert [{"name": "writer 8"}] * 20 == [row["writer"] for row in json.loads(answer.body)]


def test_who_sees_everybodys_rows_sees_each_with_its_own_writer(database: Database) -> None:
    """No policy says there that two rows have the same."""
    query = "select=owner,writer:writers(name)&order=id&limit=3"
    with filled(database) as api:
        answer = api.answer(HttpRequest("GET", "/notes", query), Principal("service_role", None, None), NOW)
    assert ["writer 1", "writer 2", "writer 3"] == [row["writer"]["name"] for row in json.loads(answer.body)]


def test_the_statement_answers_what_it_explains(database: Database) -> None:
    """Twenty notes of one owner."""
    with filled(database) as api:
        answer = api.answer(HttpRequest("GET", "/notes", PAGE), Principal("authenticated", OWNERS[7], None), NOW)
    rows: list[dict[str, Any]] = json.loads(answer.body)
    assert 20 == len(rows)
    assert {str(OWNERS[7])} == {row["owner"] for row in rows}


def test_postgresql_plans_a_page_once_and_not_at_every_request(empty_postgresql_url: str) -> None:
    """A limit that it does not know would make it plan each time; callers and values may differ, the page may not."""
    database = Database.open(empty_postgresql_url)
    with filled(database) as api:
        for owner in OWNERS[:12]:
            found = api.answer(HttpRequest("GET", "/notes", PAGE + "&offset=0"), Principal("member", owner, None), NOW)
            assert 200 == found.status
        plans = database.fetch_all("SELECT custom_plans, generic_plans FROM pg_prepared_statements WHERE NOT from_sql")
    database.close()
    assert [(5, 6)] == plans


def test_new_rows_are_checked_by_their_keys_alone(database: Database) -> None:
    """On a table the database knows no figures of, the policy's index would be walked for each of the new rows."""
    with filled(database) as api, database.writing() as connection:
        model, sql = api.catalogue.model("notes"), api.reads.sql
        statement = write_sql.passing(model, model.policies.of(Verb.INSERT, "authenticated"), sql)
        facts = facts_of(Principal("authenticated", OWNERS[7], None), NOW)
        keys = json.dumps([[number] for number in range(8, 4000, 40)])
        assert 100 == connection.execute(statement, facts | {KEYS: keys}).scalar()
        compiled = statement.params(facts | {KEYS: keys}).compile(dialect=sql.compiler)
        assert "notes_owner_created_at" not in _plan_without_figures(connection, compiled)


def test_postgresql_looks_few_keys_up_in_a_table_that_it_could_read_as_a_whole(empty_postgresql_url: str) -> None:
    """For as many keys as PostgreSQL takes the elements of a document for, it would read the whole table."""
    database, sql = Database.open(empty_postgresql_url), sql_of("postgresql")
    table = sa.Table(
        "letters", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text)
    )
    with database.writing() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), [{"id": number, "text": "x" * 300} for number in range(6_000)])
    with database.writing() as connection:
        connection.exec_driver_sql("ANALYZE letters")
        statement = (
            sa.select(table.c.text).select_from(joined_by([table.c.id], table, sql)).params({KEYS: "[[5], [7]]"})
        )
        compiled = statement.compile(dialect=sql.compiler)
        assert connection.execute(statement).scalars().all() == ["x" * 300] * 2
        plan = _plan(connection, compiled)
    database.close()
    assert "letters_pkey" in plan


def _plan_without_figures(connection: sa.Connection, compiled: Any) -> str:
    if connection.dialect.name != "sqlite":
        # Every index that can serve is preferred to reading the table.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    return _plan(connection, compiled)


def _plan(connection: sa.Connection, compiled: Any) -> str:
    names = compiled.positiontup
    values = tuple(
        compiled._bind_processors[name](compiled.params[name]) if name in compiled._bind_processors else value
        for name, value in ((name, compiled.params[name]) for name in names)
    )
    word = "EXPLAIN QUERY PLAN " if connection.dialect.name == "sqlite" else "EXPLAIN "
    return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(word + compiled.string, values))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the functions of the data API."""
    found = Database.open(database_url, sqlite_functions=SQLITE_FUNCTIONS)
    with found.writing() as connection:
        OwnTable.metadata.create_all(connection)
    yield found
    found.close()
