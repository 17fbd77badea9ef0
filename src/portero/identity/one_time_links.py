"""What proves that a mail was read: made, mailed, looked up and spent, once (contract auth.md §4.4).

A link's token is random; a code is six digits with five tries and ten minutes (threats MF-22). Both are good for one
purpose and one address (MF-20), the newest only (MF-15). Spending is one conditional UPDATE, and the user's row is
locked before it, so that two halves of one change see each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

from portero.crypto import one_time_codes
from portero.identity import flow_states, mail, redirects
from portero.identity.context import Caller, Change, IdentityContext
from portero.identity.flow_states import Challenge
from portero.identity.mail import Letter
from portero.identity.mail_templates import MailKind
from portero.identity.sessions import Method
from portero.records import dataclass
from portero.store import one_time_tokens
from portero.store.one_time_tokens import OneTimeTokenRecord
from portero.store.users import UserRecord

CODE_LIFETIME: Final = timedelta(minutes=10)
MOST_TRIES: Final = 5
_LONG: Final = timedelta(hours=24)
_SHORT: Final = timedelta(minutes=30)


class Purpose(StrEnum):
    """What a link or code proves; a user has at most one pending for each."""

    CONFIRMATION = "confirmation"
    RECOVERY = "recovery"
    EMAIL_CHANGE_CURRENT = "email_change_current"
    EMAIL_CHANGE_NEW = "email_change_new"
    REAUTHENTICATION = "reauthentication"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of link.

    Attributes:
        name: what the row says.
        type: the `type` in the link.
        purpose: what it proves; None for an address change, which has two halves.
        mail: the template of its mail.
        method: what a PKCE session's `amr` says.
        lifetime: how long the link is good.
    """

    name: str
    type: str
    purpose: Purpose | None
    mail: MailKind
    method: Method
    lifetime: timedelta


SIGN_UP: Final = Kind("signup", "signup", Purpose.CONFIRMATION, MailKind.CONFIRMATION, "email/signup", _LONG)
#: As a sign-up's, but whoever reads the mail did not choose the password that the account may have.
FIRST_CODE: Final = Kind("first_code", "signup", Purpose.CONFIRMATION, MailKind.CONFIRMATION, "email/signup", _LONG)
INVITE: Final = Kind("invite", "invite", Purpose.CONFIRMATION, MailKind.INVITE, "invite", _LONG)
MAGIC_LINK: Final = Kind("magiclink", "magiclink", Purpose.RECOVERY, MailKind.MAGIC_LINK, "magiclink", _SHORT)
RECOVERY: Final = Kind("recovery", "recovery", Purpose.RECOVERY, MailKind.RECOVERY, "recovery", _SHORT)
EMAIL_CHANGE: Final = Kind("email_change", "email_change", None, MailKind.EMAIL_CHANGE, "email_change", _LONG)
REAUTHENTICATION: Final = Kind(
    "reauthentication", "reauthentication", Purpose.REAUTHENTICATION, MailKind.REAUTHENTICATION, "otp", CODE_LIFETIME
)


