"""HMAC-SHA-256 (RFC 2104) with a key that many messages are authenticated with.

What the key alone determines, the hash's state after its first block inside and outside, is computed once; a message is
hashed on from copies of both. `hmac.digest` begins anew each time and looks up its hash by name, which costs four times
as much. It compares nothing, and knows of no key where it comes from.
"""

from __future__ import annotations

import hashlib
from typing import Final

from portero.figures import kept

_BLOCK: Final = 64
_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class Mac:
    """HMAC-SHA-256 under one key; shared by threads.

    >>> Mac(b"key").of(b"The quick brown fox jumps over the lazy dog").hex()
    'f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8'
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(block.translate(_INNER))
        self._outer = hashlib.sha256(block.translate(_OUTER))

    def of(self, message: bytes) -> bytes:
        """Compute the 32 bytes of a message."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


# An application has a handful of keys, and former ones of each while secrets are replaced.
@kept("macs", 64)
def mac_with(key: bytes) -> Mac:
    """Give the HMAC of a key, made once; for keys of the application only, as it keeps them."""
    return Mac(key)
