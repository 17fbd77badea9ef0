"""Signing up with an e-mail address and a password (auth.md §1.2).

Without a mail server a sign-up confirms itself: the address may sign in, and never counts as verified for linking
(overrides.md "confirmation"), which is why the identity says `email_verified: false`. The unique index decides who was
first: a hundred sign-ups with one address make one user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import addresses, password_rules, sessions, throttle
from portero.identity.context import Caller, Change, IdentityContext, SignedIn
from portero.store import identities, users
from portero.store.identities import IdentityRecord
from portero.store.users import UserRecord

_CHALLENGE: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
#: Said with every such sign-up, in the audit and in the log.
_CONFIRMED: Final[Mapping[str, str | int | bool]] = {"confirmed": "itself: no mail server is configured"}


@dataclass(frozen=True, slots=True)
class Form:
    """What somebody who signs up sends; absent members are None."""

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    data: Mapping[str, Any] | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None


def with_password(context: IdentityContext, form: Form, caller: Caller, now: datetime) -> SignedIn:
    """Make a user and sign them in.

    Raises:
        AuthError: 422 signup_disabled, anonymous_provider_disabled, weak_password, user_already_exists;
            400 validation_failed, phone_provider_disabled; 429 over_request_rate_limit.
        TooBusy: too many passwords are being hashed.
    """
    email, password = _checked(context, form)
    _count(context, caller, now)
    if _is_taken(context, email):
        raise _taken()
    password_hash = context.passwords.hash(password)
    try:
        with context.changing() as change:
            user = _insert(change, email, password_hash, form.data or {}, now)
            change.record(Event(Happening.USER_CREATED, now, user.id, address=caller.address, details=_CONFIRMED))
            throttle.attempt_was_right(context, change.connection, user.id, caller, now)
            session = sessions.open_session(change, user, "password", caller, now)
            account = sessions.account_of(change, user)
    except sa.exc.IntegrityError as cause:
        raise _taken() from cause
    return sessions.tokens_for(context, account, session, now)


def insert_email_identity(
    change: Change, user: UserRecord, signed_in_at: datetime | None, now: datetime, *, verified: bool
) -> IdentityRecord:
    """Write the identity that says a user is known by their e-mail address."""
    data = {"sub": str(user.id), "email": user.email, "email_verified": verified, "phone_verified": False}
    identity = IdentityRecord(
        user_id=user.id,
        provider="email",
        provider_id=str(user.id),
        identity_data=data,
        email=user.email,
        last_sign_in_at=signed_in_at,
        created_at=now,
        updated_at=now,
    )
    return identities.insert(change.connection, identity)


def _checked(context: IdentityContext, form: Form) -> tuple[str, str]:
    """Check a form in the contract's order; what is off is told before what is wrong."""
    if context.settings.disable_signup:
        raise AuthError(422, "signup_disabled", "Signups not allowed for this instance")
    if not form.email and not form.phone:
        raise AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
    if not form.password:
        raise AuthError(400, "validation_failed", "Signup requires a valid password")
    words = password_rules.context_words(form.email)
    password_rules.check(form.password, min_length=context.settings.password_min_length, context_words=words)
    if form.email and form.phone:
        raise AuthError(400, "validation_failed", "Only an email address or phone number should be provided on signup.")
    _check_challenge(form)
    if not form.email:
        raise AuthError(400, "phone_provider_disabled", "Phone signups are disabled")
    return addresses.canonical_email(form.email), form.password


def _check_challenge(form: Form) -> None:
    """Check the pair of PKCE fields; a sign-up that confirms itself answers with a session and has no use for them."""
    challenge, method = form.code_challenge, form.code_challenge_method
    if bool(challenge) != bool(method):
        message = "PKCE flow requires code_challenge_method and code_challenge"
        raise AuthError(400, "validation_failed", message)
    if challenge and _CHALLENGE.fullmatch(challenge) is None:
        raise AuthError(400, "validation_failed", "code challenge has to be between 43 and 128 URL-safe characters")
    if method and method.lower() not in ("s256", "plain"):
        raise AuthError(400, "validation_failed", "Invalid code challenge method")
    if form.phone and challenge:
        raise AuthError(400, "validation_failed", "PKCE not supported for phone signups")


def _count(context: IdentityContext, caller: Caller, now: datetime) -> None:
    limit = throttle.Limit("sign-up", context.settings.throttle_sign_up, throttle.MINUTE)
    with context.changing(durable=False) as change:
        found = throttle.check_address(context, change.connection, limit, caller, now)
    if found is not None:
        raise found.refusal


def _is_taken(context: IdentityContext, email: str) -> bool:
    """Look before a hash is paid for; the index decides all the same."""
    with context.database.reading() as connection:
        return users.by_email(connection, email) is not None


def _insert(change: Change, email: str, password_hash: str, data: Mapping[str, Any], now: datetime) -> UserRecord:
    user_id = uuid4()
    facts = {"sub": str(user_id), "email": email, "email_verified": True, "phone_verified": False}
    user = UserRecord(
        id=user_id,
        email=email,
        password_hash=password_hash,
        email_confirmed_at=now,
        last_sign_in_at=now,
        app_metadata={"provider": "email", "providers": ["email"]},
        user_metadata={**data, **facts},
        created_at=now,
        updated_at=now,
    )
    stored = users.insert(change.connection, user)
    insert_email_identity(change, stored, now, now, verified=False)
    return stored


def _taken() -> AuthError:
    return AuthError(422, "user_already_exists", "User already registered")
