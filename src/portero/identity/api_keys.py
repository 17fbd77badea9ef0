"""Publishable and secret API keys: made, listed, revoked and looked up (contract auth.md §5).

A publishable key gives the role `anon`, a secret one `service_role`. Secret keys are asked of the database at each
use; that a publishable one is good is believed for a second, since its role is what a caller without any key has. Never
keeps a secret key in the clear: it is shown once, when it is made.
"""

from __future__ import annotations

import threading
from dataclasses import field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

import sqlalchemy as sa

from portero.crypto import api_keys as form
from portero.crypto.api_keys import ApiKeyKind
from portero.errors import InvalidToken, TokenFault
from portero.events import Event, Happening
from portero.figures import CacheFigures
from portero.principal import ANON, SERVICE_ROLE, Principal
from portero.records import dataclass
from portero.store import api_keys, audit
from portero.store.api_keys import ApiKeyRecord
from portero.store.engine import Database

BELIEVED_FOR: Final = 1.0
_MOST_REMEMBERED = 1000
_HINT_LENGTH = 4
_PRINCIPALS: Final = {"publishable": Principal(role=ANON), "secret": Principal(role=SERVICE_ROLE)}


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was just made.

    Attributes:
        record: what is kept of it.
        value: the key itself; a secret one cannot be shown again.
    """

    record: ApiKeyRecord
    value: str = field(repr=False)


class ApiKeys:
    """The API keys of one application; shared by threads.

    Args:
        database: with Portero's tables in it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._believed: dict[str, float] = {}
        self._hits = self._misses = 0

    def create(self, kind: ApiKeyKind, name: str, now: datetime, *, expires_at: datetime | None = None) -> NewApiKey:
        """Make a key.

        Args:
            kind: `publishable` or `secret`.
            name: the administrator's word for it.
            now: UTC.
            expires_at: until when it is accepted; None: until it is revoked.
        """
        with self._database.writing() as connection:
            return self._insert(connection, kind, name, now, expires_at)

    def ensure_publishable(self, now: datetime) -> str:
        """Give a publishable key that holds, the oldest; make one where there is none (once, whoever asks together)."""
        with self._database.reading() as connection:
            found = _standing_publishable(api_keys.every(connection), now)
        if found:
            return found
        with self._database.writing() as connection:
            api_keys.lock(connection)
            found = _standing_publishable(api_keys.every(connection), now)
            return found or self._insert(connection, "publishable", "default", now, None).value

    def listing(self) -> tuple[ApiKeyRecord, ...]:
        """Give every key there ever was, oldest first."""
        with self._database.reading() as connection:
            return api_keys.every(connection)

    def revoke(self, key_id: UUID, now: datetime) -> bool:
        """Refuse a key from now on (a publishable one: within a second); False where there is no such key."""
        with self._database.writing() as connection:
            done = api_keys.revoke(connection, key_id, now)
            if done:
                audit.record(connection, Event(Happening.API_KEY_REVOKED, now, details={"id": str(key_id)}))
        self._believed.clear()
        return done

    def principal(self, key: str, now: float) -> Principal:
        """Give the caller that a key stands for.

        Args:
            key: what the caller sent as `apikey`, or as Bearer beginning with `sb_`.
            now: Unix seconds.

        Raises:
            InvalidToken: `KEY`: not a key, unknown, revoked or expired.
            DatabaseUnavailable: it could not be looked up.
        """
        # Only publishable keys are remembered: being public, they may be compared and kept as they are.
        checked_at = self._believed.get(key)
        if checked_at is not None and 0 <= now - checked_at < BELIEVED_FOR:
            self._hits += 1
            return _PRINCIPALS["publishable"]
        if form.kind_of(key) is None:
            raise InvalidToken(TokenFault.KEY, "apikey")
        self._misses += 1
        with self._database.reading() as connection:
            record = api_keys.by_digest(connection, form.digest(key))
        if record is None or not _stands(record, datetime.fromtimestamp(now, UTC)):
            raise InvalidToken(TokenFault.KEY, "apikey")
        if record.kind == "publishable":
            self._believe(key, now)
        return _PRINCIPALS[record.kind]

    def figures(self) -> CacheFigures:
        """Give how often a publishable key was believed; a secret one never is."""
        return CacheFigures(self._hits, self._misses, len(self._believed), _MOST_REMEMBERED)

    def _believe(self, key: str, now: float) -> None:
        with self._lock:
            if len(self._believed) >= _MOST_REMEMBERED:
                self._believed.clear()
            self._believed[key] = now

    def _insert(
        self, connection: sa.Connection, kind: ApiKeyKind, name: str, now: datetime, expires_at: datetime | None
    ) -> NewApiKey:
        value = form.generate(kind)
        shown = value if kind == "publishable" else None
        hint = value[: len(f"sb_{kind}_") + _HINT_LENGTH]
        record = ApiKeyRecord(uuid4(), name, kind, form.digest(value), hint, shown, now, expires_at, None)
        api_keys.insert(connection, record)
        event = Event(Happening.API_KEY_CREATED, now, details={"id": str(record.id), "kind": kind, "name": name})
        audit.record(connection, event)
        return NewApiKey(record, value)


def _stands(record: ApiKeyRecord, now: datetime) -> bool:
    return record.revoked_at is None and (record.expires_at is None or now < record.expires_at)


def _standing_publishable(records: tuple[ApiKeyRecord, ...], now: datetime) -> str | None:
    return next((record.value for record in records if record.value and _stands(record, now)), None)
