"""Tests of portero.store.types, on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from portero.store.engine import Database
from portero.store.types import JsonDocument, UtcDateTime, quick_binder, quick_reader

TABLE = sa.Table("t", sa.MetaData(), sa.Column("at", UtcDateTime()), sa.Column("document", JsonDocument))


@pytest.fixture
def table(database: Database) -> Iterator[Database]:
    with database.writing() as connection:
        TABLE.create(connection)
    yield database


def test_an_instant_comes_back_in_utc_whatever_zone_it_was_given_in(table: Database) -> None:
    given = datetime(2026, 1, 1, 1, 30, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    with table.writing() as connection:
        connection.execute(TABLE.insert(), [{"at": given}, {"at": None}])
        found = connection.execute(sa.select(TABLE.c.at).order_by(TABLE.c.at.nulls_last())).scalars().all()
    assert found == [given, None]
    assert found[0].tzinfo is UTC


def test_an_instant_without_a_zone_is_refused(table: Database) -> None:
    with pytest.raises(sa.exc.StatementError, match="time zone"), table.writing() as connection:
        connection.execute(TABLE.insert(), {"at": datetime(2026, 1, 1)})


def test_none_is_null_and_a_document_keeps_its_shape(table: Database) -> None:
    document = {"b": [1, 2.5, None, "ñ"], "a": {}}
    with table.writing() as connection:
        connection.execute(TABLE.insert(), [{"document": document}, {"document": None}])
        assert connection.execute(sa.select(TABLE.c.document).where(TABLE.c.document.is_(None))).all() == [(None,)]
        assert connection.execute(sa.select(TABLE.c.document).where(TABLE.c.document.isnot(None))).scalar() == document


SQLITE = sqlite.dialect()


class Folding(tzinfo):
    """A zone in which each hour comes twice, as the last one of summer does."""

    def utcoffset(self, at: datetime | None) -> timedelta:
        return timedelta(hours=1 if at is not None and at.fold else 2)

    def dst(self, _: datetime | None) -> None:
        return None


UNHURRIED = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ZONES = st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def agrees(kind: Any, value: Any) -> Any:
    """Write and read a value quickly and through SQLAlchemy; give what came back."""
    written = kind._cached_bind_processor(SQLITE)(value)
    bind, read = quick_binder(kind), quick_reader(kind)
    assert bind is not None and read is not None
    assert written == bind(value)
    found = read(written)
    assert repr(kind._cached_result_processor(SQLITE, None)(written)) == repr(found)
    return found


@UNHURRIED
@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES))
def test_instants_are_converted_quickly_as_by_sqlalchemy(at: datetime) -> None:
    found = agrees(UtcDateTime(), at)
    assert (at.astimezone(UTC), UTC) == (found, found.tzinfo)


@UNHURRIED
@given(st.uuids())
def test_ids_are_converted_quickly_as_by_sqlalchemy(made: Any) -> None:
    found = agrees(sa.Uuid(), made)
    assert (made, hash(made), made.is_safe, str(made)) == (found, hash(found), found.is_safe, str(found))


@UNHURRIED
@given(DOCUMENTS.filter(lambda document: document is not None))
def test_documents_are_converted_quickly_as_by_sqlalchemy(document: Any) -> None:
    assert json.dumps(document) == json.dumps(agrees(JsonDocument, document))


@pytest.mark.parametrize("text", ["2026-01-01 10:00:00", "2026-01-01T10:00:00Z", "2026-01-01 12:00:00.000000+02:00"])
def test_an_instant_that_somebody_else_wrote_is_read_too(text: str) -> None:
    read = quick_reader(UtcDateTime())
    assert read is not None
    assert datetime(2026, 1, 1, 10, tzinfo=UTC) == read(text)


def test_an_hour_that_comes_twice_is_two_instants() -> None:
    bind = quick_binder(UtcDateTime())
    assert bind is not None
    twice = datetime(2026, 10, 25, 2, 30, tzinfo=Folding())
    assert twice == twice.replace(fold=1)
    assert "00:30 01:30" == " ".join(bind(twice.replace(fold=fold))[11:16] for fold in (0, 1))


def test_an_instant_without_a_zone_is_refused_quickly_too() -> None:
    bind = quick_binder(UtcDateTime())
    assert bind is not None
    with pytest.raises(ValueError, match="time zone"):
        bind(datetime(2026, 1, 1))


def test_other_types_are_left_to_sqlalchemy() -> None:
    assert {None} == {quick(kind) for quick in (quick_binder, quick_reader) for kind in (sa.Text(), sa.JSON())}
