"""Removing what is over: sessions past their time and void counters. Nothing that still counts is touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from portero.store import counters, sessions
from portero.store.engine import Database


@dataclass(frozen=True, slots=True)
class Swept:
    """How many rows went."""

    sessions: int
    counters: int


def sweep(database: Database, now: datetime, *, time_box: timedelta, idle: timedelta) -> Swept:
    """Remove sessions older than `time_box` or not refreshed for `idle`, and void counters.

    Raises:
        DatabaseUnavailable: the database cannot be written now.
    """
    with database.writing() as connection:
        ended = sessions.delete_overdue(connection, created_before=now - time_box, touched_before=now - idle)
        return Swept(ended, counters.sweep(connection, now))
