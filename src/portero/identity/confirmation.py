"""Proving an address: the sign-up that waits for it, the mail once more, and what the proof changes (auth.md §1.2).

A sign-up with an address that is taken gets an answer of the same form; its owner is told by mail, and the minute
between two mails counts for both alike (auth.md §7). A first proof that did not come from the sign-up's own mail
removes the password and the sessions somebody may have put there before (threats MF-23).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import in_vain, mail, new_users, notices, one_time_links, sessions, throttle
from portero.identity.context import Account, Caller, Change, IdentityContext
from portero.identity.mail import Letter
from portero.identity.mail_templates import MailKind
from portero.identity.one_time_links import FIRST_CODE, SIGN_UP, Kind, Onward, Purpose, Wanted
from portero.records import dataclass
from portero.store import factors, one_time_tokens, users
from portero.store.users import UserRecord


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-up that waits for the proof of its address."""

    email: str
    password_hash: str = field(repr=False)
    data: Mapping[str, Any]
    onward: Onward


def begin(context: IdentityContext, pending: Pending, caller: Caller, now: datetime) -> Account:
    """Make the user and mail the link; for an address that is taken, return somebody made up.

    Raises:
        AuthError: 429 over_email_send_rate_limit.
    """
    try:
        with context.changing() as change:
            outcome = throttle.check_mail(context, change.connection, "signup", pending.email, now) or _begin(
                context, change, pending, caller, now
            )
    except sa.exc.IntegrityError:
        # Somebody else was first, just now.
        return _made_up(pending, now)
    if isinstance(outcome, AuthError):
        raise outcome
    return outcome


def send_link(
    context: IdentityContext,
    change: Change,
    user: UserRecord,
    kind: Kind,
    onward: Onward,
    caller: Caller,
    now: datetime,
) -> UserRecord:
    """Mail a link that proves the user's address, and return the user as stored; the caller holds the row."""
    stored, letter = _letter(context, change, user, kind, onward, caller, now)
    mail.post(context, change, letter, user, caller, now)
    return stored


def confirm(
    context: IdentityContext, change: Change, user: UserRecord, kind: str, caller: Caller, now: datetime
) -> UserRecord:
    """Take the user's address as proven and return the user as stored.

    Args:
        kind: the name of the link's kind: only a sign-up's own link was asked for by who chose the password.
    """
    is_first = not new_users.is_proven(change, user)
    changes: dict[str, Any] = {"user_metadata": {**user.user_metadata, "email_verified": True}}
    if user.email_confirmed_at is None:
        changes["email_confirmed_at"] = now
    if user.is_anonymous:
        # An administrator gave the address, and now it is proven.
        changes["is_anonymous"] = False
    if is_first and kind != SIGN_UP.name and not mail.confirms_itself(context.settings):
        changes["password_hash"] = None
        _remove_credentials(change, user, caller, now)
    stored = users.update(change.connection, user.id, now, **changes) or user
    new_users.note_proven(change, stored, now)
    if is_first:
        change.record(Event(Happening.EMAIL_CONFIRMED, now, user.id, None, caller.address, {"by": kind}))
    return stored


def _letter(
    context: IdentityContext,
    change: Change,
    user: UserRecord,
    kind: Kind,
    onward: Onward,
    caller: Caller,
    now: datetime,
) -> tuple[UserRecord, Letter]:
    """Make the link, and write down that it is mailed; return the user as stored, and the mail."""
    assert user.email is not None
    kind = _kind_of(change, user, kind)
    flow_id = one_time_links.start_flow(change, user.id, kind, onward.challenge, now)
    wanted = Wanted(kind=kind, address=user.email, redirect_to=onward.redirect_to, flow_id=flow_id)
    letter = one_time_links.letter_of(
        context, user, wanted, one_time_links.issue(context, change, user.id, wanted, now)
    )
    change.record(Event(Happening.MAIL_REQUESTED, now, user.id, None, caller.address, {"kind": kind.name}))
    return users.update(change.connection, user.id, now, confirmation_sent_at=now) or user, letter


