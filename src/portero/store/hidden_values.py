"""SQLite's dialect for statements that are prepared once: each value goes in as `+?`, where the planner cannot see it.

Seen, a value that an analysed index could judge makes the statement stale at every new one, and SQLite compiles it
again: that costs more than all that the statement does (docs/explanation/speed.md). It changes no result: a parameter
has no affinity of its own, and the sign does nothing. It holds no statement.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite


class HidingCompiler(SQLiteCompiler):
    """Writes `+?` for every bound parameter but the values of a list, of which SQLite has no signed one."""

    def visit_bindparam(self, bindparam: Any, *arguments: Any, **keywords: Any) -> str:
        """Write one bound parameter, hidden from the planner."""
        text = str(super().visit_bindparam(bindparam, *arguments, **keywords))  # type: ignore[no-untyped-call]
        return text if bindparam.expanding else "+" + text


class HidingDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's SQLite, but for the `+`; it is connected to nothing."""

    statement_compiler = HidingCompiler
    supports_statement_cache = False
