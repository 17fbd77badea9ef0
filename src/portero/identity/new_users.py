"""How a user comes to be, whoever wants it: the row, and the identity that says the user is known by an address.

It decides nothing about who may; the unique index decides who was first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from portero.identity.context import Change
from portero.store import identities, users
from portero.store.identities import IdentityRecord
from portero.store.users import UserRecord

EMAIL: Final = "email"
PHONE: Final = "phone"
BY_EMAIL: Final[Mapping[str, Any]] = {"provider": EMAIL, "providers": [EMAIL]}


def insert_user(
    change: Change, email: str, password_hash: str | None, data: Mapping[str, Any], now: datetime, **columns: Any
) -> UserRecord:
    """Write a user with an e-mail address, and their identity; the address counts as proven by nobody.

    Args:
        columns: more of the row, such as `email_confirmed_at`.

    Raises:
        sqlalchemy.exc.IntegrityError: the address is taken.
    """
    user = with_address(email, password_hash, data, now, **columns)
    stored = users.insert(change.connection, user)
    insert_email_identity(change, stored, stored.last_sign_in_at, now, verified=False)
    return stored


def with_address(
    email: str, password_hash: str | None, data: Mapping[str, Any], now: datetime, **columns: Any
) -> UserRecord:
    """Return a user as a sign-up makes one; the facts about the address are ours, whatever `data` says."""
    user_id = uuid4()
    facts = {"sub": str(user_id), "email": email, "email_verified": "email_confirmed_at" in columns}
    members: dict[str, Any] = {"role": "authenticated", "app_metadata": BY_EMAIL, **columns}
    return UserRecord(
        id=user_id,
        email=email,
        password_hash=password_hash,
        user_metadata={**data, **facts, "phone_verified": False},
        created_at=now,
        updated_at=now,
        **members,
    )


def insert_email_identity(
    change: Change, user: UserRecord, signed_in_at: datetime | None, now: datetime, *, verified: bool
) -> IdentityRecord:
    """Write the identity that says a user is known by their e-mail address."""
    data = {"sub": str(user.id), "email": user.email, "email_verified": verified, "phone_verified": False}
    identity = IdentityRecord(
        user_id=user.id,
        provider=EMAIL,
        provider_id=str(user.id),
        identity_data=data,
        email=user.email,
        last_sign_in_at=signed_in_at,
        created_at=now,
        updated_at=now,
    )
    return identities.insert(change.connection, identity)


def email_identity(change: Change, user: UserRecord) -> IdentityRecord | None:
    """Return the identity that says a user is known by their address, if there is one."""
    return identities.by_provider(change.connection, EMAIL, str(user.id))


def is_proven(change: Change, user: UserRecord) -> bool:
    """Tell whether somebody proved that the user's address is theirs."""
    found = email_identity(change, user)
    return found is not None and found.identity_data.get("email_verified") is True


def note_proven(change: Change, user: UserRecord, now: datetime) -> None:
    """Write down that the user's present address is proven, on the identity that says it."""
    note_address(change, user, now, verified=True)


def note_phone(change: Change, user: UserRecord, now: datetime, *, verified: bool) -> None:
    """Write down that a user is known by their phone number, in the place of a former one."""
    data = {"sub": str(user.id), "phone": user.phone, "email_verified": False, "phone_verified": verified}
    found = identities.by_provider(change.connection, PHONE, str(user.id))
    if found is not None:
        identities.update(change.connection, found.id, now, identity_data=data)
        return
    identity = IdentityRecord(
        user_id=user.id,
        provider=PHONE,
        provider_id=str(user.id),
        identity_data=data,
        created_at=now,
        updated_at=now,
    )
    identities.insert(change.connection, identity)


def note_address(change: Change, user: UserRecord, now: datetime, *, verified: bool) -> None:
    """Write down that a user is known by their present address, in the place of a former one."""
    found = email_identity(change, user)
    if found is None:
        insert_email_identity(change, user, None, now, verified=verified)
        return
    data = {**found.identity_data, "email": user.email, "email_verified": verified}
    identities.update(change.connection, found.id, now, email=user.email, identity_data=data)
