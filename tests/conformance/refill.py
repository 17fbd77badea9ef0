"""Brings every table of the fixture back to its first rows, in one transaction, while the server runs.

SQLite: the rows wait in a second file, attached to the refilling connection. PostgreSQL: they wait in a schema of
their own. Nothing else is touched: Portero's own tables keep what they hold.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from tests.conformance.fixture_tables import Description, compact, quote

WAITING = "waiting"

#: Where the application under test offers the refill.
RESET_PATH = "/conformance/reset"


def engine_for(url: str) -> sa.Engine:
    """Give an engine that writes JSON as the fixture has it; the rows go in before foreign keys are looked at."""
    return sa.create_engine(url, json_serializer=compact, poolclass=sa.pool.NullPool)


def keep_waiting(engine: sa.Engine, described: Sequence[Description], waiting_file: pathlib.Path) -> None:
    """Put a copy of every row where the refill finds it."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("VACUUM INTO ?", (str(waiting_file),))
            return
        connection.exec_driver_sql(f"CREATE SCHEMA {WAITING}")
        for table in described:
            name = quote(table["name"])
            connection.exec_driver_sql(f"CREATE TABLE {WAITING}.{name} AS TABLE {name}")
        connection.commit()


def refill_of(url: str, described: Sequence[Description], waiting_file: str) -> Callable[[], None]:
    """Give the function that refills all tables; it may be called from any thread, one call at a time."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    if engine.dialect.name == "sqlite":
        return lambda: _refill_sqlite(engine, described, waiting_file)
    with engine.connect() as connection:
        waiting = _digests(connection, described, WAITING)
    return lambda: _refill_postgresql(engine, described, waiting)


def _stored(table: Description) -> str:
    return ", ".join(quote(column["name"]) for column in table["columns"] if not column.get("generated"))


def _refill_sqlite(engine: sa.Engine, described: Sequence[Description], waiting_file: str) -> None:
    raw: Any = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute(f"ATTACH ? AS {WAITING}", (waiting_file,))
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.execute("PRAGMA synchronous = OFF")
        cursor.execute("PRAGMA busy_timeout = 10000")
        cursor.execute("BEGIN IMMEDIATE")
        for table in described:
            name, columns = quote(table["name"]), _stored(table)
            cursor.execute(f"DELETE FROM main.{name}")
            cursor.execute(f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM {WAITING}.{name} ORDER BY rowid")
        cursor.execute("COMMIT")
    finally:
        raw.close()


def _digests(connection: sa.Connection, described: Sequence[Description], schema: str) -> dict[str, str | None]:
    """Give a digest of each table's rows and of where they lie: a row that moved comes in another order."""
    selects = [
        f"(SELECT md5(string_agg(ctid::text || t::text, '' ORDER BY ctid)) FROM {schema}.{quote(table['name'])} t)"
        for table in described
    ]
    names = [table["name"] for table in described]
    (digests,) = connection.exec_driver_sql(f"SELECT ARRAY[{', '.join(selects)}]").one()
    return dict(zip(names, digests, strict=True))


def _refill_postgresql(engine: sa.Engine, described: Sequence[Description], waiting: dict[str, str | None]) -> None:
    # Emptying a table makes new files; doing that to 150 tables costs a fifth of a second, so only what changed.
    with engine.begin() as connection:
        changed = {
            name for name, digest in _digests(connection, described, "public").items() if digest != waiting[name]
        }
        changed = _with_referring(changed, described)
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        if changed:
            connection.exec_driver_sql(f"TRUNCATE {', '.join(map(quote, sorted(changed)))}")
        for table in described:
            name, columns = quote(table["name"]), _stored(table)
            if table["name"] in changed:
                connection.exec_driver_sql(
                    f"INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {WAITING}.{name}"
                )
            for column, value in (table.get("next") or {}).items():
                setval = "SELECT setval(pg_get_serial_sequence(%s, %s), %s, false)"
                connection.exec_driver_sql(setval, (name, column, value))


def _with_referring(changed: set[str], described: Sequence[Description]) -> set[str]:
    """Add the tables whose foreign keys point into the set: PostgreSQL empties them only together."""
    found = set(changed)
    while True:
        further = {
            table["name"]
            for table in described
            if table["name"] not in found and any(key["ref_table"] in found for key in table["foreign_keys"])
        }
        if not further:
            return found
        found |= further
