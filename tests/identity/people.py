"""What the tests of identity and web share: a context, a clock, people and what was written about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from portero.crypto.claims import Issuing
from portero.crypto.passwords import Passwords
from portero.identity import sign_up
from portero.identity.access_tokens import AccessTokens
from portero.identity.api_keys import ApiKeys
from portero.identity.context import Caller, IdentityContext, SignedIn
from portero.identity.keys import KeyRing
from portero.settings import Settings
from portero.store import audit
from portero.store.engine import Database

SECRET = "W0n7-tEll-4nyb0dy-th15-0ne-1s-f0r-7h3-t3sts"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
HOME = Caller("192.0.2.1", "tests")
ELSEWHERE = Caller("198.51.100.9", "tests")
PASSWORD = "seven wet stones"


def context_on(database: Database, now: datetime | None = NOW, **settings: Any) -> IdentityContext:
    """Open a context: tiny hashes, one secret, limits as given."""
    keyring = KeyRing.open(database, SECRET, now=(now or datetime.now(UTC)).timestamp())
    issuing = Issuing("http://127.0.0.1:8000/auth/v1")
    return IdentityContext(
        database=database,
        settings=Settings(**settings),
        keyring=keyring,
        access_tokens=AccessTokens(keyring, issuing),
        api_keys=ApiKeys(database),
        passwords=Passwords(4, time_cost=1, memory_cost=8),
    )


def with_settings(context: IdentityContext, **settings: Any) -> IdentityContext:
    """Return the same context under other settings."""
    return replace(context, settings=replace(context.settings, **settings))


def signed_up(
    context: IdentityContext, email: str = "ann@example.org", now: datetime = NOW, caller: Caller = HOME
) -> SignedIn:
    """Sign somebody up."""
    form = sign_up.Form(email=email, password=PASSWORD)
    return sign_up.with_password(context, form, caller, now)


def happenings(context: IdentityContext) -> list[str]:
    """Return what happened, oldest first; things of one instant in the order of their names."""
    with context.database.reading() as connection:
        events = audit.latest(connection, 1000)
    return [event.happening.value for event in sorted(events, key=lambda event: (event.at, event.happening.value))]
