"""How often somebody may try (threats CR-05 to CR-10, contract auth.md §3.4); counters are shared by all workers.

Two limits. *Per address*: so many in a window from one IPv4 address or IPv6 /64. *Per account*: five attempts in a
row are free, then each waits longer (1, 2, 4 … 900 seconds), and after a hundred in a row nothing more is tried for
thirty days. An attempt counts before the password is looked at, and no longer once it was right.

The account's delay must not lock its owner out. So attempts from an address that the account signed in from in the
last ninety days are counted apart, for that address alone, and thirty are free: a stranger elsewhere cannot make the
owner wait there. And a sign-in from such an address, or a new password set by an administrator, ends the delay for
everybody.

A name that is no account is counted alike, so that a 429 says nothing. Counter names are MACs: the table holds no
address of anybody.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from portero.crypto.macs import mac_with
from portero.errors import AuthError
from portero.figures import kept
from portero.identity.addresses import network_of
from portero.identity.context import Caller, IdentityContext
from portero.records import dataclass
from portero.store import attempts, counters

LOG: Final = logging.getLogger("portero.limits")
MINUTE: Final = timedelta(minutes=1)
FREE_ATTEMPTS: Final = 5
FREE_AT_KNOWN_ADDRESS: Final = 30
_LONGEST_DELAY: Final = timedelta(seconds=900)
_HARD_STOP: Final = 100
_KNOWN_FOR: Final = timedelta(days=90)
_HOUR: Final = timedelta(hours=1)
#: The count of the first mail that is too many.
_SECOND: Final = 2
_SIGN_UP_KNOWN_FOR: Final = timedelta(days=1)
#: Characters of what is counted that is kept with its name: somebody may sign in with any text.
_LONGEST_KEPT: Final = 512
_MESSAGE: Final = "Request rate limit reached"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many in a window.

    Attributes:
        name: what is counted; part of the counter's name.
        most: how many are allowed; 0 allows any number.
        window: the time they are counted in.
    """

    name: str
    most: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class TooMany:
    """A limit that was passed.

    Attributes:
        refusal: what the caller is told.
        is_first: nobody was refused before in this window, so it is worth an entry in the audit; later ones are not,
            or a flood would fill the disk.
    """

    refusal: AuthError
    is_first: bool


def delay_after(count: int, free: int = FREE_ATTEMPTS) -> timedelta:
    """Return how long the next attempt waits after `count` failures in a row, of which `free` cost nothing.

    >>> [delay_after(count).total_seconds() for count in (4, 5, 6, 7, 30, 100)]
    [0.0, 1.0, 2.0, 4.0, 900.0, 2592000.0]
    """
    if count < free:
        return timedelta(0)
    if count >= _HARD_STOP:
        return attempts.KEPT
    return min(timedelta(seconds=1 << min(count - free, 10)), _LONGEST_DELAY)


def check(
    context: IdentityContext, connection: sa.Connection, limit: Limit, subject: str, now: datetime
) -> TooMany | None:
    """Count one, inside the caller's transaction; return the refusal if it was too many.

    The refusal is returned, not raised, because raising would undo the count with the transaction.
    """
    if limit.most == 0:
        return None
    hit = counters.hit(connection, counter_name(context, limit.name, subject), limit.most, limit.window, now)
    if hit.allowed:
        return None
    is_first = hit.count == limit.most + 1
    if is_first:
        _log(limit.name)
    return TooMany(_come_back(hit.expires_at - now), is_first)


def check_address(
    context: IdentityContext, connection: sa.Connection, limit: Limit, caller: Caller, now: datetime
) -> TooMany | None:
    """Count one for the caller's network; the command line, which has none, is not counted."""
    network = network_of(caller.address)
    return check(context, connection, limit, network, now) if network else None


def check_mail(
    context: IdentityContext, connection: sa.Connection, what: str, address: str, now: datetime
) -> AuthError | None:
    """Count one mail of a kind to an address, known or not; return the refusal if there was one within the minute.

    Also if all callers together caused too many within the hour, where a setting bounds that.
    """
    refusal = check_notice(context, connection, what, address, now)
    if refusal is not None:
        return refusal
    limit = Limit("mails", context.settings.mails_per_hour, _HOUR)
    found = check(context, connection, limit, "", now)
    if found is None:
        return None
    message = "email rate limit exceeded"
    return AuthError(429, "over_email_send_rate_limit", message, retry_after=found.refusal.retry_after)


def check_notice(
    context: IdentityContext, connection: sa.Connection, what: str, address: str, now: datetime
) -> AuthError | None:
    """Count one mail that strangers cannot cause: it has no part in the limit of all mails, which they can use up."""
    hit = counters.hit(connection, counter_name(context, f"mail-{what}", address), 1, MINUTE, now)
    seconds = _seconds(hit.expires_at - now)
    if not hit.allowed:
        if hit.count == _SECOND:
            _log(f"mail-{what}")
        message = f"For security purposes, you can only request this after {seconds} seconds."
        return AuthError(429, "over_email_send_rate_limit", message, retry_after=seconds)
    return None


