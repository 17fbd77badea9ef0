"""Signing up: with an e-mail address and a password, or with nothing at all (auth.md §1.2).

Where mails are sent, a sign-up waits for the proof of its address, and says the same about an address that is taken.
Without a mail server, and in development, it confirms itself: the address may sign in, and never counts as verified
for linking (docs/decisions/0008-sign-in.md), which is why the identity says `email_verified: false`. The unique index
decides who was first: a hundred sign-ups with one address make one user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import (
    addresses,
    breaches,
    confirmation,
    flow_states,
    hook_calls,
    mail,
    new_users,
    notices,
    password_rules,
    sessions,
    throttle,
)
from portero.identity.context import Account, Caller, IdentityContext, Opened, SignedIn
from portero.identity.flow_states import Challenge
from portero.identity.hooks import BeforeUserCreated, Way
from portero.identity.one_time_links import Onward
from portero.records import dataclass
from portero.store import users
from portero.store.users import UserRecord

#: Said with every such sign-up, in the audit and in the log.
_CONFIRMED: Final[Mapping[str, str | int | bool]] = {"confirmed": "itself: no mail server is configured"}


@dataclass(frozen=True, slots=True)
class Form:
    """What somebody who signs up sends; absent members are None. `redirect_to` was judged already."""

    email: str | None = None
    phone: str | None = None
    password: str | None = None
    data: Mapping[str, Any] | None = None
    code_challenge: str | None = None
    code_challenge_method: str | None = None
    redirect_to: str = ""


def with_password(context: IdentityContext, form: Form, caller: Caller, now: datetime) -> SignedIn | Account:
    """Make a user and sign them in; or, where an address is to be proven, mail a link and return the user.

    Raises:
        AuthError: 422 signup_disabled, anonymous_provider_disabled, weak_password, user_already_exists;
            400 validation_failed, email_provider_disabled, phone_provider_disabled; 429 over_request_rate_limit,
            over_email_send_rate_limit.
        TooBusy: too many passwords are being hashed.
    """
    email, password, challenge = _checked(context, form)
    _count(context, caller, now)
    breaches.check(context.settings, password)
    if not mail.confirms_itself(context.settings):
        _ask_hook(context, email, form.data, "sign_up", caller, now)
        # The hash is paid for whether the address is taken or not: the time says nothing.
        password_hash = context.passwords.hash(password)
        pending = confirmation.Pending(email, password_hash, form.data or {}, Onward(challenge, form.redirect_to))
        return confirmation.begin(context, pending, caller, now)
    if _is_taken(context, email):
        raise _taken()
    _ask_hook(context, email, form.data, "sign_up", caller, now)
    return _at_once(context, email, context.passwords.hash(password), form.data or {}, caller, now)


def anonymous(context: IdentityContext, data: Mapping[str, Any] | None, caller: Caller, now: datetime) -> SignedIn:
    """Make a user without address and password, and sign them in; `PUT /user` makes them permanent.

    Raises:
        AuthError: 422 signup_disabled, anonymous_provider_disabled; 429 over_request_rate_limit.
    """
    if context.settings.disable_signup:
        raise _closed()
    if not context.settings.anonymous_users:
        raise _no_anonymous()
    _count(context, caller, now)
    _ask_hook(context, None, data, "anonymous", caller, now)
    with context.changing() as change:
        user = UserRecord(
            is_anonymous=True, user_metadata=dict(data or {}), last_sign_in_at=now, created_at=now, updated_at=now
        )
        stored = users.insert(change.connection, user)
        details = {"anonymous": True}
        change.record(Event(Happening.USER_CREATED, now, stored.id, address=caller.address, details=details))
        session = sessions.open_session(change, stored, "anonymous", caller, now)
        opened = Opened(sessions.account_of(change, stored), session)
    return sessions.tokens_for(context, opened, now)


def _at_once(
    context: IdentityContext, email: str, password_hash: str, data: Mapping[str, Any], caller: Caller, now: datetime
) -> SignedIn:
    try:
        with context.changing() as change:
            user = new_users.insert_user(
                change, email, password_hash, data, now, email_confirmed_at=now, last_sign_in_at=now
            )
            change.record(Event(Happening.USER_CREATED, now, user.id, address=caller.address, details=_CONFIRMED))
            throttle.attempt_was_right(context, change.connection, user.id, caller, now)
            notices.note_sign_in(context, change, replace(user, last_sign_in_at=None), caller, now)
            session = sessions.open_session(change, user, "password", caller, now)
            opened = Opened(sessions.account_of(change, user), session)
    except sa.exc.IntegrityError as cause:
        raise _taken() from cause
    return sessions.tokens_for(context, opened, now)


def _checked(context: IdentityContext, form: Form) -> tuple[str, str, Challenge | None]:
    """Check a form in the contract's order; what is off is told before what is wrong."""
    if context.settings.disable_signup:
        raise _closed()
    if not form.email and not form.phone:
        raise _no_anonymous()
    if not form.password:
        raise AuthError(400, "validation_failed", "Signup requires a valid password")
    words = password_rules.context_words(form.email)
    password_rules.check(form.password, min_length=context.settings.password_min_length, context_words=words)
    if form.email and form.phone:
        raise AuthError(400, "validation_failed", "Only an email address or phone number should be provided on signup.")
    challenge = flow_states.read_challenge(form.code_challenge, form.code_challenge_method)
    if form.phone and challenge is not None:
        raise AuthError(400, "validation_failed", "PKCE not supported for phone signups")
    if not form.email:
        raise AuthError(400, "phone_provider_disabled", "Phone signups are disabled")
    if not context.settings.email_sign_in:
        raise AuthError(400, "email_provider_disabled", "Email signups are disabled")
    return addresses.canonical_email(form.email), form.password, challenge


def _count(context: IdentityContext, caller: Caller, now: datetime) -> None:
    limit = throttle.Limit("sign-up", context.settings.throttle_sign_up, throttle.MINUTE)
    with context.changing(durable=False) as change:
        found = throttle.check_address(context, change.connection, limit, caller, now)
    if found is not None:
        raise found.refusal


def _ask_hook(
    context: IdentityContext, email: str | None, data: Mapping[str, Any] | None, by: Way, caller: Caller, now: datetime
) -> None:
    """Ask before it is known whether the address is taken, where nobody is to learn that."""
    payload = BeforeUserCreated(email=email, user_metadata=data or {}, by=by, address=caller.address, at=now)
    hook_calls.before_user_created(context, payload)


def _is_taken(context: IdentityContext, email: str) -> bool:
    """Look before a hash is paid for; the index decides all the same."""
    with context.database.reading() as connection:
        return users.by_email(connection, email) is not None


def _taken() -> AuthError:
    return AuthError(422, "user_already_exists", "User already registered")


def _closed() -> AuthError:
    return AuthError(422, "signup_disabled", "Signups not allowed for this instance")


def _no_anonymous() -> AuthError:
    return AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
