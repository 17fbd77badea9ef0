"""What hooks are given, for a developer's own annotations: `from portero.hooks import BeforeUserCreated`."""

from portero.errors import Refused
from portero.identity.hooks import (
    AfterUserCreated,
    BeforeUserCreated,
    CustomAccessToken,
    MfaVerificationAttempt,
    PasswordVerificationAttempt,
    SendEmail,
    on,
)

__all__ = [
    "AfterUserCreated",
    "BeforeUserCreated",
    "CustomAccessToken",
    "MfaVerificationAttempt",
    "PasswordVerificationAttempt",
    "Refused",
    "SendEmail",
    "on",
]
