"""Changing an address: a wish, proven from both sides (auth.md §1.3, §4.6; threats MF-19, MF-20).

The new address proves itself always. The present one has to agree if it was ever proven: an address that nobody
proved has no say, so a mistyped one can be put right. Either half may come first; a new wish voids the former.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from portero.events import Event, Happening
from portero.identity import addresses, mail, new_users, notices, one_time_links, throttle
from portero.identity.context import Caller, Change, IdentityContext
from portero.identity.one_time_links import EMAIL_CHANGE, Onward, Purpose, Wanted
from portero.store import one_time_tokens, users
from portero.store.users import UserRecord


def wish(
    context: IdentityContext,
    change: Change,
    user: UserRecord,
    address: str,
    onward: Onward,
    caller: Caller,
    now: datetime,
) -> dict[str, Any]:
    """Mail the link to both addresses, and return the columns of the user that change; the caller holds the row.

    Raises:
        AuthError: 422 email_exists; 429 over_email_send_rate_limit.
    """
    known = users.by_email(change.connection, address)
    if known is not None:
        raise addresses.taken()
    if user.is_anonymous and mail.confirms_itself(context.settings):
        return _promoted(change, user, address, now)
    if mail.can_send(context.settings):
        found = throttle.check_mail(context, change.connection, "email-change", str(user.id), now)
        if found is not None:
            raise found
        send_links(context, change, user, address, onward, caller, now)
    return {"email_change": address, "email_change_sent_at": now}


def send_links(
    context: IdentityContext,
    change: Change,
    user: UserRecord,
    address: str,
    onward: Onward,
    caller: Caller,
    now: datetime,
) -> None:
    """Mail the links of a change to the new address, and to the present one if it was ever proven."""
    one_time_links.void(change, user.id, (Purpose.EMAIL_CHANGE_CURRENT, Purpose.EMAIL_CHANGE_NEW))
    flow_id = one_time_links.start_flow(change, user.id, EMAIL_CHANGE, onward.challenge, now)
    halves = [(Purpose.EMAIL_CHANGE_NEW, address)]
    if user.email is not None and new_users.is_proven(change, user):
        halves.append((Purpose.EMAIL_CHANGE_CURRENT, user.email))
    values = {"NewEmail": address, "OldEmail": user.email or ""}
    for purpose, to in halves:
        wanted = Wanted(
            kind=EMAIL_CHANGE,
            purpose=purpose,
            address=to,
            redirect_to=onward.redirect_to,
            flow_id=flow_id,
            values=values,
        )
        one_time_links.send(context, change, user, wanted, caller, now)
    details = {"kind": EMAIL_CHANGE.name}
    change.record(Event(Happening.MAIL_REQUESTED, now, user.id, None, caller.address, details))


def finish(
    context: IdentityContext, change: Change, user: UserRecord, caller: Caller, now: datetime
) -> UserRecord | None:
    """Make the change if both halves are proven, and return the user as stored; else None. The caller holds the row.

    Raises:
        sqlalchemy.exc.IntegrityError: the address was taken meanwhile.
    """
    new = one_time_tokens.of_user(change.connection, user.id, Purpose.EMAIL_CHANGE_NEW)
    current = one_time_tokens.of_user(change.connection, user.id, Purpose.EMAIL_CHANGE_CURRENT)
    if new is None or new.spent_at is None or user.email_change is None or new.address != user.email_change:
        return None
    agreed = current is not None and current.spent_at is not None
    if user.email is not None and not agreed and new_users.is_proven(change, user):
        return None
    columns = _columns(user, user.email_change, now, verified=True)
    stored = users.update(change.connection, user.id, now, **columns) or user
    new_users.note_proven(change, stored, now)
    change.record(Event(Happening.EMAIL_CHANGED, now, user.id, None, caller.address))
    notices.tell_former_address(context, change, user, user.email_change, caller, now)
    return stored


def _promoted(change: Change, user: UserRecord, address: str, now: datetime) -> dict[str, Any]:
    """Make an anonymous user permanent at once, where nobody proves addresses; the identity says so."""
    columns = _columns(user, address, now, verified=False)
    stored = users.update(change.connection, user.id, now, **columns) or user
    new_users.insert_email_identity(change, stored, now, now, verified=False)
    return columns


def _columns(user: UserRecord, address: str, now: datetime, *, verified: bool) -> dict[str, Any]:
    facts = {"sub": str(user.id), "email": address, "email_verified": True, "phone_verified": False}
    columns: dict[str, Any] = {
        "email": address,
        "email_change": None,
        "email_change_sent_at": None,
        "email_confirmed_at": now if verified else user.email_confirmed_at or now,
        "user_metadata": {**user.user_metadata, **facts},
        "is_anonymous": False,
    }
    if user.is_anonymous or not user.app_metadata:
        columns["app_metadata"] = {**user.app_metadata, **new_users.BY_EMAIL}
    return columns