def take_attempt(
    context: IdentityContext, connection: sa.Connection, account: str, caller: Caller, now: datetime
) -> TooMany | None:
    """Take one attempt on an account before its password is looked at; return the refusal if it has to wait.

    Args:
        account: `account_of` the user, or `stranger_of` a name that is none.
    """
    names = [counter_name(context, "attempts", account)]
    if network_of(caller.address):
        names += [_known(context, account, caller), _known_attempts(context, account, caller)]
    found = attempts.read_all(connection, names, now)
    is_known = any(name in found for name in names[1:2])
    name, free = (names[2], FREE_AT_KNOWN_ADDRESS) if is_known else (names[0], FREE_ATTEMPTS)
    while True:
        seen = found.get(name, attempts.NONE)
        waits = delay_after(seen.count, free)
        # Without a wait nothing is compared: who began earlier may count later, and another node's clock may be ahead.
        if waits and seen.last_at is not None and now < seen.last_at + waits:
            # Bounded by the address's own limit, so each of them may stand in the audit.
            return TooMany(_come_back(seen.last_at + waits - now), is_first=True)
        if attempts.take(connection, name, seen, now):
            return None
        found = attempts.read_all(connection, [name], now)


def attempt_was_right(
    context: IdentityContext, connection: sa.Connection, user_id: UUID, caller: Caller, now: datetime
) -> None:
    """Forget the failures of an account, and know the caller's address from now on."""
    account = account_of(user_id)
    attempts.clear(connection, [counter_name(context, "attempts", account), _known_attempts(context, account, caller)])
    if network_of(caller.address):
        attempts.remember(connection, _known(context, account, caller), now + _KNOWN_FOR)


def knows(context: IdentityContext, connection: sa.Connection, user_id: UUID, caller: Caller, now: datetime) -> bool:
    """Tell whether a user signed in from the caller's network in the last ninety days."""
    name = _known(context, account_of(user_id), caller)
    return bool(network_of(caller.address)) and attempts.is_known(connection, name, now)


def know_sign_up(
    context: IdentityContext, connection: sa.Connection, email: str, caller: Caller, now: datetime
) -> None:
    """Remember from which network an address was signed up with, as long as its link is good."""
    attempts.remember(connection, _signed_up(context, email, caller), now + _SIGN_UP_KNOWN_FOR)


def knows_sign_up(
    context: IdentityContext, connection: sa.Connection, email: str, caller: Caller, now: datetime
) -> bool:
    """Tell whether an address was signed up with from the caller's network before."""
    return attempts.is_known(connection, _signed_up(context, email, caller), now)


def forget_attempts(context: IdentityContext, connection: sa.Connection, user_id: UUID) -> None:
    """End the delay of an account: an administrator set a new password."""
    attempts.clear(connection, [counter_name(context, "attempts", account_of(user_id))])


def account_of(user_id: UUID) -> str:
    """Return what an existing account is counted by, whichever of its names was typed."""
    return f"user:{user_id}"


def stranger_of(login: str) -> str:
    """Return what a name that belongs to nobody is counted by."""
    return f"name:{login}"


def _come_back(wait: timedelta) -> AuthError:
    """Return 429 with the seconds to wait, at least one."""
    return AuthError(429, "over_request_rate_limit", _MESSAGE, retry_after=_seconds(wait))


def _seconds(wait: timedelta) -> int:
    return max(1, -(-wait // timedelta(seconds=1)))


def _log(name: str) -> None:
    """Say which limit was reached, once in its window, and not by whom."""
    LOG.warning("the limit %s was reached", name)


def _signed_up(context: IdentityContext, email: str, caller: Caller) -> str:
    return counter_name(context, "signed-up", f"{email}|{network_of(caller.address)}")


def _known(context: IdentityContext, account: str, caller: Caller) -> str:
    return counter_name(context, "known", f"{account}|{network_of(caller.address)}")


def _known_attempts(context: IdentityContext, account: str, caller: Caller) -> str:
    return counter_name(context, "known-attempts", f"{account}|{network_of(caller.address)}")


def counter_name(context: IdentityContext, what: str, subject: str) -> str:
    """Return the name of a counter: a MAC over what is counted and whom it is counted for."""
    make = _name_of if len(subject) <= _LONGEST_KEPT else _name_of.__wrapped__
    return make(context.throttle_key, what, subject)


# A sign-in asks for its names before the password is looked at, and again when it was right.
@kept("counter_names", 256)
def _name_of(key: bytes, what: str, subject: str) -> str:
    return f"{what}:{mac_with(key).of(f'{what}|{subject}'.encode())[:16].hex()}"
