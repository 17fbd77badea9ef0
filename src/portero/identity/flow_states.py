"""PKCE: a client's challenge at the start, a code when its link was followed, a session for code and verifier.

The code is good for five minutes from when it was issued, not from the start of the flow: who reads a mail late is not
punished (contract auth.md §7). A wrong verifier does not spend the code; exactly one exchange does. Obeys RFC 7636.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final, cast
from uuid import UUID, uuid4

from portero.crypto import one_time_codes
from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import notices, sessions, throttle
from portero.identity.context import Caller, Change, IdentityContext, Opened, SignedIn
from portero.identity.sessions import Method
from portero.records import dataclass
from portero.store import flow_states, users
from portero.store.flow_states import FlowStateRecord

CODE_LIFETIME: Final = timedelta(minutes=5)
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_NOT_FOUND: Final = "invalid flow state, no valid flow state found"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a client sends at the start of a PKCE flow; `method` is `s256` or `plain`."""

    challenge: str
    method: str


def read_challenge(challenge: str | None, method: str | None) -> Challenge | None:
    """Check the pair of PKCE fields; None without them.

    >>> read_challenge("a" * 43, "S256").method, read_challenge(None, None)
    ('s256', None)

    Raises:
        AuthError: 400 validation_failed.
    """
    if bool(challenge) != bool(method):
        message = "PKCE flow requires code_challenge_method and code_challenge"
        raise AuthError(400, "validation_failed", message)
    if not challenge or not method:
        return None
    if _CHALLENGE.fullmatch(challenge) is None:
        raise AuthError(400, "validation_failed", "code challenge has to be between 43 and 128 URL-safe characters")
    if method.lower() not in ("s256", "plain"):
        raise AuthError(400, "validation_failed", "Invalid code challenge method")
    return Challenge(challenge, method.lower())


def start(change: Change, user_id: UUID, challenge: Challenge, method: Method, now: datetime) -> FlowStateRecord:
    """Write a flow; its session's `amr` will say `method`."""
    return flow_states.insert(
        change.connection,
        FlowStateRecord(
            user_id=user_id,
            authentication_method=method,
            code_challenge=challenge.challenge,
            code_challenge_method=challenge.method,
            created_at=now,
        ),
    )


def issue_code(change: Change, flow_id: UUID, now: datetime) -> str | None:
    """Make the code of a flow; None if the flow is gone or has one."""
    code = str(uuid4())
    return code if flow_states.issue(change.connection, flow_id, one_time_codes.digest(code), now) else None


def void_codes(change: Change, user_id: UUID) -> None:
    """Void the codes of a user that were issued and not exchanged yet."""
    flow_states.delete_issued(change.connection, user_id)


def exchange(context: IdentityContext, code: str, verifier: str, caller: Caller, now: datetime) -> SignedIn:
    """Exchange a code and its verifier for a session.

    Raises:
        AuthError: 400 validation_failed, bad_code_verifier, user_banned; 404 flow_state_not_found (unknown or used);
            422 flow_state_expired; 429 over_request_rate_limit.
    """
    if not code or not verifier:
        message = "invalid request: both auth code and code verifier should be non-empty"
        raise AuthError(400, "validation_failed", message)
    limit = throttle.Limit("exchange", context.settings.throttle_sign_in, throttle.MINUTE)
    with context.changing() as change:
        found = throttle.check_address(context, change.connection, limit, caller, now)
        outcome = found.refusal if found is not None else _exchange(context, change, code, verifier, caller, now)
    # Raised only here: the count must outlive the refusal.
    if isinstance(outcome, AuthError):
        raise outcome
    return sessions.tokens_for(context, outcome, now)


def _exchange(
    context: IdentityContext, change: Change, code: str, verifier: str, caller: Caller, now: datetime
) -> Opened | AuthError:
    flow = flow_states.by_code(change.connection, one_time_codes.digest(code))
    if flow is None or flow.code_issued_at is None or flow.spent_at is not None:
        return AuthError(404, "flow_state_not_found", _NOT_FOUND)
    if flow.code_issued_at + CODE_LIFETIME <= now:
        return AuthError(422, "flow_state_expired", "invalid flow state, flow state has expired")
    if not one_time_codes.fits_challenge(verifier, flow.code_challenge, flow.code_challenge_method):
        change.record(Event(Happening.LINK_REFUSED, now, flow.user_id, None, caller.address, {"why": "verifier"}))
        message = "code challenge does not match previously saved code verifier"
        return AuthError(400, "bad_code_verifier", message)
    user = users.by_id(change.connection, flow.user_id, lock=True)
    if user is None or user.deleted_at is not None:
        return AuthError(404, "flow_state_not_found", _NOT_FOUND)
    if sessions.is_banned(user, now):
        return AuthError(400, "user_banned", "User is banned")
    if not flow_states.spend(change.connection, flow.id, now):
        return AuthError(404, "flow_state_not_found", _NOT_FOUND)
    notices.note_sign_in(context, change, user, caller, now, by_mail=True)
    signed = users.update(change.connection, user.id, now, last_sign_in_at=now) or user
    session = sessions.open_session(change, signed, cast("Method", flow.authentication_method), caller, now)
    return Opened(sessions.account_of(change, signed), session)
