"""Inviting somebody by mail: what `POST /invite` and its kin stand on (auth.md §6). It never asks who the caller is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import addresses, confirmation, hook_calls, mail, new_users, sessions
from portero.identity.context import Account, Caller, IdentityContext
from portero.identity.one_time_links import INVITE, Onward
from portero.store import users


def invite(
    context: IdentityContext,
    email: str,
    data: Mapping[str, Any] | None,
    redirect_to: str,
    caller: Caller,
    now: datetime,
) -> Account:
    """Make a user, or take one whose address is not confirmed, and mail the invitation.

    Args:
        data: `user_metadata` of a new user; one who was invited before keeps their own.
        redirect_to: where the link leads; judged already.

    Raises:
        AuthError: 400 validation_failed; 422 email_exists (confirmed), email_provider_disabled.
    """
    mail.require(context.settings)
    address = addresses.canonical_email(email)
    hook_calls.before_address_created(context, address, data, "administrator", caller, now)
    try:
        with context.changing() as change:
            known = users.by_email(change.connection, address)
            if known is not None and known.email_confirmed_at is not None:
                raise addresses.taken()
            if known is None:
                user = new_users.insert_user(change, address, None, data or {}, now, invited_at=now)
                details = {"by": "administrator"}
                change.record(Event(Happening.USER_CREATED, now, user.id, address=caller.address, details=details))
            else:
                users.by_id(change.connection, known.id, lock=True)
                user = users.update(change.connection, known.id, now, invited_at=now) or known
            stored = confirmation.send_link(context, change, user, INVITE, Onward(redirect_to=redirect_to), caller, now)
            return sessions.account_of(change, stored)
    except sa.exc.IntegrityError as cause:
        raise AuthError(409, "conflict", "The address was invited by another request") from cause