@dataclass(frozen=True, slots=True)
class Onward:
    """Where a mailed link goes on to.

    Attributes:
        challenge: of the PKCE flow that it continues.
        redirect_to: where it leads in the end; judged already.
    """

    challenge: Challenge | None = None
    redirect_to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A link and code to be made.

    Attributes:
        kind: which.
        address: whom they are for, in stored form.
        purpose: the half of an address change; else the kind's own.
        redirect_to: where the link leads in the end; judged already.
        flow_id: the PKCE flow it continues.
        values: more for the mail's template (`NewEmail`).
    """

    kind: Kind
    address: str
    purpose: Purpose | None = None
    redirect_to: str = ""
    flow_id: UUID | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Issued:
    """A link and code that were made; their digests are stored, they themselves are not.

    Attributes:
        record: the row.
        token: the link's.
        code: the digits.
        url: the whole link.
    """

    record: OneTimeTokenRecord
    token: str = field(repr=False)
    code: str = field(repr=False)
    url: str = field(repr=False)


def issue(context: IdentityContext, change: Change, user_id: UUID, wanted: Wanted, now: datetime) -> Issued:
    """Make a link and code in the place of the user's former ones; the caller holds the user's row.

    Nothing is mailed: an administrator's `generate_link` hands them over itself.
    """
    row, code = uuid4(), one_time_codes.make_code()
    token = one_time_codes.make_link_token(pkce=wanted.flow_id is not None)
    purpose = wanted.purpose or wanted.kind.purpose
    assert purpose is not None
    record = OneTimeTokenRecord(
        id=row,
        user_id=user_id,
        purpose=purpose.value,
        kind=wanted.kind.name,
        address=wanted.address,
        link_digest=None if wanted.kind is REAUTHENTICATION else one_time_codes.digest(token),
        code_mac=one_time_codes.code_mac(code, row, wanted.address, context.code_keys[0]),
        flow_state_id=wanted.flow_id,
        created_at=now,
        code_expires_at=now + min(CODE_LIFETIME, wanted.kind.lifetime),
        expires_at=now + wanted.kind.lifetime,
    )
    one_time_tokens.replace(change.connection, record)
    url = redirects.link(context.settings, token, wanted.kind.type, wanted.redirect_to)
    return Issued(record, token, code, url)


def send(
    context: IdentityContext, change: Change, user: UserRecord, wanted: Wanted, caller: Caller, now: datetime
) -> None:
    """Make a link and code, and write the mail that holds them."""
    issued = issue(context, change, user.id, wanted, now)
    mail.post(context, change, letter_of(context, user, wanted, issued), user, caller, now)


def letter_of(context: IdentityContext, user: UserRecord, wanted: Wanted, issued: Issued) -> Letter:
    """Return the mail that holds a link and code."""
    with_link = wanted.kind is not REAUTHENTICATION
    values = {
        "SiteURL": redirects.site_url(context.settings),
        "ConfirmationURL": issued.url if with_link else "",
        "Email": user.email or wanted.address,
        "SendingTo": wanted.address,
        "Token": issued.code,
        "TokenHash": issued.token if with_link else "",
        "RedirectTo": wanted.redirect_to,
        **wanted.values,
    }
    return Letter(kind=wanted.kind.mail, to=wanted.address, values=values, expires_at=issued.record.expires_at)


def start_flow(change: Change, user_id: UUID, kind: Kind, challenge: Challenge | None, now: datetime) -> UUID | None:
    """Begin the PKCE flow a link continues; None without a challenge."""
    return None if challenge is None else flow_states.start(change, user_id, challenge, kind.method, now).id


def by_link(change: Change, token: str, purposes: Collection[Purpose]) -> OneTimeTokenRecord | None:
    """Find what a link's token was made for; it may be spent or over, which `spend` tells."""
    return one_time_tokens.by_link(change.connection, one_time_codes.digest(token), purposes)


def is_right_code(
    context: IdentityContext, change: Change, record: OneTimeTokenRecord, code: str, now: datetime
) -> bool:
    """Take one of a code's tries and tell whether it is right; the count stays if the transaction commits."""
    if not one_time_tokens.take_try(change.connection, record.id, MOST_TRIES, now):
        return False
    return one_time_codes.is_code(code, record.code_mac, record.id, record.address, context.code_keys)


def spend(change: Change, record: OneTimeTokenRecord, now: datetime) -> bool:
    """Spend a link and its code together: true for exactly one of all who try it at one time."""
    return one_time_tokens.spend(change.connection, record.id, now)


def void(change: Change, user_id: UUID, purposes: Collection[Purpose] | None = None) -> None:
    """Void what is pending for a user, all of it or some purposes; all of it includes PKCE codes that were issued.

    Such a code would give a session for minutes after a new password, to who was in the mail box before.
    """
    one_time_tokens.delete_of_user(change.connection, user_id, purposes)
    if purposes is None:
        flow_states.void_codes(change, user_id)
