"""Tokens as an attacker would build them: any header, any payload, any bytes as signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

SECRET = b"kX9vT2mQ7bW4pL8sD1fG6hJ3nR5cY0zA"


def b64(data: bytes | str) -> str:
    """Write base64url without padding."""
    raw = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def part(value: Any) -> str:
    """Write a part of a token: text and bytes as they are, everything else as JSON."""
    return b64(value if isinstance(value, bytes | str) else json.dumps(value))


def hmac_token(header: Any, payload: Any, secret: bytes | str = SECRET, hash_name: str = "sha256") -> str:
    """Sign whatever is given with HMAC."""
    key = secret.encode() if isinstance(secret, str) else secret
    signing_input = f"{part(header)}.{part(payload)}"
    return f"{signing_input}.{b64(hmac.new(key, signing_input.encode(), getattr(hashlib, hash_name)).digest())}"
