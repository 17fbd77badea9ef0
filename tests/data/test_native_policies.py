"""The wall of PostgreSQL: a session that says who asks sees exactly what the API shows that caller."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from tests.data import films, scene

from portero.data.caller import me
from portero.data.catalogue import Catalogue, build
from portero.data.exposure import Exposure
from portero.data.native_policies import script
from portero.data.nodes import HttpRequest
from portero.data.pipeline import DataApi
from portero.data.policy import Policy, Verb
from portero.errors import ConfigurationError
from portero.principal import NOBODY, Principal

ROLE = "portero_caller"
ANNA, BEN = UUID(int=0xA), UUID(int=0xB)
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CALLERS = [Principal("authenticated", ANNA), Principal("authenticated", BEN), NOBODY]


@contextmanager
def session(url: str, caller: Principal) -> Iterator[psycopg.Connection[Any]]:
    """Open a session of the role that says who asks; nothing it does is kept."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(ROLE)))
        connection.execute("SET LOCAL TIME ZONE 'UTC'")
        said = {"portero.me_id": str(caller.user_id or ""), "portero.me_role": caller.role}
        for name, value in said.items():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
        try:
            yield connection
        finally:
            connection.rollback()


def build_wall(url: str, catalogue: Catalogue) -> None:
    """Run the script as the owner, twice: it must be of use again after a change."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for _ in range(2):
            connection.execute(script(catalogue, ROLE))


def seen(url: str, model: Any, caller: Principal) -> list[str]:
    """Read what the session sees of a model, each row as JSON text of its readable columns."""
    columns = sql.SQL(", ").join(map(sql.Identifier, model.columns))
    asked = sql.SQL("SELECT to_json(q) FROM (SELECT {} FROM {}) q").format(columns, sql.Identifier(model.table.name))
    with session(url, caller) as connection:
        return sorted(json.dumps(row[0], sort_keys=True) for row in connection.execute(asked))


def shown(api: DataApi, name: str, caller: Principal) -> list[str]:
    """Read what the API shows of a model."""
    answer = api.read(HttpRequest("GET", f"/{name}"), caller, NOW)
    return sorted(json.dumps(row, sort_keys=True) for row in json.loads(answer.body))


@pytest.mark.parametrize("application", [films, scene], ids=["films", "notes"])
def test_a_session_sees_exactly_the_rows_the_api_shows(application: Any, empty_postgresql_url: str) -> None:
    """Every model that may be read, every caller; policies about other tables and about the model's own among them."""
    with application.opened(empty_postgresql_url) as opened:
        catalogue = opened.api.catalogue
        build_wall(empty_postgresql_url, catalogue)
        readable = [model for model in catalogue.models.values() if model.policies.select is not None]
        for model in readable:
            for caller in CALLERS:
                assert shown(opened.api, model.name, caller) == seen(empty_postgresql_url, model, caller), model.name


