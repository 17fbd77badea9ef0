"""The database held against what the users know: whose each session is, how often it was refreshed, what has ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from benchmarks.soak_load import SLACK
from portero.store.engine import Database
from portero.store.tables import AUDIT, COUNTERS, Session

#: Faults of one kind that are told.
_MOST = 5


class Ledger:
    """What is true of a database after the load.

    Args:
        url: the database.
        known: what the users know of every session: id, user, counter, reuses, opened_at, touched_at, is_over.
        time_box, idle: how long a session lives, at most and without a refresh; seconds.
        audit_kept: how long entries of the audit are kept; of sessions that are older it is not asked.
    """

    def __init__(
        self, url: str, known: Sequence[Mapping[str, Any]], time_box: float, idle: float, audit_kept: float
    ) -> None:
        self._database = Database.open(url)
        self._known = known
        self._time_box, self._idle, self._audit_kept = time_box, idle, audit_kept
        self.counts: dict[str, int] = {}

    def check(self) -> list[str]:
        """Hold sessions and audit against what is known; give what is wrong."""
        now = time.time() + SLACK
        entry = AUDIT.c
        told = sa.select(entry.happening, entry.session_id, sa.func.count()).group_by(entry.happening, entry.session_id)
        with self._database.reading() as connection:
            rows = {row.id: row for row in connection.execute(sa.select(Session.__table__))}
            audit = {(name, session_id): count for name, session_id, count in connection.execute(told)}
        self.counts = {"rows": len(rows), "entries": sum(audit.values())}
        return [
            *_told("has no row, though it stands", self._lost(rows, now)),
            *_told("has a row, though it has ended", self._risen(rows)),
            *_told("is not what its user knows", self._different(rows)),
            *_told("is nobody's", self._unknown(rows)),
            *_told("stands otherwise in the audit", self._miscounted(audit, now)),
        ]

    def check_swept(self, before: datetime) -> list[str]:
        """Look for what a sweep that began then should have taken; give what is wrong."""
        sessions, counters = Session.__table__, COUNTERS
        touched_at = sa.func.coalesce(sessions.c.refreshed_at, sessions.c.created_at, type_=sessions.c.created_at.type)
        overdue = (sessions.c.created_at < before - timedelta(seconds=self._time_box)) | (
            touched_at < before - timedelta(seconds=self._idle)
        )
        with self._database.reading() as connection:
            left = connection.execute(sa.select(sa.func.count()).select_from(sessions).where(overdue)).scalar_one()
            void = connection.execute(
                sa.select(sa.func.count()).select_from(counters).where(counters.c.window_ends_at < before)
            ).scalar_one()
            all_counters = connection.execute(sa.select(sa.func.count()).select_from(counters)).scalar_one()
        self._database.close()
        self.counts |= {"counters_after_sweep": all_counters}
        return [*_unequal("overdue sessions after a sweep", left, 0), *_unequal("void counters after a sweep", void, 0)]

    def _lost(self, rows: Mapping[UUID, Any], now: float) -> list[str]:
        standing = (each for each in self._known if not each["is_over"] and not self._may_be_over(each, now))
        return [each["id"] for each in standing if UUID(each["id"]) not in rows]

    def _may_be_over(self, session: Mapping[str, Any], now: float) -> bool:
        return now - session["opened_at"] > self._time_box or now - session["touched_at"] > self._idle

    def _risen(self, rows: Mapping[UUID, Any]) -> list[str]:
        return [each["id"] for each in self._known if each["is_over"] and UUID(each["id"]) in rows]

    def _different(self, rows: Mapping[UUID, Any]) -> list[str]:
        found = ((each, rows.get(UUID(each["id"]))) for each in self._known)
        return [
            f"{each['id']} (number {each['counter']}, in the database {row.refresh_counter} of {row.user_id})"
            for each, row in found
            if row is not None and (row.refresh_counter, str(row.user_id)) != (each["counter"], each["user"])
        ]

    def _miscounted(self, audit: Mapping[tuple[str, UUID | None], int], now: float) -> list[str]:
        names = ("signed_in", "session_refreshed", "refresh_token_reused")
        young = [each for each in self._known if now - each["opened_at"] < self._audit_kept]
        self.counts["audited"] = len(young)
        found = ((each, [audit.get((name, UUID(each["id"])), 0) for name in names]) for each in young)
        expected = ((each, counts, [1, each["counter"], each["reuses"]]) for each, counts in found)
        return [f"{each['id']} ({counts} instead of {right})" for each, counts, right in expected if counts != right]

    def _unknown(self, rows: Mapping[UUID, Any]) -> list[str]:
        return [str(each) for each in rows.keys() - {UUID(each["id"]) for each in self._known}]


def _told(what: str, sessions: Sequence[str]) -> list[str]:
    more = [f"… and {len(sessions) - _MOST} more"] if len(sessions) > _MOST else []
    return [f"session {each} {what}" for each in sessions[:_MOST]] + more


def _unequal(what: str, found: int, expected: int) -> list[str]:
    return [] if found == expected else [f"{what}: {found} instead of {expected}"]
