"""The signature algorithms a key may have: one table, closed, matched by exact name (RFC 7518 §3.1, RFC 8037).

`none` is not in it and cannot be. Never chooses by what a token says: a key has exactly one algorithm, and a token that
names another one is refused before anything is computed (RFC 8725 §3.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from jwt.algorithms import get_default_algorithms

from portero.records import dataclass


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One signature algorithm.

    Attributes:
        name: the `alg` value.
        key_type: the only `kty` that fits.
        hash_name: of HMAC algorithms, for `hmac`; "" for the others.
        curve: the only `crv` that fits; "" where there is none.
        signature_length: bytes; 0 where it is the key's (RSA: the modulus).
        primitive: PyJWT's object for it, over cryptography.
    """

    name: str
    key_type: str
    hash_name: str
    curve: str
    signature_length: int
    primitive: Any


_PRIMITIVES = get_default_algorithms()
_ROWS: tuple[tuple[str, str, str, str, int], ...] = (
    ("HS256", "oct", "sha256", "", 32),
    ("HS384", "oct", "sha384", "", 48),
    ("HS512", "oct", "sha512", "", 64),
    ("RS256", "RSA", "", "", 0),
    ("RS384", "RSA", "", "", 0),
    ("RS512", "RSA", "", "", 0),
    ("PS256", "RSA", "", "", 0),
    ("PS384", "RSA", "", "", 0),
    ("PS512", "RSA", "", "", 0),
    ("ES256", "EC", "", "P-256", 64),
    ("ES384", "EC", "", "P-384", 96),
    ("ES512", "EC", "", "P-521", 132),
    ("EdDSA", "OKP", "", "Ed25519", 64),
)

ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType(
    {row[0]: Algorithm(*row, primitive=_PRIMITIVES[row[0]]) for row in _ROWS}
)
