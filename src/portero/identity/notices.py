"""Telling users by mail, unasked, what was done to their account (threats CR-03, CR-29, MF-19).

A notice is written in the transaction that makes it true. It goes to an address that counts as the user's, before the
change where the change is of the address; it holds no link, no code and no secret. At most one a minute of a kind goes
to a user, so that nobody is flooded. Whether one is written changes no answer to any caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from portero.identity import devices, mail, redirects, throttle
from portero.identity.assurance import Asking
from portero.identity.context import Caller, Change, IdentityContext
from portero.identity.mail import Letter
from portero.identity.mail_templates import MailKind
from portero.settings import Settings
from portero.store.users import UserRecord

#: A notice that could not be sent for this long is no news.
LIFETIME: Final = timedelta(days=3)
_ENDING: Final = "_notification"


def are_told(settings: Settings, kind: MailKind) -> bool:
    """Tell whether notices of a kind are written at all: they are wanted, and mails go somewhere."""
    return kind.value.removesuffix(_ENDING) in settings.notices and mail.can_send(settings)


def note_sign_in(
    context: IdentityContext, change: Change, user: UserRecord, caller: Caller, now: datetime, *, by_mail: bool = False
) -> None:
    """Know the device of a sign-in, and tell its user if it is a new one.

    Args:
        context: the application's.
        change: the transaction of the sign-in.
        user: who signed in, as they were before: who never did has no device to compare with.
        caller: whence.
        now: the current time.
        by_mail: who signed in has just read the mail box that the notice would go to.
    """
    if not are_told(context.settings, MailKind.NEW_DEVICE):
        return
    is_new = devices.note(context, change, user, caller, now)
    if is_new and not by_mail and user.last_sign_in_at is not None:
        tell(context, change, MailKind.NEW_DEVICE, user, caller, now)


def tell(
    context: IdentityContext,
    change: Change,
    kind: MailKind,
    user: UserRecord,
    caller: Caller,
    now: datetime,
    values: Mapping[str, str] | None = None,
) -> None:
    """Write a notice to a user, unless there was one of its kind within the minute.

    Args:
        context: the application's.
        change: the transaction that makes it true.
        kind: which.
        user: whom; as they were before, where their address changes.
        caller: who did it: what is told of them is their network address and kind of device. Nobody, where an
            administrator did.
        now: the current time.
        values: more for the template.
    """
    if not are_told(context.settings, kind) or user.email is None or user.email_confirmed_at is None:
        return
    if throttle.check_notice(context, change.connection, kind.value, str(user.id), now) is None:
        post(context, change, kind, user, caller, now, values)


def tell_former_address(
    context: IdentityContext, change: Change, former: UserRecord, address: str, caller: Caller, now: datetime
) -> None:
    """Write to the address that was a user's until now that another one is.

    Args:
        former: the user as they were before.
        address: the new one.
    """
    values = {"Email": address, "NewEmail": address, "OldEmail": former.email or ""}
    tell(context, change, MailKind.EMAIL_CHANGED, former, caller, now, values)


def tell_of_factor(
    context: IdentityContext, change: Change, kind: MailKind, user: UserRecord, factor_type: str, asking: Asking
) -> None:
    """Write to a user that a second factor counts from now on, or no more."""
    tell(context, change, kind, user, asking.caller, asking.now, {"FactorType": factor_type})


def post(
    context: IdentityContext,
    change: Change,
    kind: MailKind,
    user: UserRecord,
    caller: Caller,
    now: datetime,
    values: Mapping[str, str] | None = None,
) -> None:
    """Write a notice without asking whether it is wanted; its arguments are those of `tell`."""
    assert user.email is not None
    filled = {
        "SiteURL": redirects.site_url(context.settings),
        "Email": user.email,
        "SendingTo": user.email,
        "Time": f"{now:%Y-%m-%d %H:%M} UTC",
        "Device": devices.device_of(caller.user_agent),
        "Address": caller.address,
        **(values or {}),
    }
    letter = Letter(kind=kind, to=user.email, values=filled, expires_at=now + LIFETIME)
    mail.post(context, change, letter, user, caller, now)
