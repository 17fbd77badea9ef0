"""Bytes sealed for the database: AES-256-GCM under a key derived from the secret, bound to the row they belong to.

A copy of the database alone then holds no private key. Never decides which secret to use: the caller gives the keys,
newest first, so that a secret can be changed without losing what the former one sealed.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_NONCE_LENGTH = 12


def seal(data: bytes, key: bytes, context: str) -> bytes:
    """Seal bytes.

    Args:
        data: what is to be kept.
        key: 32 bytes, from `derived_keys.derive`.
        context: what the data belongs to (a key's `kid`); `unseal` must be given the same.
    """
    nonce = secrets.token_bytes(_NONCE_LENGTH)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, data, context.encode())


def unseal(sealed: bytes, keys: Sequence[bytes], context: str) -> tuple[bytes, bytes]:
    """Open what `seal` made, with the first key that fits.

    >>> unseal(seal(b"data", b"k" * 32, "row"), [b"n" * 32, b"k" * 32], "row")[0]
    b'data'

    Returns:
        The data, and the key that fitted (not the first one: time to seal again).

    Raises:
        ValueError: no key fits, or it is not sealed data.
    """
    if not sealed.startswith(_VERSION):
        raise ValueError("not sealed data")
    nonce, data = sealed[1 : 1 + _NONCE_LENGTH], sealed[1 + _NONCE_LENGTH :]
    if len(nonce) != _NONCE_LENGTH:
        raise ValueError("not sealed data")
    for key in keys:
        try:
            return AESGCM(key).decrypt(nonce, data, context.encode()), key
        except InvalidTag:
            continue
    raise ValueError("no key opens it")
