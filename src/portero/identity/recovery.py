"""Getting in without a password: recovery, magic link and e-mail code (auth.md §1.2 `/recover`, `/otp`).

Recovery says the same for every address, and is silent about its own limit. Both give a session as the contract says;
a second factor is still demanded for aal2 (threats MF-09), and a new password ends all other sessions (MF-18).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import (
    addresses,
    confirmation,
    email_change,
    hook_calls,
    in_vain,
    mail,
    new_users,
    one_time_links,
    throttle,
)
from portero.identity.context import Caller, Change, IdentityContext
from portero.identity.one_time_links import FIRST_CODE, MAGIC_LINK, RECOVERY, SIGN_UP, Kind, Onward, Wanted
from portero.records import dataclass
from portero.store import users
from portero.store.users import UserRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A link that somebody asks for; `email` as typed."""

    email: str
    onward: Onward = Onward()
    create_user: bool = True
    data: Mapping[str, Any] | None = None


def recover(context: IdentityContext, asked: Asked, caller: Caller, now: datetime) -> None:
    """Mail a link that signs in to choose a new password, if the address is somebody's.

    Raises:
        AuthError: 400 validation_failed, email_provider_disabled; 429 over_request_rate_limit.
    """
    mail.require_sign_in(context.settings, 400)
    email = addresses.canonical_email(asked.email)
    count(context, "recover", caller, now)
    with context.changing() as change:
        if throttle.check_mail(context, change.connection, "recover", email, now) is not None:
            return
        user = users.by_email(change.connection, email, lock=True)
        if user is None:
            _send_in_vain(context, change, RECOVERY, asked, caller, now)
            return
        _send(context, change, user, RECOVERY, asked, caller, now)


def magic_link(context: IdentityContext, asked: Asked, caller: Caller, now: datetime) -> None:
    """Mail a link and code that sign in; make the user if they are new, which the mail then confirms.

    Raises:
        AuthError: 400 validation_failed; 422 otp_disabled, signup_disabled, email_provider_disabled; 429
            over_request_rate_limit, over_email_send_rate_limit.
    """
    mail.require_sign_in(context.settings)
    if not context.settings.magic_links:
        raise AuthError(422, "email_provider_disabled", "Login with magic link is disabled")
    try:
        email = addresses.canonical_email(asked.email)
    except AuthError:
        if asked.create_user:
            raise
        if context.settings.otp_silent:
            return
        raise _unknown() from None
    count(context, "otp", caller, now)
    if asked.create_user and not context.settings.disable_signup:
        hook_calls.before_address_created(context, email, asked.data, "magic_link", caller, now)
    try:
        refusal = _magic_link(context, email, asked, caller, now)
    except sa.exc.IntegrityError:
        # Somebody else was first, just now: that mail is on its way.
        return
    if refusal is not None:
        raise refusal


def resend(context: IdentityContext, kind: str, asked: Asked, caller: Caller, now: datetime) -> None:
    """Mail a pending confirmation or address change once more; silent about who has one, and about its own limit.

    Args:
        kind: `signup` or `email_change`.

    Raises:
        AuthError: 400 validation_failed, email_provider_disabled; 429 over_request_rate_limit.
    """
    mail.require_sign_in(context.settings, 400)
    email = addresses.canonical_email(asked.email)
    count(context, "resend", caller, now)
    with context.changing() as change:
        if throttle.check_mail(context, change.connection, f"resend-{kind}", email, now) is not None:
            return
        user = users.by_email(change.connection, email, lock=True)
        if kind == "signup" and user is not None and user.email_confirmed_at is None:
            confirmation.send_link(context, change, user, SIGN_UP, asked.onward, caller, now)
        elif kind == "email_change" and user is not None and user.email_change is not None:
            email_change.send_links(context, change, user, user.email_change, asked.onward, caller, now)
            users.update(change.connection, user.id, now, email_change_sent_at=now)
        elif kind == "email_change":
            _change_in_vain(context, change, asked, caller, now)
        else:
            _send_in_vain(context, change, SIGN_UP, asked, caller, now)


def count(context: IdentityContext, name: str, caller: Caller, now: datetime) -> None:
    """Count one request for a mail from the caller's network.

    Raises:
        AuthError: 429 over_request_rate_limit.
    """
    limit = throttle.Limit(name, context.settings.throttle_sign_up, throttle.MINUTE)
    with context.changing(durable=False) as change:
        found = throttle.check_address(context, change.connection, limit, caller, now)
    if found is not None:
        raise found.refusal


def _magic_link(context: IdentityContext, email: str, asked: Asked, caller: Caller, now: datetime) -> AuthError | None:
    with context.changing() as change:
        user = users.by_email(change.connection, email, lock=True)
        if user is None and not asked.create_user and not context.settings.otp_silent:
            return _unknown()
        if user is None and asked.create_user and context.settings.disable_signup:
            return AuthError(422, "signup_disabled", "Signups not allowed for this instance")
        found = throttle.check_mail(context, change.connection, "otp", email, now)
        if found is not None:
            return found
        if user is None and not asked.create_user:
            _send_in_vain(context, change, MAGIC_LINK, asked, caller, now)
            return None
        if user is None:
            user = new_users.insert_user(change, email, None, asked.data or {}, now)
            change.record(Event(Happening.USER_CREATED, now, user.id, address=caller.address))
        if user.email_confirmed_at is None and not mail.confirms_itself(context.settings):
            confirmation.send_link(context, change, user, FIRST_CODE, asked.onward, caller, now)
        else:
            _send(context, change, user, MAGIC_LINK, asked, caller, now)
    return None


def _send(
    context: IdentityContext,
    change: Change,
    user: UserRecord,
    kind: Kind,
    asked: Asked,
    caller: Caller,
    now: datetime,
) -> None:
    assert user.email is not None
    flow_id = one_time_links.start_flow(change, user.id, kind, asked.onward.challenge, now)
    wanted = Wanted(kind=kind, address=user.email, redirect_to=asked.onward.redirect_to, flow_id=flow_id)
    one_time_links.send(context, change, user, wanted, caller, now)
    users.update(change.connection, user.id, now, recovery_sent_at=now)
    change.record(Event(Happening.MAIL_REQUESTED, now, user.id, None, caller.address, {"kind": kind.name}))


def _send_in_vain(
    context: IdentityContext, change: Change, kind: Kind, asked: Asked, caller: Caller, now: datetime
) -> None:
    """Do for a stranger what is done for a user, and undo it: the time of the answer says nothing."""
    with in_vain.undone(change) as scratch:
        _send(context, scratch, in_vain.stranger(scratch, now), kind, asked, caller, now)


def _change_in_vain(context: IdentityContext, change: Change, asked: Asked, caller: Caller, now: datetime) -> None:
    """Do what both halves of an address change take, and undo it."""
    with in_vain.undone(change) as scratch:
        nobody = in_vain.stranger(scratch, now)
        new_users.insert_email_identity(scratch, nobody, None, now, verified=True)
        email_change.send_links(context, scratch, nobody, f"new-{nobody.email}", asked.onward, caller, now)
        users.update(scratch.connection, nobody.id, now, email_change_sent_at=now)


def _unknown() -> AuthError:
    return AuthError(422, "otp_disabled", "Signups not allowed for otp")
