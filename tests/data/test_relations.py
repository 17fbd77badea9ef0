"""Relations read off foreign keys, and which of them an embed means."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import sqlalchemy as sa

from portero.data.catalogue import Catalogue, build
from portero.data.exposure import Exposure
from portero.data.policy import Verb, allow_all
from portero.data.relations import Cardinality, default_name, unique_keys
from portero.errors import ConfigurationError, DataError

META = sa.MetaData()
INTEGER, KEY = sa.Integer, sa.ForeignKey


def table(name: str, *columns: object) -> sa.Table:
    return sa.Table(name, META, *columns)  # type: ignore[arg-type]


table("directors", sa.Column("id", INTEGER, primary_key=True), sa.Column("name", sa.Text))
table(
    "films",
    sa.Column("id", INTEGER, primary_key=True),
    sa.Column("title", sa.Text),
    sa.Column("director_id", KEY("directors.id")),
)
table("posters", sa.Column("film_id", KEY("films.id"), primary_key=True), sa.Column("url", sa.Text))
table("actors", sa.Column("id", INTEGER, primary_key=True), sa.Column("name", sa.Text))
table(
    "roles",
    sa.Column("film_id", KEY("films.id"), primary_key=True),
    sa.Column("actor_id", KEY("actors.id"), primary_key=True),
)
table("employees", sa.Column("id", INTEGER, primary_key=True), sa.Column("manager_id", KEY("employees.id")))
table("addresses", sa.Column("id", INTEGER, primary_key=True), sa.Column("street", sa.Text))
table(
    "orders",
    sa.Column("id", INTEGER, primary_key=True),
    sa.Column("billing_id", KEY("addresses.id", name="billing")),
    sa.Column("shipping_id", KEY("addresses.id", name="shipping")),
)
table(
    "seats",
    sa.Column("hall", INTEGER, primary_key=True),
    sa.Column("number", INTEGER, primary_key=True),
    sa.Column("kind", sa.Text),
)
table(
    "tickets",
    sa.Column("id", INTEGER, primary_key=True),
    sa.Column("hall", INTEGER),
    sa.Column("number", INTEGER),
    sa.ForeignKeyConstraint(["hall", "number"], ["seats.hall", "seats.number"]),
)


SEAT = [("hall", "hall"), ("number", "number")]


def exposure(each: sa.Table, **options: object) -> Exposure:
    defaults = {"fill": {}, "hidden": (), "name": None, "columns": None}
    limits = {"max_rows": None, "aggregates": None, "require_write_filter": None}
    policies = dict.fromkeys(Verb, allow_all)
    return Exposure(each, policies, **{**defaults, **limits, **options})  # type: ignore[arg-type]


def catalogue(names: Iterable[str] = META.tables, **options: dict[str, object]) -> Catalogue:
    return build([exposure(META.tables[name], **options.get(name, {})) for name in names], "sqlite")


@pytest.mark.parametrize(
    ("source", "target", "hint", "cardinality", "pairs"),
    [
        ("films", "directors", None, Cardinality.MANY_TO_ONE, [("director_id", "id")]),
        ("films", "director_id", None, Cardinality.MANY_TO_ONE, [("director_id", "id")]),
        ("films", "films_director_id_fkey", None, Cardinality.MANY_TO_ONE, [("director_id", "id")]),
        ("films", "directors", "director_id", Cardinality.MANY_TO_ONE, [("director_id", "id")]),
        ("films", "directors", "films_director_id_fkey", Cardinality.MANY_TO_ONE, [("director_id", "id")]),
        ("directors", "films", None, Cardinality.ONE_TO_MANY, [("id", "director_id")]),
        ("directors", "films", "director_id", Cardinality.ONE_TO_MANY, [("id", "director_id")]),
        ("films", "posters", None, Cardinality.ONE_TO_ONE, [("id", "film_id")]),
        ("posters", "films", None, Cardinality.ONE_TO_ONE, [("film_id", "id")]),
        ("films", "actors", None, Cardinality.MANY_TO_MANY, []),
        ("films", "actors", "roles", Cardinality.MANY_TO_MANY, []),
        ("films", "roles", None, Cardinality.ONE_TO_MANY, [("id", "film_id")]),
        ("employees", "employees", None, Cardinality.ONE_TO_MANY, [("id", "manager_id")]),
        ("employees", "employees", "manager_id", Cardinality.ONE_TO_MANY, [("id", "manager_id")]),
        ("employees", "manager_id", None, Cardinality.MANY_TO_ONE, [("manager_id", "id")]),
        ("orders", "addresses", "billing", Cardinality.MANY_TO_ONE, [("billing_id", "id")]),
        ("orders", "shipping", None, Cardinality.MANY_TO_ONE, [("shipping_id", "id")]),
        ("addresses", "orders", "shipping_id", Cardinality.ONE_TO_MANY, [("id", "shipping_id")]),
        ("tickets", "seats", None, Cardinality.MANY_TO_ONE, SEAT),
        ("tickets", "tickets_hall_number_fkey", None, Cardinality.MANY_TO_ONE, SEAT),
        ("seats", "tickets", None, Cardinality.ONE_TO_MANY, SEAT),
    ],
)  # fmt: skip
def test_an_embed_finds_its_relation(
    source: str, target: str, hint: str | None, cardinality: Cardinality, pairs: list[tuple[str, str]]
) -> None:
    """By the target's name, a foreign key's column or name, or a hint (contract data.md §4.2)."""
    found = catalogue()
    relation = found.relation(found.model(source), target, hint)
    assert (cardinality, pairs) == (relation.cardinality, [(one.name, other.name) for one, other in relation.pairs])
    assert (cardinality.value.endswith("to-one")) == relation.to_one


def test_many_to_many_goes_through_a_junction_whose_key_holds_both_foreign_keys() -> None:
    found = catalogue()
    junction = found.relation(found.model("films"), "actors").junction
    assert junction is not None
    assert ("roles", "roles_film_id_fkey", "roles_actor_id_fkey") == (
        junction.model,
        junction.source_constraint,
        junction.target_constraint,
    )
    near, far = junction.source_pairs[0], junction.target_pairs[0]
    assert ("films.id", "roles.film_id") == (str(near[0]), str(near[1]))
    assert ("roles.actor_id", "actors.id") == (str(far[0]), str(far[1]))


def test_a_table_that_merely_refers_to_two_others_is_no_junction() -> None:
    found = catalogue()
    assert "orders" not in {each.junction.model for each in found.model("addresses").relations if each.junction}


def test_two_ways_are_listed() -> None:
    found = catalogue()
    with pytest.raises(DataError) as caught:
        found.relation(found.model("orders"), "addresses")
    error = caught.value
    assert (300, "PGRST201") == (error.status, error.code)
    assert "Could not embed because more than one relationship was found for 'orders' and 'addresses'" == error.message
    assert [
        {
            "cardinality": "many-to-one",
            "embedding": "orders with addresses",
            "relationship": "billing using orders(billing_id) and addresses(id)",
        },
        {
            "cardinality": "many-to-one",
            "embedding": "orders with addresses",
            "relationship": "shipping using orders(shipping_id) and addresses(id)",
        },
    ] == error.details
    assert error.hint == (
        "Try changing 'addresses' to one of the following: 'addresses!billing', 'addresses!shipping'. "
        "Find the desired relationship in the 'details' key."
    )


def test_two_junctions_are_told_by_their_names() -> None:
    meta = sa.MetaData()
    for name in ("a", "b"):
        sa.Table(name, meta, sa.Column("id", INTEGER, primary_key=True))
    for name in ("first", "second"):
        sa.Table(name, meta, *[sa.Column(f"{at}_id", KEY(f"{at}.id"), primary_key=True) for at in ("a", "b")])
    found = build([exposure(each) for each in meta.tables.values()], "sqlite")
    with pytest.raises(DataError) as caught:
        found.relation(found.model("a"), "b")
    assert "first using first_a_id_fkey(a_id) and first_b_id_fkey(b_id)" == caught.value.details[0]["relationship"]  # type: ignore[index]
    junction = found.relation(found.model("a"), "b", "second").junction
    assert junction is not None
    assert "second" == junction.model


def test_no_way_gets_a_near_name() -> None:
    found = catalogue()
    with pytest.raises(DataError) as caught:
        found.relation(found.model("films"), "director")
    error = caught.value
    assert (400, "PGRST200") == (error.status, error.code)
    assert "Could not find a relationship between 'films' and 'director' in the schema cache" == error.message
    assert "Perhaps you meant 'directors' instead of 'director'." == error.hint
    with pytest.raises(DataError) as caught:
        found.relation(found.model("films"), "directors", "space")
    assert "using the hint 'space'" in str(caught.value.details)


@pytest.mark.parametrize("hidden", ["director_id"])
def test_a_hidden_foreign_key_is_no_way(hidden: str) -> None:
    """DA-09: an embed through it would tell its value."""
    found = catalogue(films={"hidden": (hidden,)})
    for target in ("directors", "director_id", "films_director_id_fkey"):
        with pytest.raises(DataError, match="PGRST200"):
            found.relation(found.model("films"), target)


def test_a_hidden_key_of_the_target_is_a_way_but_no_name() -> None:
    found = catalogue(directors={"columns": ("name",)})
    assert found.relation(found.model("films"), "directors").to_one
    with pytest.raises(DataError, match="PGRST200"):
        found.relation(found.model("films"), "directors", "id")


def test_tables_that_are_not_exposed_are_no_targets() -> None:
    """DA-08: neither by name, nor through an unexposed junction, nor as a suggestion."""
    found = catalogue(["films", "actors"])
    for target in ("directors", "actors", "roles"):
        with pytest.raises(DataError) as caught:
            found.relation(found.model("films"), target)
        assert caught.value.hint is None


def test_a_foreign_key_to_nowhere_is_refused_at_freeze() -> None:
    columns = [sa.Column("id", INTEGER, primary_key=True), sa.Column("x", INTEGER, KEY("gone.id"))]
    lost = sa.Table("lost", sa.MetaData(), *columns)
    with pytest.raises(ConfigurationError, match=r"'gone\.id' of 'lost'"):
        build([exposure(lost)], "sqlite")


def test_unique_keys_are_the_primary_key_constraints_and_plain_unique_indexes() -> None:
    each = sa.Table(
        "each", sa.MetaData(), sa.Column("id", INTEGER, primary_key=True), sa.Column("a", INTEGER, unique=True),
        sa.Column("b", INTEGER), sa.Column("c", INTEGER), sa.UniqueConstraint("b", "c"),
    )  # fmt: skip
    sa.Index("whole", each.c.c, unique=True)
    sa.Index("partial", each.c.b, unique=True, sqlite_where=each.c.c > 0)
    sa.Index("expression", sa.func.lower(each.c.b), unique=True)
    sa.Index("plain", each.c.b)
    assert {frozenset("a"), frozenset("bc"), frozenset("c"), frozenset(["id"])} == set(unique_keys(each))
    assert frozenset(["id"]) == unique_keys(each)[0]


def test_a_default_name_is_cut_as_postgresql_cuts_it() -> None:
    name = default_name("t" * 40, ["c" * 40], "fkey")
    assert ("t" * 29 + "_" + "c" * 28 + "_fkey", 63) == (name, len(name))
