"""The catalogue: what is exposed, under which names, and what is refused when the application is frozen."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tests.data.scene import catalogue
from tests.data.test_relations import exposure

from portero.data.catalogue import Model, build
from portero.data.exposure import expose, expose_table, exposures_of, own
from portero.data.policy import allow_all
from portero.errors import ConfigurationError, DataError


class Base(DeclarativeBase):
    """The models of these tests."""


@expose(select=allow_all, hidden=["salary"], name="people", max_rows=5, aggregates=True, require_write_filter=True)
class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column("Person Id", primary_key=True)
    name: Mapped[str] = mapped_column(sa.Text, server_default="x")
    salary: Mapped[int | None]
    double: Mapped[int | None] = mapped_column(sa.Computed("salary * 2"))
    serial: Mapped[int | None] = mapped_column(sa.Identity(always=True))


class Unexposed(Base):
    __tablename__ = "unexposed"
    id: Mapped[int] = mapped_column(primary_key=True)


def people() -> Model:
    return build(exposures_of([Base.registry]), "sqlite").model("people")


def test_only_marked_classes_are_there() -> None:
    """DA-01, DA-31: nothing is exposed by being mapped; system tables and ours are not there either."""
    found = build(exposures_of([Base.registry]), "sqlite")
    assert ["people"] == list(found.models)
    for name in ("person", "unexposed", "portero_users", "sqlite_master", "pg_user", "alembic_version"):
        with pytest.raises(DataError) as caught:
            found.model(name)
        assert (404, "PGRST205", f"Could not find the table 'public.{name}' in the schema cache") == (
            caught.value.status,
            caught.value.code,
            caught.value.message,
        )


def test_a_class_that_a_function_makes_is_exposed_though_nobody_else_holds_it() -> None:
    """An application factory may define its models itself."""

    def made() -> type[DeclarativeBase]:
        class Own(DeclarativeBase):
            pass

        @expose(select=allow_all)
        class Thing(Own):
            __tablename__ = "things"
            id: Mapped[int] = mapped_column(primary_key=True)

        return Own

    base = made()
    gc.collect()
    assert ["things"] == list(build(exposures_of([base.registry]), "sqlite").models)


def test_a_near_name_is_suggested_among_the_exposed_ones() -> None:
    with pytest.raises(DataError) as caught:
        catalogue("sqlite").model("notez")
    assert "Perhaps you meant the table 'public.notes'" == caught.value.hint
    with pytest.raises(DataError) as caught:
        catalogue("sqlite").model("portero_user")
    assert caught.value.hint is None


def test_columns_go_by_their_names_in_the_database() -> None:
    found = people()
    assert ["Person Id", "name", "double", "serial"] == list(found.columns)
    assert ["Person Id", "name"] == list(found.writable)
    assert ("Person Id",) == found.primary_key
    assert (5, True, True) == (found.max_rows, found.aggregates, found.require_write_filter)


def test_a_column_says_whether_it_has_a_default() -> None:
    found = people().columns
    assert {"Person Id": True, "name": True, "double": True, "serial": True} == {
        name: column.has_default for name, column in found.items()
    }
    assert (False, True) == (found["name"].nullable, found["double"].is_generated)


@pytest.mark.parametrize("name", ["salary", "nope", "id"])
def test_a_hidden_column_is_refused_like_one_that_is_not_there(name: str) -> None:
    """DA-09, DA-11."""
    with pytest.raises(DataError) as caught:
        people().column(name)
    assert (400, "42703", f"column people.{name} does not exist") == (
        caught.value.status,
        caught.value.code,
        caught.value.message,
    )


def test_listed_columns_are_the_only_ones() -> None:
    found = build([exposure(Person.__table__, columns=("name", "salary"), hidden=("salary",))], "sqlite")
    assert ["name"] == list(found.model("person").columns)


def test_a_table_is_exposed_by_a_call_and_carries_its_mark() -> None:
    tags = sa.Table("tags", sa.MetaData(), sa.Column("word", sa.Text))
    found = build([expose_table(tags, select=allow_all)], "postgresql").model("tags")
    assert () == found.primary_key
    assert "CAST(tags.ctid AS TEXT)" == str(found.row_key[0])


def test_nothing_of_an_exposure_is_written_into_a_migration() -> None:
    """Alembic writes what stands in a table's `info`."""

    class Own(DeclarativeBase):
        """Models of this test."""

    @expose(select=allow_all)
    class Thing(Own):
        __tablename__ = "things"
        id: Mapped[int] = mapped_column(primary_key=True)

    expose_table(sa.Table("tags", Own.metadata, sa.Column("word", sa.Text)), select=allow_all)
    with sa.create_engine("sqlite://").connect() as connection:
        migration = produce_migrations(MigrationContext.configure(connection), Own.metadata)
        written = render_python_code(migration.upgrade_ops)
    assert 2 == written.count("op.create_table")
    assert "info" not in written


