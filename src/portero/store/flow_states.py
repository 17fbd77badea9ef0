"""Rows of `portero_flow_states`: a PKCE flow gets one code, and the code is exchanged once. No code is kept."""

from __future__ import annotations

from dataclasses import asdict, field
from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.tables import FLOW_STATES as _TABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStateRecord:
    """One PKCE flow.

    Attributes:
        authentication_method: what the session's `amr` will say.
        code_challenge, code_challenge_method: of the client; `s256` or `plain`.
        code_digest, code_issued_at: of the code, once its link was followed.
        spent_at: when the code was exchanged, or None.
    """

    id: UUID = field(default_factory=uuid4)
    user_id: UUID
    authentication_method: str
    code_challenge: str
    code_challenge_method: str
    created_at: datetime
    code_digest: str | None = field(default=None, repr=False)
    code_issued_at: datetime | None = None
    spent_at: datetime | None = None


def insert(connection: sa.Connection, flow: FlowStateRecord) -> FlowStateRecord:
    """Insert a flow."""
    connection.execute(sa.insert(_TABLE).values(asdict(flow)))
    return flow


def by_code(connection: sa.Connection, digest: str) -> FlowStateRecord | None:
    """Find the flow whose code has this digest."""
    row = connection.execute(sa.select(*_TABLE.c).where(_TABLE.c.code_digest == digest)).mappings().one_or_none()
    return None if row is None else FlowStateRecord(**row)


def issue(connection: sa.Connection, flow_id: UUID, digest: str, now: datetime) -> bool:
    """Give a flow its code; false if it has one, or is gone."""
    fresh = (_TABLE.c.id == flow_id) & _TABLE.c.code_digest.is_(None)
    statement = sa.update(_TABLE).where(fresh).values(code_digest=digest, code_issued_at=now)
    return connection.execute(statement).rowcount == 1


def spend(connection: sa.Connection, flow_id: UUID, now: datetime) -> bool:
    """Mark a code as exchanged: true for exactly one of all who try it at one time."""
    standing = (_TABLE.c.id == flow_id) & _TABLE.c.spent_at.is_(None)
    return connection.execute(sa.update(_TABLE).where(standing).values(spent_at=now)).rowcount == 1


def delete_issued(connection: sa.Connection, user_id: UUID) -> int:
    """Remove a user's flows whose code waits to be exchanged; give how many."""
    waits = _TABLE.c.code_digest.is_not(None) & _TABLE.c.spent_at.is_(None)
    return connection.execute(sa.delete(_TABLE).where(_TABLE.c.user_id == user_id, waits)).rowcount


def over(created_before: datetime) -> sa.ColumnElement[bool]:
    """Give the condition of flows that began before an instant."""
    return _TABLE.c.created_at < created_before
