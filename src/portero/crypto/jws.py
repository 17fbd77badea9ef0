"""Signed tokens in the compact form, read so strictly that nothing can be two things (RFC 7515, RFC 8725).

Three parts, strict base64url, one strict JSON object as header with `alg`, `kid` and `typ` and nothing else: what a
header could bring along (`jwk`, `jku`, `x5u`, `x5c`, `crit`, `b64`, `zip`) is refused, not ignored. Five-part
(encrypted) tokens and JSON serializations are refused by form. Never fetches a key, never knows what a payload means,
raises InvalidToken only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Final

from portero import strict_json
from portero.crypto import base64url
from portero.crypto.algorithms import ALGORITHMS
from portero.crypto.keyring import KeySet, SigningKey, VerificationKey
from portero.errors import InvalidToken, TokenFault
from portero.figures import kept
from portero.records import dataclass

LONGEST_TOKEN: Final = 4096
LONGEST_HEADER: Final = 512
LONGEST_KID: Final = 64
#: `typ` without regard to case and without the optional `application/` (RFC 7515 §4.1.9).
TYPES: Final = frozenset({"jwt", "at+jwt"})

_USUAL: Final[Mapping[str, str]] = {"typ": "JWT"}
_HEADER_NAMES = frozenset({"alg", "kid", "typ"})
#: What would change how a token is read or which key verifies it: refused also where foreign names are let pass.
_DANGEROUS_NAMES = frozenset(
    {"crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "zip", "enc", "p2s", "p2c", "epk", "apu", "apv"}
)


@dataclass(frozen=True, slots=True)
class UnverifiedJws:
    """A token taken apart. Nothing of it may be believed yet, but it may be refused by what it says.

    Attributes:
        header: `alg`, and `kid` and `typ` where they are given; all are texts.
        payload: the decoded second part.
        signing_input: what was signed.
        signature: the decoded third part.
    """

    header: Mapping[str, str]
    payload: bytes
    signing_input: bytes
    signature: bytes

    @property
    def kid(self) -> str | None:
        """The name of the key, if the header has one."""
        return self.header.get("kid")

    @property
    def alg(self) -> str:
        """The algorithm that the header names; one of `ALGORITHMS`."""
        return self.header["alg"]


@dataclass(frozen=True, slots=True)
class VerifiedJws:
    """A token whose signature fits.

    Attributes:
        header: what was signed as header.
        payload: what was signed.
        key: the key that fitted.
    """

    header: Mapping[str, str]
    payload: bytes
    key: VerificationKey = field(repr=False)


def parse(token: str, *, foreign_headers: bool = False) -> UnverifiedJws:
    """Take a token apart.

    Args:
        token: whatever was sent.
        foreign_headers: let other harmless text-valued header names pass (a developer's own tokens may have some).

    Raises:
        InvalidToken: `TOO_LONG`, `PARTS`, `ENCODING`, `JSON`, `HEADER`, `TYPE` or `ALGORITHM`.
    """
    # The size first: whatever follows is then bounded (CVE-2025-61920).
    if len(token) > LONGEST_TOKEN:
        raise InvalidToken(TokenFault.TOO_LONG)
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidToken(TokenFault.PARTS)
    head, body, tail = parts
    if len(head) > LONGEST_HEADER:
        raise InvalidToken(TokenFault.TOO_LONG, "header")
    try:
        payload, signature = base64url.decode(body), base64url.decode(tail)
    except ValueError:
        raise InvalidToken(TokenFault.ENCODING) from None
    return UnverifiedJws(_header(head, foreign_headers), payload, f"{head}.{body}".encode("ascii"), signature)


def check_signature(token: UnverifiedJws, keys: KeySet) -> VerifiedJws:
    """Check the signature with the keys that its header allows.

    Raises:
        InvalidToken: `KEY`, `ALGORITHM` or `SIGNATURE`.
    """
    for key in keys.find(token.kid, token.alg):
        if len(token.signature) == key.signature_length and key.fits(token.signing_input, token.signature):
            return VerifiedJws(token.header, token.payload, key)
    raise InvalidToken(TokenFault.SIGNATURE)


def verify(token: str, keys: KeySet) -> VerifiedJws:
    """Verify a compact JWS.

    Raises:
        InvalidToken: whatever is wrong with it; no other exception leaves, whatever the text.
    """
    return check_signature(parse(token), keys)


def sign(header: Mapping[str, str], payload: bytes, key: SigningKey) -> str:
    """Make a compact JWS; `alg` and `kid` come from the key.

    >>> from portero.crypto.keyring import shared_signing_key
    >>> sign({"typ": "JWT"}, b"{}", shared_signing_key(b"s" * 32)).split(".")[:2]
    ['eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9', 'e30']
    """
    head = _usual_head(key.alg, key.kid) if header == _USUAL else _head(key.alg, key.kid, header)
    signing_input = f"{head}.{base64url.encode(payload)}"
    return f"{signing_input}.{base64url.encode(key.sign(signing_input.encode()))}"


def has_foreign_header(header: Mapping[str, str]) -> bool:
    """Say whether a header holds more than `alg`, `kid` and `typ`."""
    return not _HEADER_NAMES.issuperset(header)


# An application has a few keys at one time.
@kept("token_heads", 64)
def _usual_head(alg: str, kid: str | None) -> str:
    return _head(alg, kid, _USUAL)


def _head(alg: str, kid: str | None, header: Mapping[str, str]) -> str:
    """Write the first part of a token."""
    members = {"alg": alg, **({"kid": kid} if kid else {}), **header}
    return base64url.encode(json.dumps(members, separators=(",", ":")).encode())


# All tokens of a key have one header: it is read once. Refusals are not kept, and no header is longer than 512 letters.
@kept("token_headers", 256)
def _header(head: str, foreign_headers: bool) -> Mapping[str, str]:
    try:
        data = base64url.decode(head)
    except ValueError:
        raise InvalidToken(TokenFault.ENCODING) from None
    try:
        header: Any = strict_json.parse(data, max_depth=2)
    except ValueError:
        raise InvalidToken(TokenFault.JSON, "header") from None
    if not isinstance(header, dict):
        raise InvalidToken(TokenFault.JSON, "header")
    if has_foreign_header(header) and not (foreign_headers and _DANGEROUS_NAMES.isdisjoint(header)):
        raise InvalidToken(TokenFault.HEADER)
    if not all(isinstance(value, str) for value in header.values()):
        raise InvalidToken(TokenFault.HEADER)
    # Exact and case-sensitive, before any key is looked for: `none` in any spelling ends here.
    if header.get("alg") not in ALGORITHMS:
        raise InvalidToken(TokenFault.ALGORITHM)
    if "kid" in header and not 0 < len(header["kid"]) <= LONGEST_KID:
        raise InvalidToken(TokenFault.HEADER, "kid")
    if "typ" in header and header["typ"].lower().removeprefix("application/") not in TYPES:
        raise InvalidToken(TokenFault.TYPE)
    return MappingProxyType(header)
