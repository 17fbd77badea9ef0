"""Removing what is over: sessions past their time, void counters, challenges nobody answered, factors nobody verified.

Nothing that still counts is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from portero.store import challenges, counters, factors, flow_states, one_time_tokens, outbox, sessions
from portero.store.engine import Database


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows went."""

    sessions: int
    counters: int
    challenges: int = 0
    factors: int = 0
    one_time_tokens: int = 0
    flow_states: int = 0
    mails: int = 0


#: An enrolment that nobody finished within this is not being finished now.
_UNVERIFIED_FOR: Final = timedelta(days=1)
#: The longest link's life, and a little for its code.
_FLOW_FOR: Final = timedelta(days=2)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: How long it can be seen what became of a mail.
_MAIL_FOR: Final = timedelta(days=7)


def sweep(database: Database, now: datetime, *, time_box: timedelta, idle: timedelta) -> Swept:
    """Remove sessions older than `time_box` or not refreshed for `idle`, and whatever else is over.

    Args:
        time_box, idle: as the settings say; 0 is no limit.

    Raises:
        DatabaseUnavailable: the database cannot be written now.
    """
    with database.writing() as connection:
        ended = sessions.delete_overdue(
            connection, created_before=_before(now, time_box), touched_before=_before(now, idle)
        )
        asked = challenges.sweep(connection, now)
        stale = factors.delete_stale(connection, now - _UNVERIFIED_FOR)
        return Swept(
            ended,
            counters.sweep(connection, now),
            asked,
            stale,
            one_time_tokens.sweep(connection, now),
            flow_states.sweep(connection, now - _FLOW_FOR),
            outbox.sweep(connection, now - _MAIL_FOR),
        )


def _before(now: datetime, limit: timedelta) -> datetime:
    """Give the instant before which a limit is passed; without one, an instant that no row is older than."""
    return now - limit if limit > timedelta(0) else _NEVER