def test_a_table_may_be_exposed_twice_under_two_names() -> None:
    meta = sa.MetaData()
    users = sa.Table("users", meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
    notes = sa.Table("notes", meta, sa.Column("id", sa.Integer, primary_key=True),
                     sa.Column("user_id", sa.ForeignKey("users.id")))  # fmt: skip
    found = build([exposure(users), exposure(users, name="profiles", columns=("name",)), exposure(notes)], "sqlite")
    assert ["users", "profiles"] == [
        found.relation(found.model("notes"), name).target for name in ("users", "profiles")
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hidden": ("salery",)}, r"'person' hides the column 'salery', .*; did you mean 'salary'\?"),
        ({"columns": ("zzz",)}, r"'person' lists the column 'zzz', which it does not have\."),
        ({"fill": {"owner": 1}}, "'person' fills the column 'owner'"),
        ({"fill": {"name": str}}, "'person' fills 'name' with a function"),
        ({"columns": ()}, "'person' is exposed without a readable column"),
        ({"max_rows": 0}, "'person': max_rows must be at least 1"),
        ({"name": "other"}, "Two models are exposed as 'other'"),
    ],
)  # fmt: skip
def test_an_exposure_that_cannot_be_served_is_refused_with_a_sentence(options: dict[str, Any], sentence: str) -> None:
    each = exposure(Person.__table__, **options)
    twice = [each, each] if "name" in options else [each]
    with pytest.raises(ConfigurationError, match=sentence):
        build(twice, "sqlite")


def test_a_column_type_without_a_wire_form_is_refused_by_name() -> None:
    odd = sa.Table("odd", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("blob", sa.PickleType))
    with pytest.raises(ConfigurationError, match=r"odd\.blob: The type PickleType.* Hide the column"):
        build([exposure(odd)], "sqlite")
    assert ["id"] == list(build([exposure(odd, hidden=("blob",))], "sqlite").model("odd").columns)


def test_what_is_not_mapped_is_refused() -> None:
    class Stray:
        """No model."""

    expose(own("id"))(Stray)
    with pytest.raises(ConfigurationError, match="is exposed but not mapped to a table"):
        build([vars(Stray)["__portero_exposure__"]], "sqlite")


def test_a_class_that_shares_its_table_is_refused_because_the_others_rows_would_be_shown() -> None:
    class Others(DeclarativeBase):
        """Classes apart from those above."""

    class Worker(Others):
        __tablename__ = "workers"
        __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "worker"}  # noqa: RUF012
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]

    @expose(select=allow_all)
    class Chief(Worker):
        __mapper_args__ = {"polymorphic_identity": "chief"}  # noqa: RUF012

    with pytest.raises(ConfigurationError, match=r"Chief shares the table 'workers' .* expose Worker"):
        build(exposures_of([Others.registry]), "sqlite")
