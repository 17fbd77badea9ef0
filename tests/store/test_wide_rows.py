"""Wide rows of SQLite look as they do column by column."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from portero.store.engine import Database
from portero.store.prepared import Prepared, inserting
from portero.store.types import JsonDocument, UtcDateTime
from portero.store.wide_rows import packed

TABLE = sa.Table(
    "wide",
    sa.MetaData(),
    sa.Column("id", sa.Uuid(), primary_key=True),
    sa.Column("at", UtcDateTime()),
    sa.Column("text", sa.Text()),
    sa.Column("whole", sa.BigInteger()),
    sa.Column("truth", sa.Boolean()),
    sa.Column("document", JsonDocument),
    sa.Column("sealed", sa.LargeBinary()),
    sa.Column("other", sa.Text()),
)
ID = UUID(int=7)
FULL = {
    "at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "text": 'ä "\\\n\x01 🐘',
    "whole": -(2**63),
    "truth": True,
    "document": {"largest": 2**64 + 1, "exact": 0.1, "texts": ["ß", None]},
    "sealed": bytes(range(256)),
    "other": "",
}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.open(f"sqlite:///{tmp_path}/app.db")


@pytest.mark.parametrize("row", [FULL, FULL | {"truth": False, "sealed": b""}, dict.fromkeys(FULL)])
def test_every_value_of_a_wide_row_is_the_one_that_was_stored(database: Database, row: dict[str, object]) -> None:
    wide = Prepared(sa.select(*TABLE.c).where(TABLE.c.id == sa.bindparam("id")), list)
    with database.writing() as connection:
        TABLE.create(connection)
        inserting(TABLE).changed(connection, id=ID, **row)
        assert [ID, *row.values()] == wide.first(connection, id=ID)
    assert wide._texts["sqlite"].is_packed
    database.close()


def test_a_few_columns_or_a_fraction_are_not_packed() -> None:
    assert packed(sa.select(*list(TABLE.c)[:7])) is None
    assert packed(sa.select(*TABLE.c, sa.literal(0.1, sa.Float()))) is None
    assert packed(sa.update(TABLE)) is None