def test_the_callers_differ_in_what_they_see(empty_postgresql_url: str) -> None:
    """Otherwise the test above would say little."""
    with scene.opened(empty_postgresql_url) as opened:
        build_wall(empty_postgresql_url, opened.api.catalogue)
        notes = opened.api.catalogue.models["notes"]
        anna, ben, nobody = (seen(empty_postgresql_url, notes, caller) for caller in CALLERS)
        assert (1, 1, 0) == (len(anna), len(ben), len(nobody))
        assert anna != ben


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT secret FROM notes",
        "SELECT * FROM complaints",
        "UPDATE tags SET word = 'x'",
        "INSERT INTO notes (owner_id, title) VALUES ('00000000-0000-0000-0000-00000000000b', 'planted')",
        "UPDATE notes SET owner_id = '00000000-0000-0000-0000-00000000000b'",
        "INSERT INTO tags (note_id, word) VALUES (2, 'mine')",
        "SELECT * FROM portero_users",
    ],
)
def test_what_the_api_refuses_is_refused_here(statement: str, empty_postgresql_url: str) -> None:
    """Hidden columns, verbs without a policy, rows given away, tables that are not exposed."""
    with scene.opened(empty_postgresql_url) as opened:
        build_wall(empty_postgresql_url, opened.api.catalogue)
        with (
            session(empty_postgresql_url, CALLERS[0]) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(sql.SQL(statement))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statement", "affected"),
    [
        ("INSERT INTO notes (owner_id, title, stars) VALUES ('00000000-0000-0000-0000-00000000000a', 'mine', 0)", 1),
        ("INSERT INTO tags (note_id, word) VALUES (1, 'green')", 1),
        ("INSERT INTO complaints (text) VALUES ('too loud')", 1),
        ("UPDATE notes SET title = 'changed'", 1),
        ("DELETE FROM tags", 1),
        ("DELETE FROM notes WHERE id = 2", 0),
    ],
)
def test_what_the_api_allows_is_allowed_here(statement: str, affected: int, empty_postgresql_url: str) -> None:
    """On one's own rows; those of others are not there."""
    with scene.opened(empty_postgresql_url) as opened:
        build_wall(empty_postgresql_url, opened.api.catalogue)
        with session(empty_postgresql_url, CALLERS[0]) as connection:
            assert affected == connection.execute(sql.SQL(statement)).rowcount  # type: ignore[arg-type]


def test_a_fact_of_the_callers_own_row_is_read_without_a_right_on_it(empty_postgresql_url: str) -> None:
    """me.email looks into Portero's own table; a percent sign and a quote stay what they are."""
    metadata = sa.MetaData()
    letters = sa.Table(
        "letters",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("to", sa.Text),
        sa.Column("text", sa.Text),
    )

    def is_for_me(letter: Any) -> Any:
        return (letter.to == me.email) & letter.text.like("%it's 100%")

    def has_role(letter: Any) -> Any:
        return me.role == "anon"

    catalogue = one(letters, select=is_for_me, delete=has_role)
    with scene.opened(empty_postgresql_url) as opened:
        with opened.database.writing() as connection:
            metadata.create_all(connection)
            rows = [{"to": f"{name}@example.org", "text": "well, it's 100"} for name in ("anna", "ben", "anna")]
            connection.execute(sa.insert(letters), rows)
        build_wall(empty_postgresql_url, catalogue)
        sights = [len(seen(empty_postgresql_url, catalogue.models["letters"], caller)) for caller in CALLERS]
        assert [2, 1, 0] == sights


def one(table: sa.Table, **policies: Policy) -> Catalogue:
    """Make a catalogue of one table."""
    given = {Verb(verb): policy for verb, policy in policies.items()}
    return build([Exposure(table, given, {}, (), None, None, None, None, None)], "postgresql")


def test_what_cannot_be_written_is_refused_by_name() -> None:
    """A value without a literal, and a text that would end the quotation."""

    class Odd(sa.types.UserDefinedType[Any]):
        """A type whose values SQLAlchemy cannot write."""

        cache_ok = True

        def get_col_spec(self) -> str:
            return "text"

    table = sa.Table("t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
    with pytest.raises(ConfigurationError, match="the select policy of 't' holds a value"):
        script(one(table, select=lambda row: row.name == sa.literal("x", Odd())), ROLE)
    with pytest.raises(ConfigurationError, match="cannot be quoted"):
        script(one(table, select=lambda row: row.name == "$portero$"), ROLE)


def test_names_are_quoted() -> None:
    """Of roles, tables and columns."""
    table = sa.Table("Film Titles", sa.MetaData(), sa.Column("Full Title", sa.Text))
    made = script(one(table, select=lambda row: row["Full Title"] != "x"), "the 'caller'")
    assert """rolname = 'the ''caller'''""" in made
    assert """GRANT SELECT ("Full Title") ON "Film Titles" TO "the 'caller'";""" in made
