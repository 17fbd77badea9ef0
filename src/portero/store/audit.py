"""Rows of `portero_audit`: what happened, written in the transaction in which it becomes true. Never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portero.events import Event, Happening
from portero.ids import random_id
from portero.records import dataclass
from portero.store.prepared import inserting
from portero.store.tables import AUDIT as _TABLE

_INSERT = inserting(_TABLE)


def record(connection: sa.Connection, event: Event) -> None:
    """Write one event."""
    _INSERT.changed(
        connection,
        id=random_id(),
        happening=event.happening._value_,  # `value` is a function of Python's, and says the same
        at=event.at,
        user_id=event.user_id,
        session_id=event.session_id,
        address=event.address,
        details=dict(event.details),
    )


def over(written_before: datetime) -> sa.ColumnElement[bool]:
    """Give the condition of entries written before an instant."""
    return _TABLE.c.at < written_before


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as it stands in the table."""

    id: UUID
    event: Event


def page(
    connection: sa.Connection,
    *,
    offset: int,
    limit: int,
    user_id: UUID | None = None,
    happening: str | None = None,
) -> tuple[Sequence[Entry], int]:
    """Give one page of entries, newest first, and how many there are; of everybody and everything unless narrowed."""
    meant = sa.true() if user_id is None else _TABLE.c.user_id == user_id
    if happening is not None:
        meant &= _TABLE.c.happening == happening
    total: int = connection.execute(sa.select(sa.func.count()).select_from(_TABLE).where(meant)).scalar_one()
    query = sa.select(*_TABLE.c).where(meant).order_by(_TABLE.c.at.desc(), _TABLE.c.id).offset(offset).limit(limit)
    return [_entry(dict(row)) for row in connection.execute(query).mappings()], total


def latest(connection: sa.Connection, limit: int, *, user_id: UUID | None = None) -> Sequence[Event]:
    """Give the newest events, of everybody or of one user."""
    columns = [column for column in _TABLE.c if column.name != "id"]
    query = sa.select(*columns).order_by(_TABLE.c.at.desc(), _TABLE.c.id).limit(limit)
    if user_id is not None:
        query = query.where(_TABLE.c.user_id == user_id)
    rows = connection.execute(query).mappings()
    return [Event(**{**row, "happening": Happening(row["happening"])}) for row in rows]


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(row.pop("id"), Event(**{**row, "happening": Happening(row["happening"])}))
