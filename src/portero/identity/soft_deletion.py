"""Deleting a user whose row has to stay, because the application's rows refer to it (contract auth.md §6).

The address, the number, the user name and the identities are replaced by MACs, the metadata is emptied; sessions,
factors and whatever was pending go. The address is free again; who registers it is somebody else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from portero.errors import AuthError
from portero.events import Event, Happening
from portero.identity import one_time_links, sessions, throttle
from portero.identity.context import Caller, Change, IdentityContext
from portero.store import factors, identities, users
from portero.store.users import UserRecord

_NAMES: Final = ("email", "username", "phone")


def delete_softly(context: IdentityContext, user_id: UUID, caller: Caller, now: datetime) -> None:
    """Empty a user's row and mark it deleted; doing it twice changes nothing more.

    Raises:
        AuthError: 404 user_not_found.
    """
    with context.changing() as change:
        user = users.by_id(change.connection, user_id, lock=True)
        if user is None:
            raise AuthError(404, "user_not_found", "User not found")
        if user.deleted_at is not None:
            return
        sessions.end_within(change, user_id, None, "global", now)
        one_time_links.void(change, user_id)
        for factor in factors.of_user(change.connection, user_id):
            factors.delete(change.connection, factor.id)
        _hide(context, change, user, now)
        throttle.forget_attempts(context, change.connection, user_id)
        change.record(Event(Happening.USER_DELETED, now, user_id, None, caller.address, {"softly": True}))


def _hide(context: IdentityContext, change: Change, user: UserRecord, now: datetime) -> None:
    hidden = {name: _mac(context, user, getattr(user, name)) for name in _NAMES if getattr(user, name) is not None}
    users.update(
        change.connection,
        user.id,
        now,
        **hidden,
        email_change=None,
        phone_change=None,
        password_hash=None,
        user_metadata={},
        app_metadata={},
        deleted_at=now,
    )
    for identity in identities.of_user(change.connection, user.id):
        identities.update(
            change.connection,
            identity.id,
            now,
            provider_id=_mac(context, user, identity.provider_id),
            identity_data={},
            email=None if identity.email is None else _mac(context, user, identity.email),
        )


def _mac(context: IdentityContext, user: UserRecord, value: str) -> str:
    """Return what stands for a value: of one user, and good for no guessing without the key."""
    return throttle.counter_name(context, "deleted", f"{user.id}|{value}")
