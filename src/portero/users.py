"""Users, for a developer's own code: `from portero import users`. Each change is audited, and works on the current app.

What takes a right away (ban, password, role, deletion) ends the user's sessions in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from portero.identity import admin, admin_update, generated_links, invitation, mfa, redirects, soft_deletion
from portero.identity import sessions as identity_sessions
from portero.identity.admin import FOREVER, NO_CALLER, NewUser, Page
from portero.identity.admin_update import Changes
from portero.identity.generated_links import GeneratedLink, LinkWish
from portero.store.factors import FactorRecord
from portero.store.sessions import SessionRecord
from portero.store.users import UserRecord
from portero.web.runtime import runtime

__all__ = [
    "FOREVER",
    "FactorRecord",
    "GeneratedLink",
    "Page",
    "SessionRecord",
    "UserRecord",
    "ban",
    "create",
    "delete",
    "end_session",
    "end_sessions",
    "factors",
    "find",
    "generate_link",
    "invite",
    "page",
    "remove_factor",
    "sessions",
    "set_metadata",
    "set_password",
    "set_role",
    "unban",
    "update",
]


def create(
    *,
    email: str | None = None,
    username: str | None = None,
    password: str | None = None,
    password_hash: str | None = None,
    role: str = "authenticated",
    user_metadata: Mapping[str, Any] | None = None,
    app_metadata: Mapping[str, Any] | None = None,
    email_confirm: bool = True,
    id: UUID | None = None,
) -> UserRecord:
    """Make a user with an e-mail address, a user name, or both; nothing is mailed.

    Args:
        email: the address.
        username: a name to sign in with.
        password: judged like anybody's.
        password_hash: instead: argon2 or bcrypt, from elsewhere; renewed at the first sign-in.
        role: of the user's tokens.
        user_metadata: what the user may change.
        app_metadata: what only administrators change.
        email_confirm: the address is known to be the user's.
        id: for who is brought along from elsewhere; default: a random one.

    Raises:
        AuthError: 400 validation_failed; 422 weak_password, email_exists, user_already_exists.
    """
    new = NewUser(
        email=email,
        username=username,
        password=password,
        password_hash=password_hash,
        role=role,
        user_metadata=user_metadata or {},
        app_metadata=app_metadata or {},
        email_confirm=email_confirm,
        id=id,
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


def delete(user_id: UUID, *, softly: bool = False) -> None:
    """Delete a user with sessions and identities.

    Args:
        user_id: whom.
        softly: keep the emptied row, because rows of the application refer to it; the address is free again.

    Raises:
        AuthError: 404 user_not_found; 409 conflict: rows of the application refer to the user.
    """
    if softly:
        soft_deletion.delete_softly(runtime().identity, user_id, NO_CALLER, _now())
    else:
        admin.delete(runtime().identity, user_id, _now())


def update(
    user_id: UUID,
    *,
    email: str | None = None,
    email_confirm: bool = False,
    password: str | None = None,
    password_hash: str | None = None,
    role: str | None = None,
    user_metadata: Mapping[str, Any] | None = None,
    app_metadata: Mapping[str, Any] | None = None,
) -> UserRecord:
    """Change several things about a user in one transaction; what takes a right away ends the user's sessions.

    Raises:
        AuthError: 404 user_not_found; 400 validation_failed; 422 weak_password, email_exists.
    """
    wanted = Changes(
        email=email,
        email_confirm=email_confirm,
        password=password,
        password_hash=password_hash,
        role=role,
        user_metadata=user_metadata,
        app_metadata=app_metadata,
    )
    return admin_update.update(runtime().identity, user_id, wanted, NO_CALLER, _now()).user


def invite(email: str, *, data: Mapping[str, Any] | None = None, redirect_to: str = "") -> UserRecord:
    """Make a user and mail an invitation.

    Raises:
        AuthError: 400 validation_failed; 422 email_exists (confirmed), email_provider_disabled (no mail server).
    """
    found = invitation.invite(runtime().identity, email, data, _redirect(redirect_to), NO_CALLER, _now())
    return found.user


def generate_link(
    type: str,
    email: str,
    *,
    new_email: str = "",
    password: str = "",
    data: Mapping[str, Any] | None = None,
    redirect_to: str = "",
) -> GeneratedLink:
    """Make a link and a code, to be handed over by other ways than Portero's mail.

    Args:
        type: signup, magiclink, recovery, invite, email_change_current or email_change_new.
        email: whose.
        new_email: of an address change.
        password: of a sign-up.
        data: `user_metadata` of somebody new.
        redirect_to: where the link leads; it has to be allowed.

    Raises:
        AuthError: 400 validation_failed; 404 user_not_found; 422 email_exists, weak_password.
    """
    wish = LinkWish(
        type=type,
        email=email,
        new_email=new_email,
        password=password,
        data=data,
        redirect_to=_redirect(redirect_to),
    )
    return generated_links.generate(runtime().identity, wish, NO_CALLER, _now())


def factors(user_id: UUID) -> tuple[FactorRecord, ...]:
    """Give a user's second factors, oldest first.

    Raises:
        AuthError: 404 user_not_found.
    """
    return admin.get(runtime().identity, user_id).factors


def remove_factor(user_id: UUID, factor_id: UUID) -> FactorRecord:
    """Remove a second factor of a user who lost it; sessions it raised fall back to aal1.

    Raises:
        AuthError: 404 user_not_found, mfa_factor_not_found.
    """
    return mfa.remove(runtime().identity, user_id, factor_id, _now())


def sessions(user_id: UUID) -> tuple[SessionRecord, ...]:
    """Give the sessions of a user that stand, newest first; `get_jwt()["session_id"]` is the present one's id."""
    return identity_sessions.of_user(runtime().identity, user_id, _now())


def end_session(user_id: UUID, session_id: UUID) -> None:
    """End one session of a user; its tokens are refused from the next request on.

    Raises:
        AuthError: 404 session_not_found: also if it is somebody else's.
    """
    identity_sessions.end_one(runtime().identity, user_id, session_id, NO_CALLER, _now())


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


def _redirect(asked: str) -> str:
    return redirects.choose((asked,), None, runtime().settings)


def _now() -> datetime:
    return datetime.now(UTC)
