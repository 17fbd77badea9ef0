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
from portero.store.tables import AuditEntry, Counter, Session

#: Faults of one kind that are told.
_MOST = 5


class Ledger:
    """What is true of a database after the load.

    Args:
        url: the database.
        known: what the users know of every session: id, user, counter, opened_at, touched_at, is_over.
        time_box, idle: how long a session lives, at most and without a refresh; seconds.
    """

    def __init__(self, url: str, known: Sequence[Mapping[str, Any]], time_box: float, idle: float) -> None:
        self._database = Database.open(url)
        self._known = known
        self._time_box, self._idle = time_box, idle
        self.counts: dict[str, int] = {}

    def check(self, seen: Mapping[str, Any]) -> list[str]:
        """Hold sessions and audit against what was seen; give what is wrong."""
        with self._database.reading() as connection:
            rows = {row.id: row for row in connection.execute(sa.select(Session.__table__))}
            entries = connection.execute(
                sa.select(AuditEntry.happening, AuditEntry.session_id, sa.func.count()).group_by(
                    AuditEntry.happening, AuditEntry.session_id
                )
            ).all()
        happenings: dict[str, int] = {}
        refreshes: dict[UUID, int] = {}
        for happening, session_id, count in entries:
            happenings[happening] = happenings.get(happening, 0) + count
            if happening == "session_refreshed":
                refreshes[session_id] = count
        self.counts = {"rows": len(rows), **happenings}
        return [
            *_told("has no row, though it stands", self._lost(rows, time.time() + SLACK)),
            *_told("has a row, though it has ended", self._risen(rows)),
            *_told("is not what its user knows", self._different(rows)),
            *_told("was not refreshed as often as the audit says", self._miscounted(refreshes)),
            *self._unknown(rows),
            *_unequal("sign-ins", happenings.get("signed_in", 0), seen["sessions"]),
            *_unequal("refreshes", happenings.get("session_refreshed", 0), seen["generations"]),
            *_unequal("reuses", happenings.get("refresh_token_reused", 0), seen["reuses"]),
        ]

    def check_swept(self, before: datetime) -> list[str]:
        """Look for what a sweep that began then should have taken; give what is wrong."""
        sessions, counters = Session.__table__, Counter.__table__
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

    def _miscounted(self, refreshes: Mapping[UUID, int]) -> list[str]:
        return [
            f"{each['id']} (number {each['counter']}, in the audit {refreshes.get(UUID(each['id']), 0)})"
            for each in self._known
            if refreshes.get(UUID(each["id"]), 0) != each["counter"]
        ]

    def _unknown(self, rows: Mapping[UUID, Any]) -> list[str]:
        known = {UUID(each["id"]) for each in self._known}
        return [f"session {each} is nobody's" for each in list(rows.keys() - known)[:_MOST]]


def _told(what: str, sessions: Sequence[str]) -> list[str]:
    more = [f"… and {len(sessions) - _MOST} more"] if len(sessions) > _MOST else []
    return [f"session {each} {what}" for each in sessions[:_MOST]] + more


def _unequal(what: str, found: int, expected: int) -> list[str]:
    return [] if found == expected else [f"{what}: {found} instead of {expected}"]
