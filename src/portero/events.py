"""The closed list of things that happen. Audit, logs and metrics hang on it; nothing else formats a log line.

An event never holds a secret: no password, token, code or key, and no address of somebody who is not a user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from portero.records import dataclass


class Happening(StrEnum):
    """What happened; the value is what the audit table and the log line hold."""

    USER_CREATED = "user_created"
    USER_UPDATED = "user_updated"
    USER_BANNED = "user_banned"
    USER_DELETED = "user_deleted"
    PASSWORD_CHANGED = "password_changed"
    ROLE_CHANGED = "role_changed"
    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGN_IN_THROTTLED = "sign_in_throttled"
    MAIL_REQUESTED = "mail_requested"
    EMAIL_CONFIRMED = "email_confirmed"
    EMAIL_CHANGED = "email_changed"
    LINK_GENERATED = "link_generated"
    LINK_REFUSED = "link_refused"
    CREDENTIALS_REMOVED = "credentials_removed"
    SESSION_REFRESHED = "session_refreshed"
    SESSION_ENDED = "session_ended"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    FACTOR_ENROLLED = "factor_enrolled"
    FACTOR_CHALLENGED = "factor_challenged"
    FACTOR_VERIFIED = "factor_verified"
    FACTOR_REFUSED = "factor_refused"
    FACTOR_THROTTLED = "factor_throttled"
    FACTOR_REMOVED = "factor_removed"
    RECOVERY_CODES_CREATED = "recovery_codes_created"
    KEY_CREATED = "key_created"
    KEY_ROTATED = "key_rotated"
    KEY_RETIRED = "key_retired"
    API_KEY_CREATED = "api_key_created"
    API_KEY_REVOKED = "api_key_revoked"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        happening: what.
        at: when, UTC.
        user_id: whom it concerns, if a user.
        session_id: the session it happened in or to.
        address: the caller's network address, as text, or "" (command line).
        details: plain facts (`scope`, `grant`, `kid`); never secrets.
    """

    happening: Happening
    at: datetime
    user_id: UUID | None = None
    session_id: UUID | None = None
    address: str = ""
    details: Mapping[str, str | int | bool] = field(default_factory=dict)
