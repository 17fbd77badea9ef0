"""A read is told as it would be done: the same statement, every policy, the database's own plan."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.data import films
from tests.data.films import ANNA, NOW, user

from portero.data.explain import Told, condition_text, explain
from portero.data.nodes import HttpRequest
from portero.errors import DataError

QUERY = "select=title,actors(name),directors!inner(name)&id=gt.1&order=year&limit=3"


@pytest.fixture
def told(database_url: str) -> Told:
    """One read with embeds, told for Anna."""
    with films.opened(database_url) as library:
        return explain(library.api, HttpRequest("GET", "/films", QUERY), user(ANNA), NOW)


def test_every_place_has_its_policy(told: Told) -> None:
    """The junction's too; the caller's facts stand by their names and constants in their places."""
    assert [(0, "films"), (1, "actors"), (1, "directors")] == [(node.depth, node.name) for node in told.nodes]
    (film,) = told.nodes[0].policies
    assert "OR films.owner_id = me.id" in film[1]
    actors, roles = told.nodes[1].policies
    assert ("actors", "TRUE") == actors
    assert roles[1].startswith("roles.name != 'secret'")
    assert "directors, many-to-one, inner" == told.nodes[2].kind
    assert "conditions: 1, orders: 1" == told.nodes[0].asked


def test_a_condition_over_another_table_refers_to_the_row(sqlite_url: str) -> None:
    """As it is run: not over every pair of rows."""
    condition = sa.exists().where(films.Role.film_id == films.Film.id)
    with films.opened(sqlite_url) as library:
        told = condition_text(condition, library.api.catalogue.model("films").table, library.api)
    assert "EXISTS (SELECT * FROM roles WHERE roles.film_id = films.id)" == told


def test_the_statement_is_the_one_of_a_request(told: Told) -> None:
    """With the caller's id among its parameters."""
    assert told.sql.startswith("SELECT")
    assert "portero_sessions" in told.sql
    assert any("a" == str(value).lstrip("0-") for value in told.parameters)


def test_the_database_tells_its_plan(told: Told) -> None:
    """It names the tables, each step on a line."""
    assert any("films" in step for step in told.steps)
    assert any(step.startswith(" ") for step in told.steps)


def test_a_write_is_not_told(sqlite_url: str) -> None:
    """Nothing is done, so nothing is answered."""
    with films.opened(sqlite_url) as library, pytest.raises(DataError, match="PGRST117"):
        explain(library.api, HttpRequest("DELETE", "/films"), user(ANNA), NOW)
