"""Tests of portero.store.types, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from portero.store.engine import Database
from portero.store.types import JsonDocument, UtcDateTime

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
