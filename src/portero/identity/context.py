"""What every identity function stands on, and what a sign-in gives back.

`IdentityContext` is the first argument of every function in `identity`. It holds no request and no user. Changes are
made through `IdentityContext.changing()`: rows and their audit entries in one transaction, log lines after its commit.
It never holds a password.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa

from portero import deadline
from portero.crypto.derived_keys import ONE_TIME_CODES, REFRESH_TOKEN_MAC, SEAL_OUTBOX, THROTTLE
from portero.crypto.passwords import Passwords
from portero.events import Event, Happening
from portero.identity.access_tokens import AccessTokens
from portero.identity.api_keys import ApiKeys
from portero.identity.hooks import AfterUserCreated, Hooks, Point
from portero.identity.keys import KeyRing
from portero.identity.mail_templates import Templates
from portero.records import dataclass
from portero.settings import Settings
from portero.store import audit, users
from portero.store.engine import Database
from portero.store.factors import FactorRecord
from portero.store.group_commit import Undo
from portero.store.identities import IdentityRecord
from portero.store.sessions import SessionRecord
from portero.store.users import UserRecord

LOG = logging.getLogger("portero.audit")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a request came from.

    Attributes:
        address: the caller's network address as text, behind the configured proxies; "" for the command line.
        user_agent: the `User-Agent` header, cut to 255 characters.
        languages: the `Accept-Language` header, cut likewise; mails to who has not said which one are in it.
    """

    address: str = ""
    user_agent: str = ""
    languages: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One transaction of `identity`: its connection, and what becomes true when it commits: events, mails to send."""

    connection: sa.Connection
    events: list[Event] = field(default_factory=list)
    mails: list[UUID] = field(default_factory=list)

    def record(self, event: Event) -> None:
        """Write `event` to the audit table; its log line follows the commit."""
        audit.record(self.connection, event)
        self.events.append(event)


class Bell:
    """How a committed mail wakes who sends mails, without the one knowing the other; silent until somebody listens."""

    def __init__(self) -> None:
        self._answer: Callable[[], None] | None = None

    def answered_by(self, answer: Callable[[], None] | None) -> None:
        """Name who listens; None for nobody."""
        self._answer = answer

    def ring(self) -> None:
        """Wake who listens."""
        if self._answer is not None:
            self._answer()


@dataclass(frozen=True, slots=True)
class IdentityContext:
    """Everything `identity` needs, opened once at freeze.

    Attributes:
        database: where users and sessions are kept.
        settings: the frozen settings.
        keyring: the keys that sign and verify access tokens.
        access_tokens: mints and verifies them.
        api_keys: publishable and secret keys.
        passwords: hashes and verifies passwords, a bounded number at a time.
        mail_templates: the texts of mails.
        mail_bell: rung when a mail was written, for who sends them.
        hooks: the developer's functions that are asked or told.
    """

    database: Database
    settings: Settings
    keyring: KeyRing
    access_tokens: AccessTokens
    api_keys: ApiKeys
    passwords: Passwords
    mail_templates: Templates = field(default_factory=Templates)
    mail_bell: Bell = field(default_factory=Bell)
    hooks: Hooks = field(default_factory=Hooks)

    @property
    def refresh_mac_keys(self) -> tuple[bytes, ...]:
        """The keys of refresh tokens: the first one makes new tokens, all verify (rotation)."""
        return self.keyring.derived(REFRESH_TOKEN_MAC)

    @property
    def throttle_key(self) -> bytes:
        """The key of counter names: they are MACs, so that no stranger's address is stored."""
        return self.keyring.derived(THROTTLE)[0]

    @property
    def code_keys(self) -> tuple[bytes, ...]:
        """The keys of mailed codes: the first one makes new MACs, all verify."""
        return self.keyring.derived(ONE_TIME_CODES)

    @property
    def outbox_keys(self) -> tuple[bytes, ...]:
        """The keys that seal mails until they are sent: the first one seals, all open."""
        return self.keyring.derived(SEAL_OUTBOX)

    @contextmanager
    def changing(self, *, durable: bool = True) -> Iterator[Change]:
        """Open one transaction; an exception rolls rows and audit entries back, and logs nothing.

        Args:
            durable: wait for the disk; not needed for counters alone, which a power cut may forget.
        """
        with self.database.writing(durable=durable) as connection:
            change = Change(connection)
            yield change
        self._tell(change)

    def change_together(self, work: Callable[[Change], Made], *, undo: Undo = Undo.SAVEPOINT) -> Made:
        """Do a short piece of work in a transaction that others may share, as `Database.write_together`.

        Raises:
            DatabaseUnavailable: the database cannot be written now.
            Exception: what the work raises; nothing of it is kept then.
        """

        def done(connection: sa.Connection) -> tuple[Change, Made]:
            change = Change(connection)
            return change, work(change)

        change, made = self.database.write_together(done, undo=undo)
        self._tell(change)
        return made

    def _tell(self, change: Change) -> None:
        """Say what was committed to the log, to who sends mails, and to hooks."""
        for event in change.events if LOG.isEnabledFor(logging.INFO) else ():
            LOG.info("%s", line_of(event))
        if change.mails:
            self.mail_bell.ring()
        if self.hooks.has(Point.AFTER_USER_CREATED):
            with deadline.lifted():  # it is done: hooks are told, however late
                self._tell_of_new_users(change.events)

    def _tell_of_new_users(self, events: Iterable[Event]) -> None:
        """Run the hooks after a commit: they see what is true, and hold up no writer."""
        for event in events:
            if event.happening is not Happening.USER_CREATED or event.user_id is None:
                continue
            with self.database.reading() as connection:
                user = users.by_id(connection, event.user_id)
            if user is not None:
                self.hooks.run(Point.AFTER_USER_CREATED, AfterUserCreated(replace(user, password_hash=None)))


@dataclass(frozen=True, slots=True)
class Account:
    """A user with the external and e-mail identities, and the second factors, that belong to them."""

    user: UserRecord
    identities: tuple[IdentityRecord, ...] = ()
    factors: tuple[FactorRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that was opened, advanced or raised, and its user: what tokens are made for after the commit."""

    account: Account
    session: SessionRecord


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in, sign-up or refresh gives back.

    Attributes:
        account: the user.
        session: the session that was opened or advanced.
        access_token: a JWT.
        refresh_token: opaque; the only one of the session that stands, next to its direct parent.
        issued_at: when the access token was made; `expires_at` minus this is `expires_in`.
        expires_at: when the access token expires.
        weak_password: why the password that was just used would be refused today; empty if it would not.
    """

    account: Account
    session: SessionRecord
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime
    weak_password: tuple[str, ...] = ()

    @property
    def user(self) -> UserRecord:
        """The user who signed in."""
        return self.account.user

    @property
    def expires_in(self) -> int:
        """Seconds the access token lives."""
        return int(self.expires_at.timestamp()) - int(self.issued_at.timestamp())


def line_of(event: Event) -> str:
    """Write an event as one line of JSON: nothing a caller sends can break it in two (ASCII only)."""
    members: dict[str, object] = {"happening": event.happening.value, "at": event.at.isoformat()}
    if event.user_id is not None:
        members["user_id"] = str(event.user_id)
    if event.session_id is not None:
        members["session_id"] = str(event.session_id)
    if event.address:
        members["address"] = event.address
    return json.dumps({**members, **event.details}, ensure_ascii=True)
