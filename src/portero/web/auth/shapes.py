"""The JSON of users, identities, factors and sessions, exactly (auth.md §2.1–2.4).

What is never null is never left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final

from portero.identity.context import Account, SignedIn
from portero.store.factors import FactorRecord
from portero.store.identities import IdentityRecord
from portero.store.sessions import SessionRecord
from portero.store.users import UserRecord

#: Left out when unset; in the contract's order.
_INSTANTS: Final = (
    "email_confirmed_at",
    "phone_confirmed_at",
    "invited_at",
    "confirmation_sent_at",
    "recovery_sent_at",
    "email_change_sent_at",
    "phone_change_sent_at",
    "reauthentication_sent_at",
    "last_sign_in_at",
    "banned_until",
    "deleted_at",
)
_instants_of: Final = attrgetter(*_INSTANTS)
_WEAK: Final = "Your password no longer meets the requirements; please choose another."


def user_json(account: Account) -> dict[str, Any]:
    """Return the User of the contract."""
    user = account.user
    body: dict[str, Any] = {
        "id": user.id,
        "aud": user.aud,
        "role": user.role,
        "email": user.email or "",
        "phone": user.phone or "",
        **_set_instants(user),
        "app_metadata": dict(user.app_metadata),
        "user_metadata": dict(user.user_metadata),
        "identities": [identity_json(identity) for identity in account.identities],
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "is_anonymous": user.is_anonymous,
    }
    if account.factors:
        body["factors"] = [factor_json(factor) for factor in account.factors]
    if user.email_change:
        body["new_email"] = user.email_change
    if user.phone_change:
        body["new_phone"] = user.phone_change
    return body


def factor_json(factor: FactorRecord) -> dict[str, Any]:
    """Return the Factor of the contract; its secret is shown once, by the enrolment."""
    body: dict[str, Any] = {
        "id": factor.id,
        "created_at": factor.created_at,
        "updated_at": factor.updated_at,
        "status": factor.status,
        "factor_type": factor.factor_type,
        "phone": "",
        "last_challenged_at": factor.last_challenged_at,
    }
    return body | ({"friendly_name": factor.friendly_name} if factor.friendly_name else {})


def identity_json(identity: IdentityRecord) -> dict[str, Any]:
    """Return the Identity of the contract: `id` is the provider's subject, `identity_id` our own."""
    body: dict[str, Any] = {
        "identity_id": identity.id,
        "id": identity.provider_id,
        "user_id": identity.user_id,
        "identity_data": dict(identity.identity_data),
        "provider": identity.provider,
        "created_at": identity.created_at,
        "updated_at": identity.updated_at,
    }
    if identity.last_sign_in_at is not None:
        body["last_sign_in_at"] = identity.last_sign_in_at
    if identity.email:
        body["email"] = identity.email
    return body


def listed_session_json(session: SessionRecord) -> dict[str, Any]:
    """Return a session as its user sees it; no token stands in it."""
    return {
        "id": session.id,
        "created_at": session.created_at,
        "refreshed_at": session.refreshed_at,
        "ip": session.address or "",
        "user_agent": session.user_agent or "",
        "aal": session.aal,
        "amr": list(session.amr),
    }


def session_json(signed_in: SignedIn) -> dict[str, Any]:
    """Return the token response of the contract; it holds the tokens, so it is never logged or cached."""
    body: dict[str, Any] = {
        "access_token": signed_in.access_token,
        "token_type": "bearer",
        "expires_in": signed_in.expires_in,
        "expires_at": int(signed_in.expires_at.timestamp()),
        "refresh_token": signed_in.refresh_token,
        "user": user_json(signed_in.account),
    }
    if signed_in.weak_password:
        body["weak_password"] = {"message": _WEAK, "reasons": list(signed_in.weak_password)}
    return body


def rfc3339(instant: datetime) -> str:
    """Write an instant as the contract does: UTC, with Z.

    >>> rfc3339(datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC))
    '2026-01-02T03:04:05.000600Z'
    """
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _set_instants(user: UserRecord) -> dict[str, datetime]:
    found = {name: at for name, at in zip(_INSTANTS, _instants_of(user), strict=True) if at is not None}
    # The earlier of the two confirmations; the contract keeps it as a generated column.
    confirmed = [at for at in (user.email_confirmed_at, user.phone_confirmed_at) if at is not None]
    if confirmed:
        found["confirmed_at"] = min(confirmed)
    return found
