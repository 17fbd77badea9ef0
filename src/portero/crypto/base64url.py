"""Strict base64url: exactly one text for each sequence of bytes (RFC 4648 §5 without padding, RFC 7515 §2).

A token must not have a second spelling: whoever keys anything by its text (a cache, a log) would be fooled.
Never tolerant: padding, white space, `+`, `/`, other characters and non-zero spare bits are all refused.
"""

from __future__ import annotations

import binascii
from typing import Final

_FROM_URLS: Final = bytes.maketrans(b"-_", b"+/")


def encode(data: bytes) -> str:
    """Write bytes as base64url without padding.

    >>> encode(bytes([251, 255]))
    '-_8'
    """
    # Two searches for rare letters; `translate` would look at every one.
    text = binascii.b2a_base64(data, newline=False).rstrip(b"=").decode("ascii")
    return text.replace("+", "-").replace("/", "_")


def decode(text: str) -> bytes:
    """Read base64url written exactly as `encode` writes it.

    >>> decode("-_8")
    b'\\xfb\\xff'
    >>> decode("-_9")
    Traceback (most recent call last):
    ...
    ValueError: not strict base64url

    Raises:
        ValueError: any other spelling; the message holds nothing of the text.
    """
    try:
        data = binascii.a2b_base64((text + "=" * (-len(text) % 4)).encode("ascii").translate(_FROM_URLS))
    except ValueError:
        raise ValueError("not strict base64url") from None
    # Python's decoder skips foreign characters and ignores spare bits: writing the bytes again shows both.
    if encode(data) != text:
        raise ValueError("not strict base64url")
    return data
