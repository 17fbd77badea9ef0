"""Removing what is over, so that no table grows without a bound; nothing that still counts is touched.

Sessions past their time, void counters, challenges nobody answered, factors nobody verified, links and codes, flows,
mails that are done, old audit entries, sign-ups nobody confirmed. What is over is looked for by a reader and removed in
small transactions that look again, so no writer waits long, and two sweeps at one time remove each row once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from portero.records import dataclass
from portero.store import (
    audit,
    challenges,
    counters,
    factors,
    flow_states,
    one_time_tokens,
    outbox,
    sessions,
    unconfirmed,
)
from portero.store.engine import Database
from portero.store.tables import (
    AUDIT,
    CHALLENGES,
    COUNTERS,
    FACTORS,
    FLOW_STATES,
    ONE_TIME_TOKENS,
    OUTBOX,
    Session,
)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows went."""

    sessions: int = 0
    counters: int = 0
    challenges: int = 0
    factors: int = 0
    one_time_tokens: int = 0
    flow_states: int = 0
    mails: int = 0
    audit_entries: int = 0
    unconfirmed_users: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How long what is kept; nothing is no limit.

    Attributes:
        time_box: a session, from its sign-in.
        idle: a session that is not refreshed.
        audit: an entry of the audit.
        unconfirmed: a sign-up that nobody confirmed, from its last mail.
    """

    time_box: timedelta = timedelta(0)
    idle: timedelta = timedelta(0)
    audit: timedelta = timedelta(0)
    unconfirmed: timedelta = timedelta(0)


#: Rows removed from one table in one transaction.
AT_ONCE: Final = 500
#: An enrolment that nobody finished within this is not being finished now.
_UNVERIFIED_FOR: Final = timedelta(days=1)
#: The longest link's life, and a little for its code.
_FLOW_FOR: Final = timedelta(days=2)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: How long it can be seen what became of a mail.
_MAIL_FOR: Final = timedelta(days=7)
#: The counter that says that somebody sweeps; it holds nobody's name.
_TURN: Final = "sweep"

_Over = dict[str, tuple[sa.Table, sa.ColumnElement[bool]]]


def sweep(database: Database, now: datetime, limits: Limits) -> Swept:
    """Remove whatever is over.

    Raises:
        DatabaseUnavailable: the database cannot be read or written now.
    """
    removed, left = Swept(), _over(now, limits)
    while left:
        found = _find(database, left)
        left = {name: left[name] for name, keys in found.items() if len(keys) == AT_ONCE}
        removed = _sum(removed, _remove(database, _over(now, limits), found))
    with database.writing(durable=False) as connection:
        outbox.forget_failed(connection, now)
    if not limits.unconfirmed:
        return removed
    users = unconfirmed.remove(database, now, now - limits.unconfirmed, _before(now, limits.audit))
    return replace(removed, unconfirmed_users=users)


def sweep_in_turn(database: Database, now: datetime, limits: Limits, interval: timedelta) -> Swept | None:
    """Remove whatever is over, unless somebody else did within the interval; of all who ask, one does.

    Raises:
        DatabaseUnavailable: the database cannot be read or written now.
    """
    with database.writing(durable=False) as connection:
        is_our_turn = counters.hit(connection, _TURN, 1, interval, now).allowed
    return sweep(database, now, limits) if is_our_turn else None


def _over(now: datetime, limits: Limits) -> _Over:
    aged = sessions.over(_before(now, limits.time_box), _before(now, limits.idle))
    return {
        "sessions": (Session.__table__, aged),
        "counters": (COUNTERS, counters.over(now)),
        "challenges": (CHALLENGES, challenges.over(now)),
        "factors": (FACTORS, factors.stale_before(now - _UNVERIFIED_FOR)),
        "one_time_tokens": (ONE_TIME_TOKENS, one_time_tokens.over(now)),
        "flow_states": (FLOW_STATES, flow_states.over(now - _FLOW_FOR)),
        "mails": (OUTBOX, outbox.over(now - _MAIL_FOR)),
        "audit_entries": (AUDIT, audit.over(_before(now, limits.audit))),
    }


def _find(database: Database, over: _Over) -> dict[str, Sequence[Any]]:
    with database.reading() as connection:
        return {
            name: connection.execute(sa.select(_key(table)).where(is_over).limit(AT_ONCE)).scalars().all()
            for name, (table, is_over) in over.items()
        }


def _remove(database: Database, over: _Over, found: dict[str, Sequence[Any]]) -> dict[str, int]:
    """Remove the rows that were found, those that are over still; a power cut may bring them back, over as they are."""
    found = {name: keys for name, keys in found.items() if keys}
    if not found:
        return {}
    with database.writing(durable=False) as connection:
        removed = {}
        for name, keys in found.items():
            table, is_over = over[name]
            statement = sa.delete(table).where(_key(table).in_(keys), is_over)
            removed[name] = connection.execute(statement).rowcount
        return removed


def _key(table: sa.Table) -> sa.Column[Any]:
    (key,) = table.primary_key.columns
    return key


def _sum(one: Swept, other: dict[str, int]) -> Swept:
    return Swept(**{name: getattr(one, name) + other.get(name, 0) for name in Swept.__slots__})


def _before(now: datetime, limit: timedelta) -> datetime:
    """Give the instant before which a limit is passed; without one, an instant that no row is older than."""
    return now - limit if limit > timedelta(0) else _NEVER
