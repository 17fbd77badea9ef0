"""Keys for single purposes, derived from the application's one secret (HKDF-SHA256, RFC 5869).

`JWT_SECRET_KEY` signs tokens; every other job gets a key of its own under a label, so that a weakness in one job
says nothing about another. Never derives a key for signing tokens, never stores one.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

REFRESH_TOKEN_MAC: Final = "refresh-token-mac"  # noqa: S105 - a label
SEAL_SIGNING_KEYS: Final = "seal-signing-keys"
SEAL_FACTORS: Final = "seal-factors"
ONE_TIME_CODES: Final = "one-time-codes"
SEAL_OUTBOX: Final = "seal-outbox"
THROTTLE: Final = "throttle"
CSRF: Final = "csrf"

_PREFIX = "portero/1/"


def derive(secret: bytes, label: str, length: int = 32) -> bytes:
    """Derive the key for one purpose.

    Args:
        secret: the application's secret, already judged by `secret_rules.check_secret`.
        label: the purpose; a constant of this module.
        length: bytes wanted.

    >>> derive(b"s" * 32, "a") == derive(b"s" * 32, "a")
    True
    >>> derive(b"s" * 32, "a") == derive(b"s" * 32, "b")
    False
    """
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=(_PREFIX + label).encode()).derive(secret)
