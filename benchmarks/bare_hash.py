"""What the password hash alone costs on this core: verifications a second, nothing around them.

It is argon2-cffi as anybody uses it, in one thread, with Portero's parameters; with a second argument it is libsodium,
which Portero uses (docs/decisions/0013-libsodium.md). Nothing of Portero's own is in it. A program of its own, so that
it runs on the server's core: `python -m benchmarks.bare_hash SECONDS [libsodium]`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import argon2
import nacl.pwhash

from benchmarks.data import PASSWORD

#: Those of `portero.crypto.passwords.Passwords`.
PASSES, KIBIBYTES, LANES = 2, 19456, 1


def rate(seconds: float, verify: Callable[[], object]) -> float:
    """Verify one password over and over."""
    verify()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        verify()
        done += 1
    return done / (time.perf_counter() - began)


def verifier(name: str) -> Callable[[], object]:
    """Give what verifies the password: `argon2-cffi` or `libsodium`."""
    hasher = argon2.PasswordHasher(PASSES, KIBIBYTES, LANES, hash_len=32, salt_len=16)
    stored = hasher.hash(PASSWORD)
    if name == "libsodium":
        return lambda: nacl.pwhash.verify(stored.encode(), PASSWORD.encode())
    return lambda: hasher.verify(stored, PASSWORD)


if __name__ == "__main__":
    print(rate(float(sys.argv[1]), verifier((sys.argv[2:] or ["argon2-cffi"])[0])))
