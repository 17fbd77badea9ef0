"""Fills tables quickly: one INSERT … SELECT over a series of numbers, half a million rows in a transaction.

The same statements on SQLite and PostgreSQL, but for how an id and an instant are made of a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from portero.store.engine import Database

_AT_ONCE = 500_000
_SERIES = "WITH RECURSIVE n(i) AS (SELECT CAST({first} AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
PROSE = "'" + "the quick brown fox jumps over the lazy dog and runs away; " * 6 + "'"


@dataclass(frozen=True, slots=True)
class Filling:
    """Makes rows of the numbers 1, 2, 3 …, which the expressions call `i`."""

    database: Database

    @property
    def _is_postgresql(self) -> bool:
        return self.database.dialect_name == "postgresql"

    def uuid(self, number: str) -> str:
        """Give the expression of the UUID that is the number."""
        if self._is_postgresql:
            return f"CAST(lpad(to_hex({number}), 32, '0') AS uuid)"
        return f"printf('%032x', {number})"

    def moment(self, number: str) -> str:
        """Give the expression of an instant of the year that has nothing to do with the number's size."""
        seconds = f"({number} * 7919 % 26000000)"
        if self._is_postgresql:
            return f"(timestamp '2026-01-01' + {seconds} * interval '1 second')"
        return f"strftime('%Y-%m-%d %H:%M:%S.000000', 1767225600 + {seconds}, 'unixepoch')"

    def truth(self, condition: str) -> str:
        """Give the expression of a boolean."""
        return f"({condition})" if self._is_postgresql else f"CAST(({condition}) AS INTEGER)"

    def text(self, length: int | str) -> str:
        """Give the expression of a text of at most 300 characters that depends on the number."""
        return f"substr({PROSE}, CAST(1 + i % 50 AS INTEGER), {length})"

    def insert(self, table: str, many: int, columns: Mapping[str, str]) -> None:
        """Insert rows 1 to `many`."""
        expressions = ", ".join(columns.values())
        self._run(f"INSERT INTO {table} ({', '.join(columns)}) {_SERIES} SELECT {expressions} FROM n", many)

    def multiply(self, table: sa.Table, template: str, many: int, columns: Mapping[str, str]) -> None:
        """Insert `many` copies of the row that the condition finds, with other values in some columns."""
        names = [column.name for column in table.columns]
        chosen = ", ".join(columns.get(name, f"t.{name}") for name in names)
        found = f"(SELECT * FROM {table.name} WHERE {template}) AS t"
        self._run(f"INSERT INTO {table.name} ({', '.join(names)}) {_SERIES} SELECT {chosen} FROM n, {found}", many)

    def without_index(self, index: sa.Index) -> None:
        """Drop an index before very many rows come."""
        with self.database.writing() as connection:
            index.drop(connection)

    def with_index(self, index: sa.Index) -> None:
        """Make it again."""
        with self.database.writing() as connection:
            index.create(connection)

    def go_on_from(self, table: str, number: int) -> None:
        """Let the ids that the database gives begin after this one; SQLite does so by itself."""
        if self._is_postgresql:
            with self.database.writing() as connection:
                connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {number})")

    def settle(self) -> None:
        """Let the database look at what it holds, and write down what it still has to."""
        with self.database.writing() as connection:
            connection.exec_driver_sql("ANALYZE")
        if self._is_postgresql:
            with self.database.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")

    def _run(self, statement: str, many: int) -> None:
        for first in range(1, many + 1, _AT_ONCE):
            series = statement.replace("{first}", str(first)).replace("{last}", str(min(first + _AT_ONCE - 1, many)))
            with self.database.writing() as connection:
                connection.exec_driver_sql(series.replace("%", "%%") if self._is_postgresql else series)
