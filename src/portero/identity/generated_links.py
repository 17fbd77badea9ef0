"""Links and codes that an administrator hands over instead of a mail: `POST /admin/generate_link` (auth.md §6).

They are made like mailed ones and spent like them; nothing is mailed, so no mail server is needed. It never asks who
the administrator is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import addresses, admin, hook_calls, new_users, one_time_links, sessions
from portero.identity.context import Account, Caller, Change, IdentityContext
from portero.identity.flow_states import Challenge
from portero.identity.one_time_links import (
    EMAIL_CHANGE,
    FIRST_CODE,
    INVITE,
    MAGIC_LINK,
    RECOVERY,
    SIGN_UP,
    Issued,
    Kind,
    Purpose,
    Wanted,
)
from portero.records import dataclass
from portero.store import users
from portero.store.users import UserRecord

#: Kinds that make a user where there is none.
_MAKING: Final = frozenset({"signup", "invite", "magiclink"})
_HALVES: Final = {
    "email_change_current": Purpose.EMAIL_CHANGE_CURRENT,
    "email_change_new": Purpose.EMAIL_CHANGE_NEW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkWish:
    """A link an administrator wants.

    Attributes:
        type: signup, magiclink, recovery, invite, email_change_current or email_change_new.
        email: whose.
        new_email: of an address change.
        password: of a sign-up; judged like anybody's.
        data: `user_metadata` of somebody new.
        redirect_to: where the link leads; judged already.
        challenge: of a client that goes on with PKCE.
    """

    type: str
    email: str
    new_email: str = ""
    password: str = field(default="", repr=False)
    data: Mapping[str, Any] | None = None
    redirect_to: str = ""
    challenge: Challenge | None = None


@dataclass(frozen=True, slots=True)
class GeneratedLink:
    """A link that was made, with its user.

    Attributes:
        account: whose.
        issued: the link's token, code and address.
        verification_type: what to verify it as; `signup` where a magic link made a user.
    """

    account: Account
    issued: Issued
    verification_type: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """A wish with everything that is worked out before the transaction."""

    wish: LinkWish
    email: str
    new_email: str
    password_hash: str | None
    caller: Caller
    now: datetime


_Found = tuple[UserRecord, Kind, Purpose | None, str]


def generate(context: IdentityContext, wish: LinkWish, caller: Caller, now: datetime) -> GeneratedLink:
    """Make a link and a code.

    Raises:
        AuthError: 400 validation_failed; 404 user_not_found; 422 email_exists, weak_password.
        TooBusy: too many passwords are being hashed.
    """
    prepare = _TYPES.get(wish.type)
    if prepare is None:
        raise AuthError(400, "validation_failed", f"Invalid email action link type requested: {wish.type[:32]!r}")
    asked = _asked(context, wish, caller, now)
    try:
        with context.changing() as change:
            user, kind, purpose, address = prepare(change, asked)
            flow_id = one_time_links.start_flow(change, user.id, kind, wish.challenge, now)
            wanted = Wanted(kind=kind, address=address, purpose=purpose, redirect_to=wish.redirect_to, flow_id=flow_id)
            issued = one_time_links.issue(context, change, user.id, wanted, now)
            details = {"kind": kind.name, "by": "administrator"}
            change.record(Event(Happening.LINK_GENERATED, now, user.id, None, caller.address, details))
            shown = "signup" if kind is FIRST_CODE else wish.type
            return GeneratedLink(sessions.account_of(change, user), issued, shown)
    except sa.exc.IntegrityError as cause:
        raise addresses.taken() from cause


def _asked(context: IdentityContext, wish: LinkWish, caller: Caller, now: datetime) -> _Asked:
    email = addresses.canonical_email(wish.email)
    if wish.type == "signup" and not wish.password:
        raise AuthError(400, "validation_failed", "Signup requires a valid password")
    password = wish.password if wish.type == "signup" else None
    password_hash = admin.new_hash(context, password, None, (email, None))
    if wish.type in _MAKING:
        hook_calls.before_address_created(context, email, wish.data, "administrator", caller, now)
    new_email = addresses.canonical_email(wish.new_email) if wish.type in _HALVES else ""
    return _Asked(wish, email, new_email, password_hash, caller, now)


def _sign_up(change: Change, asked: _Asked) -> _Found:
    user = _unconfirmed(change, asked) or _made(change, asked)
    # Whoever was first with this address did not prove it: the password is the administrator's (threats MF-23).
    sent = {"confirmation_sent_at": asked.now, "password_hash": asked.password_hash}
    return users.update(change.connection, user.id, asked.now, **sent) or user, SIGN_UP, None, asked.email


def _invite(change: Change, asked: _Asked) -> _Found:
    user = _unconfirmed(change, asked) or _made(change, asked)
    sent = {"invited_at": asked.now, "confirmation_sent_at": asked.now}
    return users.update(change.connection, user.id, asked.now, **sent) or user, INVITE, None, asked.email


def _magic_link(change: Change, asked: _Asked) -> _Found:
    user = users.by_email(change.connection, asked.email, lock=True)
    if user is None:
        made = _made(change, asked)
        stored = users.update(change.connection, made.id, asked.now, confirmation_sent_at=asked.now) or made
        return stored, FIRST_CODE, None, asked.email
    stored = users.update(change.connection, user.id, asked.now, recovery_sent_at=asked.now) or user
    return stored, MAGIC_LINK, None, asked.email


def _recovery(change: Change, asked: _Asked) -> _Found:
    user = _there(change, asked.email)
    stored = users.update(change.connection, user.id, asked.now, recovery_sent_at=asked.now) or user
    return stored, RECOVERY, None, asked.email


def _email_change(change: Change, asked: _Asked) -> _Found:
    user = _there(change, asked.email)
    if users.by_email(change.connection, asked.new_email) is not None:
        raise addresses.taken()
    if user.email_change != asked.new_email:
        one_time_links.void(change, user.id, tuple(_HALVES.values()))
    wish = {"email_change": asked.new_email, "email_change_sent_at": asked.now}
    stored = users.update(change.connection, user.id, asked.now, **wish) or user
    half = _HALVES[asked.wish.type]
    # Each half is made for the address it proves: that of the new one would not fit the old one's token.
    return stored, EMAIL_CHANGE, half, asked.new_email if half is Purpose.EMAIL_CHANGE_NEW else asked.email


def _made(change: Change, asked: _Asked) -> UserRecord:
    user = new_users.insert_user(change, asked.email, asked.password_hash, asked.wish.data or {}, asked.now)
    details = {"by": "administrator"}
    change.record(Event(Happening.USER_CREATED, asked.now, user.id, None, asked.caller.address, details))
    return user


def _unconfirmed(change: Change, asked: _Asked) -> UserRecord | None:
    user = users.by_email(change.connection, asked.email, lock=True)
    if user is not None and user.email_confirmed_at is not None:
        raise addresses.taken()
    return user


def _there(change: Change, email: str) -> UserRecord:
    user = users.by_email(change.connection, email, lock=True)
    if user is None:
        raise AuthError(404, "user_not_found", "User with this email not found")
    return user


_TYPES: Final[Mapping[str, Callable[[Change, _Asked], _Found]]] = {
    "signup": _sign_up,
    "invite": _invite,
    "magiclink": _magic_link,
    "recovery": _recovery,
    "email_change_current": _email_change,
    "email_change_new": _email_change,
}
