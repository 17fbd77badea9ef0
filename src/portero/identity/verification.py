"""Spending what was mailed: a link's token, or a code with the address it went to (auth.md §1.2, §4.4).

In one transaction: find, lock the user, spend by one conditional UPDATE, and make true what was proven. A wrong code
costs one of its five tries, and an address has twenty an hour and sixty a day whatever codes it asks for. Nobody is
locked out by that: tries from where its user signed in before are counted apart, and a link, which nobody can guess, is
good all the same. What is refused is refused with one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import (
    addresses,
    confirmation,
    email_change,
    flow_states,
    notices,
    one_time_links,
    sessions,
    throttle,
)
from portero.identity.context import Caller, Change, IdentityContext, Opened, SignedIn
from portero.identity.one_time_links import Purpose
from portero.records import dataclass
from portero.store import one_time_tokens, users
from portero.store.one_time_tokens import OneTimeTokenRecord
from portero.store.users import UserRecord

_CONFIRMATION: Final = (Purpose.CONFIRMATION,)
_RECOVERY: Final = (Purpose.RECOVERY,)
#: Which proofs a `type` is good for; the contract's clients may confuse those of one pair.
TYPES: Final[Mapping[str, tuple[Purpose, ...]]] = {
    "signup": _CONFIRMATION,
    "invite": _CONFIRMATION,
    "recovery": _RECOVERY,
    "magiclink": _RECOVERY,
    "email": (*_CONFIRMATION, *_RECOVERY),
    "email_change": (Purpose.EMAIL_CHANGE_CURRENT, Purpose.EMAIL_CHANGE_NEW),
}
PHONE_TYPES: Final = ("sms", "phone_change")
HALF: Final = "Confirmation link accepted. Please proceed to confirm link sent to the other email"
_BAD_CODE: Final = "Token has expired or is invalid"
_BAD_LINK: Final = "Email link is invalid or has expired"
_CODES: Final = (
    throttle.Limit("codes", 20, timedelta(hours=1)),
    throttle.Limit("codes-day", 60, timedelta(days=1)),
)
#: How many users may have asked for one new address at one time before the oldest are not looked at.
_MOST_PENDING: Final = 5


@dataclass(frozen=True, slots=True)
class HalfDone:
    """One half of an address change is proven; the other one is to follow."""


@dataclass(frozen=True, slots=True)
class CodeIssued:
    """The link continued a PKCE flow: the client exchanges this code for the session."""

    code: str


_Outcome = HalfDone | CodeIssued | Opened | AuthError


def by_link(
    context: IdentityContext, kind: str, token: str, caller: Caller, now: datetime, *, in_browser: bool = False
) -> SignedIn | HalfDone | CodeIssued:
    """Spend a link by its token.

    Args:
        kind: the `type`, a key of `TYPES`.
        token: the link's, `pkce_` included.
        in_browser: the link itself was followed, so a PKCE flow goes on with a code; a client that sends the token
            gets its session at once.

    Raises:
        AuthError: 400 validation_failed; 403 otp_expired, user_banned; 422 email_exists; 429 over_request_rate_limit.
    """
    purposes = _purposes(kind)

    def spend(change: Change) -> _Outcome:
        record = one_time_links.by_link(change, token, purposes)
        if record is None:
            return _refused(change, None, _BAD_LINK, caller, now)
        return _prove(context, change, record, _BAD_LINK, in_browser, caller, now)

    return _within_limits(context, spend, None, caller, now)


def by_code(
    context: IdentityContext, kind: str, address: str, code: str, caller: Caller, now: datetime
) -> SignedIn | HalfDone | CodeIssued:
    """Spend a code that was sent to an address.

    Args:
        kind: the `type`, a key of `TYPES`.
        address: the e-mail address, in stored form.
        code: the digits.

    Raises:
        AuthError: 400 validation_failed; 403 otp_expired, user_banned; 422 email_exists; 429 over_request_rate_limit.
    """
    purposes = _purposes(kind)

    def spend(change: Change) -> _Outcome:
        for record in one_time_tokens.by_address(change.connection, address, purposes, _MOST_PENDING):
            users.by_id(change.connection, record.user_id, lock=True)
            if one_time_links.is_right_code(context, change, record, code, now):
                return _prove(context, change, record, _BAD_CODE, False, caller, now)
        return _refused(change, None, _BAD_CODE, caller, now)

    return _within_limits(context, spend, address, caller, now)


def _purposes(kind: str) -> tuple[Purpose, ...]:
    if kind not in TYPES:
        raise AuthError(400, "validation_failed", "Invalid email verification type")
    return TYPES[kind]


def _within_limits(
    context: IdentityContext, spend: Callable[[Change], _Outcome], address: str | None, caller: Caller, now: datetime
) -> SignedIn | HalfDone | CodeIssued:
    limit = throttle.Limit("verify", context.settings.throttle_sign_in, throttle.MINUTE)
    try:
        with context.changing() as change:
            found = throttle.check_address(context, change.connection, limit, caller, now)
            if found is None and address is not None:
                found = _check_codes(context, change, address, caller, now)
            outcome = spend(change) if found is None else found.refusal
    except sa.exc.IntegrityError as cause:
        raise addresses.taken() from cause
    # Raised only here: counts and tries must outlive the refusal.
    if isinstance(outcome, AuthError):
        raise outcome
    if isinstance(outcome, Opened):
        return sessions.tokens_for(context, outcome, now)
    return outcome


def _check_codes(
    context: IdentityContext, change: Change, address: str, caller: Caller, now: datetime
) -> throttle.TooMany | None:
    """Count a code that is tried for an address, whoever it belongs to; the owner's are counted apart."""
    user = users.by_email(change.connection, address)
    if user is not None and throttle.knows(context, change.connection, user.id, caller, now):
        address = f"{address}|{addresses.network_of(caller.address)}"
    for limit in _CODES:
        found = throttle.check(context, change.connection, limit, address, now)
        if found is not None:
            return found
    return None


