"""HMAC-SHA-256 with kept states: byte for byte the standard library's."""

from __future__ import annotations

import hmac
from concurrent.futures import ThreadPoolExecutor

import pytest

from portero.crypto.macs import Mac, mac_with


@pytest.mark.parametrize("length", [0, 1, 31, 32, 63, 64, 65, 200])
def test_every_mac_is_the_standard_librarys(length: int) -> None:
    key = bytes(range(256))[:length]
    for message in (b"", b"x", b"\0" * 55, b"\0" * 64, b"message " * 1000):
        assert hmac.digest(key, message, "sha256") == Mac(key).of(message) == mac_with(key).of(message)


def test_threads_share_one_without_mixing_their_messages() -> None:
    mac, messages = mac_with(b"k" * 32), [str(number).encode() * 500 for number in range(400)]
    with ThreadPoolExecutor(8) as threads:
        assert [hmac.digest(b"k" * 32, each, "sha256") for each in messages] == list(threads.map(mac.of, messages))
