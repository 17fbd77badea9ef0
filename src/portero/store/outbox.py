"""Rows of `portero_outbox`: mails, sealed, from the transaction that wants them until they are sent.

`next_try_at` is when a mail is due, and the lease of who sends it: claiming moves it into the future by one
conditional UPDATE, so of several workers one sends, and what a dead worker claimed is due again later. A sent mail's
text is removed, except where a local mail box shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from datetime import datetime
from typing import Final, Literal
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.records import dataclass
from portero.store.tables import OUTBOX as _TABLE

State = Literal["waiting", "failed", "sent"]
_STATES: Final[Mapping[State, sa.ColumnElement[bool]]] = {
    "waiting": _TABLE.c.next_try_at.is_not(None),
    "failed": _TABLE.c.failed_at.is_not(None),
    "sent": _TABLE.c.sent_at.is_not(None),
}
STATES: Final = tuple(_STATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMailRecord:
    """One mail.

    Attributes:
        kind: which template it was made from.
        sealed_message: address, subject and text; None when they were removed.
        expires_at: after this it is not worth sending: its link is void.
        next_try_at: when it is due; None when nothing more is to be done.
        tries: how often sending it was begun.
        sent_at, failed_at: when it was sent, or given up.
        last_fault: why the last try failed; holds no address.
    """

    id: UUID = field(default_factory=uuid4)
    user_id: UUID | None
    kind: str
    sealed_message: bytes | None = field(repr=False)
    created_at: datetime
    expires_at: datetime
    next_try_at: datetime | None
    tries: int = 0
    sent_at: datetime | None = None
    failed_at: datetime | None = None
    last_fault: str = ""

    @property
    def state(self) -> State:
        """What became of it."""
        return "sent" if self.sent_at else "failed" if self.failed_at else "waiting"


def insert(connection: sa.Connection, mail: OutgoingMailRecord) -> None:
    """Insert a mail."""
    connection.execute(sa.insert(_TABLE).values(asdict(mail)))


def due(connection: sa.Connection, now: datetime, limit: int) -> Sequence[OutgoingMailRecord]:
    """Give the mails that are due, oldest first."""
    query = sa.select(*_TABLE.c).where(_TABLE.c.next_try_at <= now).order_by(_TABLE.c.next_try_at, _TABLE.c.id)
    return _all(connection, query.limit(limit))


def latest(connection: sa.Connection, limit: int) -> Sequence[OutgoingMailRecord]:
    """Give the newest mails, whatever became of them."""
    return _all(connection, sa.select(*_TABLE.c).order_by(_TABLE.c.created_at.desc(), _TABLE.c.id).limit(limit))


def has_waiting(connection: sa.Connection, created_before: datetime) -> bool:
    """Tell whether a mail that was written before an instant still waits to be sent."""
    waits = _TABLE.c.next_try_at.is_not(None) & (_TABLE.c.created_at < created_before)
    return connection.execute(sa.select(_TABLE.c.id).where(waits).limit(1)).first() is not None


def claim(connection: sa.Connection, mail: OutgoingMailRecord, until: datetime) -> bool:
    """Take a due mail until an instant: true for exactly one of all who saw it due."""
    unclaimed = (_TABLE.c.id == mail.id) & (_TABLE.c.next_try_at == mail.next_try_at)
    statement = sa.update(_TABLE).where(unclaimed).values(next_try_at=until, tries=_TABLE.c.tries + 1)
    return connection.execute(statement).rowcount == 1


def note_sent(connection: sa.Connection, mail_id: UUID, now: datetime, *, keep_text: bool) -> None:
    """Write down that a mail was sent, and remove its text."""
    values = {"sent_at": now, "next_try_at": None, "last_fault": ""}
    removed = {} if keep_text else {"sealed_message": None}
    connection.execute(sa.update(_TABLE).where(_TABLE.c.id == mail_id).values({**values, **removed}))


def note_fault(connection: sa.Connection, mail_id: UUID, fault: str, next_try_at: datetime) -> None:
    """Write down why a try failed, and when the next one is."""
    values = {"next_try_at": next_try_at, "last_fault": fault}
    connection.execute(sa.update(_TABLE).where(_TABLE.c.id == mail_id).values(values))


def give_up(connection: sa.Connection, mail_id: UUID, fault: str, now: datetime, *, keep_text: bool) -> None:
    """Write down that a mail will not be sent; its text is kept if somebody may want to try it again."""
    values = {"failed_at": now, "next_try_at": None, "last_fault": fault}
    removed = {} if keep_text else {"sealed_message": None}
    connection.execute(sa.update(_TABLE).where(_TABLE.c.id == mail_id).values({**values, **removed}))


def retry(connection: sa.Connection, now: datetime, mail_id: UUID | None = None) -> int:
    """Make a mail due now that waits or was given up, or all of those; give how many.

    Not those whose text is gone or whose time is over. Tries are counted anew, and so are the pauses between them.
    """
    can = _TABLE.c.sent_at.is_(None) & _TABLE.c.sealed_message.is_not(None) & (_TABLE.c.expires_at > now)
    if mail_id is not None:
        can &= _TABLE.c.id == mail_id
    values = {"next_try_at": now, "failed_at": None, "tries": 0}
    return connection.execute(sa.update(_TABLE).where(can).values(values)).rowcount


def page(
    connection: sa.Connection, state: State | None, *, offset: int = 0, limit: int = 50
) -> Sequence[OutgoingMailRecord]:
    """Give one page of the mails in a state, or of all, newest first; without their texts."""
    columns = [sa.null().label(each.name) if each.name == "sealed_message" else each for each in _TABLE.c]
    query = sa.select(*columns).where(sa.true() if state is None else _STATES[state])
    return _all(connection, query.order_by(_TABLE.c.created_at.desc(), _TABLE.c.id).offset(offset).limit(limit))


def counts(connection: sa.Connection) -> Mapping[State, int]:
    """Give how many mails are in which state."""
    query = sa.select(*(sa.func.count().filter(condition) for condition in _STATES.values())).select_from(_TABLE)
    return dict(zip(_STATES, connection.execute(query).one(), strict=True))


def forget_failed(connection: sa.Connection, now: datetime) -> None:
    """Remove the texts of mails that were given up and whose time is over: nobody can try them again."""
    gone = _TABLE.c.failed_at.is_not(None) & (_TABLE.c.expires_at <= now) & _TABLE.c.sealed_message.is_not(None)
    connection.execute(sa.update(_TABLE).where(gone).values(sealed_message=None))


def over(created_before: datetime) -> sa.ColumnElement[bool]:
    """Give the condition of mails written before an instant for which nothing more is to be done."""
    return (_TABLE.c.created_at < created_before) & _TABLE.c.next_try_at.is_(None)


def _all(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> Sequence[OutgoingMailRecord]:
    return [OutgoingMailRecord(**row) for row in connection.execute(query).mappings()]
