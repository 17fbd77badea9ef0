"""Tests of portero.store.sqlite_driver: one SQLite library in a process."""

from __future__ import annotations

import sqlite3

import pysqlite3.dbapi2
import pytest
import sqlalchemy as sa

from portero.errors import ConfigurationError
from portero.store import sqlite_driver


def test_the_library_is_one_without_the_race() -> None:
    assert sqlite_driver.DRIVER is pysqlite3.dbapi2
    assert sqlite_driver.is_safe(sqlite_driver.DRIVER.sqlite_version_info)


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 44, 5), False), ((3, 44, 6), True), ((3, 45, 0), False), ((3, 50, 6), False),
        ((3, 50, 7), True), ((3, 51, 0), False), ((3, 51, 2), False), ((3, 51, 3), True), ((4, 0, 0), True),
    ],
)  # fmt: skip
def test_the_fixed_versions_are_known(version: tuple[int, int, int], safe: bool) -> None:
    assert sqlite_driver.is_safe(version) is safe


def test_an_engine_made_in_the_ordinary_way_uses_the_one_library() -> None:
    sqlite_driver.use_one_library()
    engine = sa.create_engine("sqlite://")
    assert engine.dialect.dbapi is pysqlite3.dbapi2
    sqlite_driver.refuse_other_library(engine)


def test_an_engine_with_the_other_library_is_refused() -> None:
    engine = sa.create_engine("sqlite://", module=sqlite3)
    with pytest.raises(ConfigurationError, match="sqlite3"):
        sqlite_driver.refuse_other_library(engine)


def test_an_engine_of_another_database_is_none_of_its_business() -> None:
    sqlite_driver.refuse_other_library(sa.create_engine("postgresql+psycopg://localhost/x"))