def _prove(
    context: IdentityContext,
    change: Change,
    record: OneTimeTokenRecord,
    refusal: str,
    in_browser: bool,
    caller: Caller,
    now: datetime,
) -> _Outcome:
    user = users.by_id(change.connection, record.user_id, lock=True)
    if user is None or user.deleted_at is not None or not _is_for(record, user):
        return _refused(change, user, refusal, caller, now)
    if sessions.is_banned(user, now):
        return AuthError(403, "user_banned", "User is banned")
    if not one_time_links.spend(change, record, now):
        return _refused(change, user, refusal, caller, now)
    was_open = user.email_confirmed_at is None
    if record.purpose in TYPES["email_change"]:
        changed = email_change.finish(context, change, user, caller, now)
        if changed is None:
            return HalfDone()
        user = changed
    else:
        user = confirmation.confirm(context, change, user, record.kind, caller, now)
    flow_id = record.flow_state_id if in_browser else None
    if record.purpose != Purpose.RECOVERY or was_open:
        one_time_links.void(change, user.id)
    code = None if flow_id is None else flow_states.issue_code(change, flow_id, now)
    if code is not None:
        return CodeIssued(code)
    throttle.attempt_was_right(context, change.connection, user.id, caller, now)
    notices.note_sign_in(context, change, user, caller, now, by_mail=True)
    signed = users.update(change.connection, user.id, now, last_sign_in_at=now) or user
    session = sessions.open_session(change, signed, "otp", caller, now)
    return Opened(sessions.account_of(change, signed), session)


def _is_for(record: OneTimeTokenRecord, user: UserRecord) -> bool:
    """Tell whether what is proven still is about the user: the address may have changed since (threats MF-20)."""
    if record.purpose == Purpose.EMAIL_CHANGE_NEW:
        return record.address == user.email_change
    return record.address == user.email


def _refused(change: Change, user: UserRecord | None, message: str, caller: Caller, now: datetime) -> AuthError:
    user_id = None if user is None else user.id
    change.record(Event(Happening.LINK_REFUSED, now, user_id, None, caller.address))
    return AuthError(403, "otp_expired", message)
