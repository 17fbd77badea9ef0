"""The OpenAPI document: it is valid, complete for the caller, and holds nothing the caller may not see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy.dialects.postgresql import INT4RANGE
from tests.data import films, scene
from tests.data.films import ANNA, ANNAS_SESSION, Library, headers_of, user

from portero.data.catalogue import Catalogue, build
from portero.data.exposure import Exposure
from portero.data.openapi import document
from portero.data.policy import Verb, allow_all, deny_all
from portero.principal import NOBODY, Principal

ROLES = ("anon", "authenticated", "service_role")
DIALECTS = ("sqlite", "postgresql")


def described(catalogue: Catalogue, role: str) -> dict[str, Any]:
    """Make the document as a client reads it."""
    made: dict[str, Any] = json.loads(json.dumps(document(catalogue, role, "/rest/v1")))
    return made


def one_table(*columns: sa.Column[Any], name: str = "things", **policies: Any) -> Catalogue:
    """Make a catalogue of one table; all may be read unless a policy says otherwise."""
    chosen = policies or {"select": allow_all}
    given = {Verb(verb): policy for verb, policy in chosen.items()}
    table = sa.Table(name, sa.MetaData(), *columns)
    return build([Exposure(table, given, {}, (), None, None, None, None, None)], "sqlite")


@pytest.fixture
def library(sqlite_url: str) -> Iterator[Library]:
    """The film library, asked through its root."""
    with films.opened(sqlite_url) as opened:
        yield opened


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("application", [films, scene], ids=["films", "notes"])
def test_a_public_validator_finds_the_document_valid(application: Any, dialect: str, role: str) -> None:
    """For every role, on both databases."""
    OpenAPIV31SpecValidator(described(application.catalogue(dialect), role)).validate()


def test_a_role_sees_the_methods_that_have_a_policy() -> None:
    """Tags are never updated, complaints only left, and steps only added."""
    paths = described(scene.catalogue("sqlite"), "authenticated")["paths"]
    assert {"get", "head", "post", "put", "patch", "delete", "options"} == set(paths["/notes"])
    assert {"get", "head", "post", "delete", "options"} == set(paths["/tags"])
    assert {"post", "options"} == set(paths["/complaints"])
    assert {"get", "head", "post", "options"} == set(paths["/steps"])


def test_a_table_without_a_key_has_no_put() -> None:
    """There is nothing a PUT could name."""
    paths = described(scene.catalogue("sqlite"), "authenticated")["paths"]
    assert "put" not in paths["/log"]


def test_the_service_role_sees_everything_that_is_exposed() -> None:
    """Ledgers have no policy: nobody else learns that there are any."""
    for role, seen in (("anon", False), ("authenticated", False), ("service_role", True)):
        assert seen is ("ledger" in json.dumps(described(films.catalogue("sqlite"), role)))


def test_what_is_hidden_or_not_exposed_is_nowhere_in_the_document() -> None:
    """Neither as a column, nor as a filter, nor in a note on keys."""
    for role in ROLES:
        text = json.dumps(described(films.catalogue("sqlite"), role))
        assert [] == [word for word in ("budget", "vault", "portero_") if word in text]


def test_a_verb_that_everybody_is_denied_is_not_there() -> None:
    """deny_all answers an empty list, which is no reason to describe it."""
    catalogue = one_table(sa.Column("id", sa.Integer, primary_key=True), select=allow_all, delete=deny_all)
    assert {"get", "head", "options"} == set(described(catalogue, "anon")["paths"]["/things"])


def test_keys_are_noted_in_the_words_of_postgrest() -> None:
    """Programs look for the tags."""
    film = described(films.catalogue("sqlite"), "anon")["components"]["schemas"]["films"]["properties"]
    assert "Note:\nThis is a Primary Key.<pk/>" == film["id"]["description"]
    expected = "Note:\nThis is a Foreign Key to `directors.id`.<fk table='directors' column='id'/>"
    assert expected == film["director_id"]["description"]


def test_columns_have_types_formats_and_postgresqls_word() -> None:
    """A nullable one may be null."""
    film = described(films.catalogue("sqlite"), "anon")["components"]["schemas"]["films"]["properties"]
    assert ("integer", "int32", "integer") == tuple(film["id"][key] for key in ("type", "format", "x-postgresql-type"))
    assert ["string", "null"] == film["shot_at"]["type"]
    assert "date-time" == film["shot_at"]["format"]
    assert "type" not in film["info"]


def test_a_body_must_hold_what_has_no_default_and_is_not_filled() -> None:
    """The owner is filled by the server, for everybody but the service role."""
    schemas = {role: described(scene.catalogue("sqlite"), role)["components"]["schemas"]["notes.new"] for role in ROLES}
    assert ["title"] == schemas["authenticated"]["required"]
    assert ["owner_id", "title"] == schemas["service_role"]["required"]
    assert 40 == schemas["authenticated"]["properties"]["title"]["maxLength"]


def test_a_generated_column_is_read_only_and_in_no_body() -> None:
    """The size of a page is computed."""
    schemas = described(scene.catalogue("sqlite"), "authenticated")["components"]["schemas"]
    assert schemas["pages"]["properties"]["size"]["readOnly"]
    assert "size" not in schemas["pages.new"]["properties"]


def test_arrays_labels_and_comments_are_described() -> None:
    """An enumeration that may be null has null among its labels."""
    catalogue = one_table(
        sa.Column("id", sa.Integer, primary_key=True, comment="its number"),
        sa.Column("tags", sa.ARRAY(sa.Text)),
        sa.Column("mood", sa.Enum("happy", "sad", name="mood")),
        sa.Column("kind", sa.Enum("a", "b", name="kind"), nullable=False),
    )
    columns = described(catalogue, "anon")["components"]["schemas"]["things"]["properties"]
    assert columns["id"]["description"].startswith("its number\n\nNote:")
    assert {"type": ["array", "null"], "items": {"type": ["string", "null"]}}.items() <= columns["tags"].items()
    assert (["happy", "sad", None], ["a", "b"]) == (columns["mood"]["enum"], columns["kind"]["enum"])


def test_names_that_no_component_can_have_are_written_otherwise() -> None:
    """The path and the parameter keep the true name."""
    catalogue = one_table(
        sa.Column("a b", sa.Integer, primary_key=True), sa.Column("a_b", sa.Integer), name="Film {Titles}"
    )
    made = described(catalogue, "anon")
    OpenAPIV31SpecValidator(made).validate()
    assert ["/", "/Film%20%7BTitles%7D", "/-/batch"] == list(made["paths"])
    names = [each["name"] for each in made["components"]["parameters"].values()]
    assert {'"a b"', "a_b"} <= set(names)


def test_the_root_is_answered_for_the_callers_role(library: Library) -> None:
    """In the type that was asked for."""
    answer = library.ask("/")
    assert "application/openapi+json; charset=utf-8" == headers_of(answer)["Content-Type"]
    assert "/ledgers" not in json.loads(answer.body)["paths"]
    assert "/ledgers" in library.rows("/", Principal("service_role"))["paths"]
    assert "application/json; charset=utf-8" == headers_of(library.ask("/", accept="application/json"))["Content-Type"]
    assert 200 == library.ask("/", method="HEAD").status


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"accept": "text/csv"}, (406, "PGRST107")),
        ({"accept_profile": "private"}, (406, "PGRST106")),
        ({"method": "DELETE"}, (405, "PGRST117")),
    ],
)
def test_the_root_refuses(library: Library, headers: dict[str, str], refusal: tuple[int, str]) -> None:
    """Other types, other schemas, other methods."""
    method = headers.pop("method", "GET")
    answer = library.ask("/", NOBODY, method, **headers)
    assert refusal == (answer.status, json.loads(answer.body)["code"])


def test_who_has_signed_out_gets_no_document(library: Library) -> None:
    """The session is asked for here too."""
    assert (401, "PGRST303") == library.refusal("/", user(ANNA, ANNAS_SESSION))


def test_who_is_signed_in_gets_the_document(database_url: str) -> None:
    """On both databases."""
    with scene.opened(database_url) as notes:
        assert 200 == notes.ask("GET", "/").status


def test_the_root_can_be_switched_off(sqlite_url: str) -> None:
    """As PostgREST says it."""
    with films.opened(sqlite_url, openapi=False) as library:
        assert (404, "PGRST126") == library.refusal("/")


def test_a_filter_names_the_operators_of_its_type() -> None:
    """Full-text search and ranges on PostgreSQL only; a pattern tells a condition from other text."""
    table = sa.Table(
        "things",
        sa.MetaData(),
        sa.Column("name", sa.Text),
        sa.Column("span", sa.Text().with_variant(INT4RANGE(), "postgresql")),
    )
    exposure = Exposure(table, {Verb.SELECT: allow_all}, {}, (), None, None, None, None, None)
    filters = {
        dialect: described(build([exposure], dialect), "anon")["components"]["parameters"] for dialect in DIALECTS
    }
    patterns = {name: filters[name]["things.filter.name"]["schema"]["items"]["pattern"] for name in DIALECTS}
    assert "adj" in filters["postgresql"]["things.filter.span"]["description"]
    assert "adj" not in filters["sqlite"]["things.filter.span"]["description"]
    for text in ("eq.x", "not.like(any).{a*}", "is.null"):
        assert re.search(patterns["sqlite"], text)
    assert re.search(patterns["postgresql"], "wfts(english).fox")
    for text in ("x", "wfts(english).fox", "eq(some).x"):
        assert not re.search(patterns["sqlite"], text)


def test_the_batch_is_described_with_the_form_of_its_operations_and_answers() -> None:
    """A list of operations as the endpoint reads them, and its bound."""
    made = json.loads(json.dumps(document(scene.catalogue("sqlite"), "anon", "/rest/v1", (), 7)))
    OpenAPIV31SpecValidator(made).validate()
    post = made["paths"]["/-/batch"]["post"]
    assert {"$ref": "#/components/schemas/Batch"} == post["requestBody"]["content"]["application/json"]["schema"]
    batch = made["components"]["schemas"]["Batch"]
    assert (7, ["method", "path"]) == (batch["maxItems"], batch["items"]["required"])
    assert {"200", "300", "400", "401", "403", "404", "409", "412", "413", "503"} <= set(post["responses"])
    assert "operation" in made["components"]["schemas"]["Refusal"]["properties"]


def test_versions_are_described_where_they_are_looked_at() -> None:
    """If-Match on what changes one row, ETag on what shows one."""
    path = described(scene.catalogue("sqlite"), "authenticated")["paths"]["/pages"]
    used = {
        method: {each.get("$ref", "").rpartition("/")[2] for each in operation.get("parameters", ())}
        for method, operation in path.items()
    }
    assert {"put", "patch", "delete"} == {method for method in used if "ifMatch" in used[method]}
    assert "ETag" in path["get"]["responses"]["200"]["headers"]
