"""How often codes of second factors may be tried (threats MF-03): five a challenge, twenty an hour, a hundred in a row.

A try counts before its code is looked at, and no longer once a code was right. Who knows somebody's password must not
lock them out of their second factor: tries from a network where a factor of that user was verified in the last ninety
days are counted apart.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import throttle
from portero.identity.addresses import network_of
from portero.identity.assurance import Asking
from portero.identity.context import Caller, Change, IdentityContext
from portero.identity.throttle import Limit, TooMany
from portero.store import attempts

Kind = Literal["totp", "recovery-code"]

TRIES_OF_A_CHALLENGE: Final = 5
TRIES_AN_HOUR: Final = 20
#: Within thirty days and without a right one between (NIST SP 800-63B-4 §3.2.2): guessing must not have years.
TRIES_IN_A_ROW: Final = 100
_HOUR: Final = timedelta(hours=1)
_MONTH: Final = timedelta(days=30)
_KNOWN_FOR: Final = timedelta(days=90)
_KINDS: Final[tuple[Kind, ...]] = ("totp", "recovery-code")
_LOCKED: Final = "Too many recovery codes were tried; wait, or use another factor"


def count_request(context: IdentityContext, change: Change, asking: Asking) -> AuthError | None:
    """Count a challenge or a code among those of this minute; return the refusal if it was too many."""
    limit = Limit("mfa", context.settings.throttle_mfa, throttle.MINUTE)
    return _refusal(
        change,
        asking,
        throttle.check(context, change.connection, limit, _subject(context, change.connection, asking), asking.now),
    )


def take_try(context: IdentityContext, change: Change, asking: Asking, kind: Kind) -> AuthError | None:
    """Count a try before its code is looked at; return the refusal if it was too many in this hour."""
    subject, refusal = _subject(context, change.connection, asking), None
    for limit in _limits(kind):
        refusal = refusal or _refusal(
            change, asking, throttle.check(context, change.connection, limit, subject, asking.now)
        )
    if refusal is None or kind == "totp":
        return refusal
    return AuthError(429, "mfa_recovery_codes_locked", _LOCKED, retry_after=refusal.retry_after)


def try_was_right(context: IdentityContext, change: Change, asking: Asking) -> None:
    """Forget the tries counted against the caller, and know their network from now on."""
    connection = change.connection
    subject = _subject(context, connection, asking)
    attempts.clear(connection, [name for kind in _KINDS for name in _names(context, kind, subject)])
    if network_of(asking.caller.address):
        attempts.remember(connection, _known(context, asking.user_id, asking.caller), asking.now + _KNOWN_FOR)


def forget_tries(context: IdentityContext, change: Change, asking: Asking, kind: Kind) -> None:
    """End the lock on a kind of codes, wherever they were tried from: there are new ones."""
    subjects = (str(asking.user_id), _at_known_network(asking.user_id, asking.caller))
    attempts.clear(change.connection, [name for each in subjects for name in _names(context, kind, each)])


def _refusal(change: Change, asking: Asking, found: TooMany | None) -> AuthError | None:
    if found is None:
        return None
    if found.is_first:
        address = asking.caller.address
        change.record(Event(Happening.FACTOR_THROTTLED, asking.now, asking.user_id, asking.session_id, address))
    return found.refusal


def _subject(context: IdentityContext, connection: sa.Connection, asking: Asking) -> str:
    known = _known(context, asking.user_id, asking.caller)
    if network_of(asking.caller.address) and attempts.is_known(connection, known, asking.now):
        return _at_known_network(asking.user_id, asking.caller)
    return str(asking.user_id)


def _at_known_network(user_id: UUID, caller: Caller) -> str:
    return f"{user_id}|{network_of(caller.address)}"


def _known(context: IdentityContext, user_id: UUID, caller: Caller) -> str:
    return throttle.counter_name(context, "mfa-known", _at_known_network(user_id, caller))


def _limits(kind: Kind) -> tuple[Limit, ...]:
    return Limit(f"mfa-{kind}", TRIES_AN_HOUR, _HOUR), Limit(f"mfa-{kind}-row", TRIES_IN_A_ROW, _MONTH)


def _names(context: IdentityContext, kind: Kind, subject: str) -> list[str]:
    return [throttle.counter_name(context, limit.name, subject) for limit in _limits(kind)]
