"""API keys: random texts that say which application calls, as clients know them (`sb_publishable_…`, `sb_secret_…`).

A publishable key is public (it stands in browsers) and gives the role `anon`; a secret key gives `service_role`.
Never a JWT, never stored in the clear if secret: `digest` is what a table keeps (contract auth.md §5).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final, Literal

from portero.crypto import base64url

ApiKeyKind = Literal["publishable", "secret"]

PREFIX: Final = "sb_"
_PREFIXES: Final[dict[ApiKeyKind, str]] = {"publishable": "sb_publishable_", "secret": "sb_secret_"}
_RANDOM_BYTES = 24
_CHECKSUM_LENGTH = 8


def generate(kind: ApiKeyKind) -> str:
    """Make a new key: its prefix, 192 random bits, and eight characters of checksum (so that scanners can know one).

    >>> generate("publishable").startswith("sb_publishable_")
    True
    """
    body = _PREFIXES[kind] + secrets.token_urlsafe(_RANDOM_BYTES)
    return f"{body}_{_checksum(body)}"


def kind_of(key: str) -> ApiKeyKind | None:
    """Say which kind a text claims to be, or None where prefix or checksum is wrong.

    >>> kind_of(generate("secret")), kind_of("sb_secret_guess"), kind_of("eyJ…")
    ('secret', None, None)
    """
    if len(key) > 128 or not key.isascii():
        return None
    body, _, checksum = key[: -_CHECKSUM_LENGTH - 1], key[-_CHECKSUM_LENGTH - 1 : -_CHECKSUM_LENGTH], key[-8:]
    if not hmac.compare_digest(_checksum(body), checksum):
        return None
    return next((kind for kind, prefix in _PREFIXES.items() if key.startswith(prefix)), None)


def digest(key: str) -> str:
    """Give what is stored of a key: SHA-256 in hexadecimal (the key holds 192 random bits, so no salt is needed)."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(body: str) -> str:
    return base64url.encode(hashlib.sha256(body.encode()).digest()[:6])