def _begin(context: IdentityContext, change: Change, pending: Pending, caller: Caller, now: datetime) -> Account:
    known = users.by_email(change.connection, pending.email)
    if known is None:
        user = new_users.insert_user(change, pending.email, pending.password_hash, pending.data, now)
        change.record(Event(Happening.USER_CREATED, now, user.id, address=caller.address))
        throttle.know_sign_up(context, change.connection, pending.email, caller, now)
    elif known.email_confirmed_at is None:
        user = users.by_id(change.connection, known.id, lock=True) or known
        if not throttle.knows_sign_up(context, change.connection, pending.email, caller, now):
            user = _of_nobody_yet(change, user, caller, now)
        if user.invited_at is not None:
            # What the administrator wrote about an invited user is not for whoever types the address.
            user = users.update(change.connection, user.id, now, user_metadata={}) or user
    else:
        _begin_in_vain(context, change, known, pending, caller, now)
        return _made_up(pending, now)
    stored = send_link(context, change, user, SIGN_UP, pending.onward, caller, now)
    return sessions.account_of(change, stored)


def _of_nobody_yet(change: Change, user: UserRecord, caller: Caller, now: datetime) -> UserRecord:
    """Remove the password of a sign-up that somebody elsewhere repeats: one of the two does not own the address.

    Its owner follows the newest link, whoever asked for it, and would prove the other's password (threats MF-23).
    """
    if user.password_hash is None:
        return user
    change.record(Event(Happening.CREDENTIALS_REMOVED, now, user.id, None, caller.address))
    return users.update(change.connection, user.id, now, password_hash=None) or user


def _begin_in_vain(
    context: IdentityContext, change: Change, known: UserRecord, pending: Pending, caller: Caller, now: datetime
) -> None:
    """Do as much as for somebody new, so that the time of the answer says nothing; what stays is a mail to the owner.

    Who signs up where they have an account waits for a mail, and gets one: that they have it (auth.md §7).
    """
    with in_vain.undone(change) as scratch:
        nobody = in_vain.stranger(scratch, now)
        new_users.insert_email_identity(scratch, nobody, None, now, verified=False)
        scratch.record(Event(Happening.USER_CREATED, now, nobody.id, address=caller.address))
        _, letter = _letter(context, scratch, nobody, SIGN_UP, pending.onward, caller, now)
        tells = notices.are_told(context.settings, MailKind.ACCOUNT_EXISTS)
        if not tells:
            mail.post(context, scratch, letter, nobody, caller, now)
    if tells:
        notices.post(context, change, MailKind.ACCOUNT_EXISTS, known, caller, now)


def _kind_of(change: Change, user: UserRecord, asked: Kind) -> Kind:
    """Return the kind of the next link: a sign-up's must not take the place of one that somebody else asked for.

    Otherwise who signed up with another's address could ask once more while its owner waits for a code or an
    invitation, and the owner's proof would keep a password that is not theirs.
    """
    pending = one_time_tokens.of_user(change.connection, user.id, Purpose.CONFIRMATION)
    is_sign_ups = pending is None or pending.kind == SIGN_UP.name
    return FIRST_CODE if asked is SIGN_UP and not is_sign_ups else asked


def _made_up(pending: Pending, now: datetime) -> Account:
    """Return somebody who is not there, with every member that somebody new would have."""
    return Account(new_users.with_address(pending.email, None, pending.data, now, role="", confirmation_sent_at=now))


def _remove_credentials(change: Change, user: UserRecord, caller: Caller, now: datetime) -> None:
    sessions.end_within(change, user.id, None, "global", now)
    for factor in factors.of_user(change.connection, user.id):
        factors.delete(change.connection, factor.id)
    if user.password_hash is not None:
        change.record(Event(Happening.CREDENTIALS_REMOVED, now, user.id, None, caller.address))
