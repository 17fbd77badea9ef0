"""Refresh tokens: a session's id and a counter under a MAC; nothing secret is stored (contract auth.md §2.6, v2).

base64url of `0x00 | session id, 16 bytes | counter, unsigned varint | HMAC-SHA-256 cut to 16 bytes | checksum, 4`.
The checksum tells a typing error from a forgery; only the MAC means anything. Never decides what a counter is worth:
that is a conditional UPDATE of the session's row.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from portero.crypto import base64url
from portero.crypto.macs import mac_with
from portero.errors import InvalidToken, TokenFault
from portero.ids import id_of

_MALFORMED: Final = "not the form of a refresh token"
_VERSION: Final = b"\x00"
_MAC_LENGTH = 16
_CHECKSUM_LENGTH = 4
_LONGEST_COUNTER = 9
_SHORTEST = 1 + 16 + 1 + _MAC_LENGTH + _CHECKSUM_LENGTH
_LONGEST = _SHORTEST - 1 + _LONGEST_COUNTER


def encode(session_id: UUID, counter: int, mac_key: bytes) -> str:
    """Write the refresh token of a session at a counter.

    >>> token = encode(UUID(int=1), 300, b"k" * 32)
    >>> decode(token, [b"k" * 32])
    (UUID('00000000-0000-0000-0000-000000000001'), 300)
    """
    body = _VERSION + session_id.bytes + _varint(counter)
    body += _mac(body, mac_key)
    return base64url.encode(body + _checksum(body))


def decode(token: str, mac_keys: Sequence[bytes]) -> tuple[UUID, int]:
    """Read a refresh token that one of the keys made.

    Args:
        token: what the caller sent; any text.
        mac_keys: the current key first, then those derived from former secrets.

    Raises:
        ValueError: it has not the form of a refresh token.
        InvalidToken: it has the form but was not made here (`SIGNATURE`).
    """
    body, counter, mac = _split(token)
    for key in mac_keys:
        if hmac.compare_digest(mac, _mac(body, key)):
            return id_of(int.from_bytes(body[1:17], "big")), counter
    raise InvalidToken(TokenFault.SIGNATURE, "refresh token")


def _split(token: str) -> tuple[bytes, int, bytes]:
    if len(token) > 2 * _LONGEST:
        raise ValueError(_MALFORMED)
    data = base64url.decode(token)
    if not _SHORTEST <= len(data) <= _LONGEST or not data.startswith(_VERSION):
        raise ValueError(_MALFORMED)
    signed, checksum = data[:-_CHECKSUM_LENGTH], data[-_CHECKSUM_LENGTH:]
    if not hmac.compare_digest(checksum, _checksum(signed)):
        raise ValueError(_MALFORMED)
    body, mac = signed[:-_MAC_LENGTH], signed[-_MAC_LENGTH:]
    counter = _read_varint(body[17:])
    if _varint(counter) != body[17:]:
        raise ValueError(_MALFORMED)
    return body, counter, mac


def _mac(body: bytes, key: bytes) -> bytes:
    return mac_with(key).of(body)[:_MAC_LENGTH]


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECKSUM_LENGTH]


def _varint(number: int) -> bytes:
    if number <= 0x7F:
        return number.to_bytes(1, "big")
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: bytes) -> int:
    if len(data) == 1:
        return data[0] & 0x7F
    return sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(data))
