"""Users, for a developer's own code: `from portero import users`. Each change is audited, and works on the current app.

What takes a right away (ban, password, role, deletion) ends the user's sessions in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from portero.identity import admin
from portero.identity.admin import FOREVER, NewUser, Page
from portero.store.users import UserRecord
from portero.web.runtime import runtime

__all__ = [
    "FOREVER",
    "Page",
    "UserRecord",
    "ban",
    "create",
    "delete",
    "end_sessions",
    "find",
    "page",
    "set_metadata",
    "set_password",
    "set_role",
    "unban",
]


def create(
    *,
    email: str | None = None,
    username: str | None = None,
    password: str | None = None,
    role: str = "authenticated",
    user_metadata: Mapping[str, Any] | None = None,
    app_metadata: Mapping[str, Any] | None = None,
) -> UserRecord:
    """Make a user with an e-mail address, a user name, or both.

    Raises:
        AuthError: 400 validation_failed; 422 weak_password, email_exists, user_already_exists.
    """
    new = NewUser(
        email=email,
        username=username,
        password=password,
        role=role,
        user_metadata=user_metadata or {},
        app_metadata=app_metadata or {},
    )
    return admin.create(runtime().identity, new, _now()).user


def find(login: str) -> UserRecord | None:
    """Give the user with this e-mail address, user name or id, or None."""
    account = admin.find(runtime().identity, login)
    return account.user if account else None


def page(number: int = 1, size: int = 50) -> Page:
    """Give one page of users, newest first; `size` is at most 1000.

    Raises:
        AuthError: 400 validation_failed.
    """
    return admin.page(runtime().identity, number=number, size=size)


def ban(user_id: UUID, duration: timedelta = FOREVER) -> UserRecord:
    """Ban a user, and end their sessions.

    Raises:
        AuthError: 404 user_not_found.
    """
    return admin.ban(runtime().identity, user_id, _now(), duration).user


def unban(user_id: UUID) -> UserRecord:
    """Lift a ban; ended sessions stay ended.

    Raises:
        AuthError: 404 user_not_found.
    """
    return admin.unban(runtime().identity, user_id, _now()).user


def delete(user_id: UUID) -> None:
    """Delete a user with sessions and identities.

    Raises:
        AuthError: 404 user_not_found; 409 conflict: rows of the application refer to the user.
    """
    admin.delete(runtime().identity, user_id, _now())


def set_password(user_id: UUID, password: str) -> UserRecord:
    """Set a password, and end the user's sessions.

    Raises:
        AuthError: 404 user_not_found; 422 weak_password.
    """
    return admin.set_password(runtime().identity, user_id, password, _now()).user


def set_role(user_id: UUID, role: str) -> UserRecord:
    """Set the role of a user's tokens, and end the user's sessions.

    Raises:
        AuthError: 404 user_not_found; 400 validation_failed.
    """
    return admin.set_role(runtime().identity, user_id, role, _now()).user


def set_metadata(
    user_id: UUID,
    *,
    user_metadata: Mapping[str, Any] | None = None,
    app_metadata: Mapping[str, Any] | None = None,
) -> UserRecord:
    """Merge metadata into a user's; a None takes a member away. Policies see it at once.

    Raises:
        AuthError: 404 user_not_found.
    """
    identity = runtime().identity
    changed = admin.set_metadata(identity, user_id, _now(), user_metadata=user_metadata, app_metadata=app_metadata)
    return changed.user


def end_sessions(user_id: UUID) -> int:
    """End all sessions of a user, and give how many there were.

    Raises:
        AuthError: 404 user_not_found.
    """
    return admin.end_sessions(runtime().identity, user_id, _now())


def _now() -> datetime:
    return datetime.now(UTC)
