"""How a database begins an INSERT that knows `ON CONFLICT`. It decides nothing and runs nothing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite


def insert_into(table: sa.FromClause, dialect_name: str) -> Any:
    """Give the INSERT of a table in the words of a database, `sqlite` or `postgresql`: `sqlite.Insert` or the other."""
    if dialect_name == "sqlite":
        return sqlite.insert(table)  # type: ignore[arg-type]
    # The words of an optional driver: a start on SQLite would wait for them, a twentieth of its time.
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert(table)  # type: ignore[arg-type]
