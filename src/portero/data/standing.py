"""Whether the caller's session stands, where no read asks it in its own statement: writes, calls, the root.

It is asked on the connection that does the work, so that it sees the same state; nothing is remembered. Obeys
docs/explanation/sessions.md and contract data.md §4.10 (PGRST303).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from portero.data.caller import ME_ID
from portero.data.dialects import Sql
from portero.errors import DataError
from portero.principal import Principal
from portero.store.driver_calls import settle
from portero.store.prepared import Prepared
from portero.store.sessions import NOW, SESSION_ID


def standing_of(standing: sa.ColumnElement[Any], sql: Sql) -> Prepared[int | None]:
    """Prepare the question; `standing` is `store.sessions.standing()`."""
    return Prepared(sa.select(standing), _only, dialect=sql.compiler)


def _only(row: list[Any]) -> int | None:
    return row[0]  # type: ignore[no-any-return]


def check_session(
    connection: sa.Connection,
    standing: Prepared[int | None],
    principal: Principal,
    now: datetime,
    *,
    with_next: bool = False,
) -> None:
    """Refuse a caller whose session has ended, or whose user is banned; one without a session passes.

    Args:
        connection: in the transaction that does the work.
        standing: what `standing_of` gave.
        principal: the caller.
        now: aware UTC.
        with_next: the refusal may come with the next statement, before anything is made of that one.

    Raises:
        DataError: PGRST303 (401).
    """
    if principal.session_id is None:
        return
    facts = {SESSION_ID: principal.session_id, ME_ID: principal.user_id, NOW: now}
    standing.judged(connection, _judge, **facts)
    if not with_next:
        settle(connection)


def _judge(found: list[int | None]) -> None:
    if found != [1]:
        raise session_ended()


def session_ended() -> DataError:
    """Make the refusal of an access token whose session has ended, or whose user is banned."""
    challenge = 'Bearer error="invalid_token", error_description="JWT session ended"'
    return DataError(401, "PGRST303", "JWT session ended", headers=[("WWW-Authenticate", challenge)])
