"""What a mail carries to prove that it was read: a link's token, and six digits to type.

The token is 224 random bits, so its bare digest may be kept. The digits can all be tried, so what is kept of them is a
MAC under a key of the application, bound to one row and address; the tries are counted by who looks. Never keeps
either, never tells whether one was used. Obeys contract auth.md §4.4 (form) and threats MF-15, MF-20, MF-22.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import Final
from uuid import UUID

DIGITS: Final = 6
PKCE_PREFIX: Final = "pkce_"
_LINK_BYTES: Final = 28
_LONGEST: Final = 256


def make_link_token(*, pkce: bool = False) -> str:
    """Make a link's token: 56 hexadecimal characters, after `pkce_` where the link continues a PKCE flow.

    >>> len(make_link_token()), make_link_token(pkce=True)[:5]
    (56, 'pkce_')
    """
    return (PKCE_PREFIX if pkce else "") + secrets.token_hex(_LINK_BYTES)


def make_code() -> str:
    """Make a code: six decimal digits, each as likely as the other.

    >>> len(make_code()), make_code().isdigit()
    (6, True)
    """
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"


def digest(token: str) -> str:
    """Give what is kept of a token or a PKCE code; whatever text is sent has one.

    >>> digest("a") == digest("a"), len(digest("x" * 100_000))
    (True, 64)
    """
    return hashlib.sha256(b"portero/1/one-time" + token[:_LONGEST].encode("utf-8", "replace")).hexdigest()


def code_mac(code: str, row: UUID, address: str, key: bytes) -> str:
    """Give what is kept of a code.

    Args:
        code: the digits.
        row: the row that holds the MAC: a code is good for one request.
        address: whom it is sent to, in stored form.
        key: 32 bytes, from `derived_keys.derive`.
    """
    bound = row.bytes + address.encode() + b"\0" + code.encode("utf-8", "replace")
    return hmac.new(key, bound, hashlib.sha256).hexdigest()


def is_code(code: str, kept: str, row: UUID, address: str, keys: Iterable[bytes]) -> bool:
    """Tell whether a code is the one whose MAC is kept, under the present or a former key.

    >>> row, key = UUID(int=1), b"k" * 32
    >>> kept = code_mac("123456", row, "a@b.org", key)
    >>> is_code("123456", kept, row, "a@b.org", [b"n" * 32, key]), is_code("123457", kept, row, "a@b.org", [key])
    (True, False)
    """
    return any(hmac.compare_digest(code_mac(code, row, address, key), kept) for key in keys)


def fits_challenge(verifier: str, challenge: str, method: str) -> bool:
    """Tell whether a PKCE verifier is the one a challenge was made from (RFC 7636 §4.6).

    Args:
        verifier: what the client kept.
        challenge: what it sent at the start.
        method: `s256` or `plain`.

    >>> verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    >>> challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    >>> fits_challenge(verifier, challenge, "s256"), fits_challenge(verifier, challenge, "plain")
    (True, False)
    """
    given = verifier.encode("utf-8", "replace")
    if method == "s256":
        given = urlsafe_b64encode(hashlib.sha256(given).digest()).rstrip(b"=")
    return hmac.compare_digest(given, challenge.encode())
