"""What statements share of a caller's facts, and what not."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from tests.data.scene import ANNA, NOW, SESSIONS

from portero.data.binds import Binds
from portero.data.dialects import Sql
from portero.data.parameters import Layout, layout_of
from portero.data.sqlite_sql import SqliteSql
from portero.principal import Principal
from portero.store import sessions
from portero.store.prepared import written_out
from portero.store.types import UtcDateTime

SESSION = sa.bindparam(sessions.SESSION_ID, type_=sa.Uuid())
INSTANT = sa.bindparam(sessions.NOW, type_=UtcDateTime())


def asking(sql: Sql, *binds: sa.BindParameter[Any]) -> Layout:
    compiled = sa.select(*binds).compile(dialect=sql.compiler)
    return layout_of(written_out(compiled), Binds(), compiled)


def test_a_statement_that_asks_no_instant_leaves_none_to_one_that_does() -> None:
    sql, anna = SqliteSql(), Principal("authenticated", ANNA, SESSIONS[ANNA])
    assert (SESSIONS[ANNA].hex,) == asking(sql, SESSION).complete((), anna, NOW)
    after = asking(sql, INSTANT, SESSION, INSTANT).complete((), anna, NOW)
    assert ("2026-05-01 12:00:00.000000", SESSIONS[ANNA].hex, "2026-05-01 12:00:00.000000") == after
