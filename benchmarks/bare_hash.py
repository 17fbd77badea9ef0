"""What the password hash alone costs on this core: verifications a second, nothing around them.

It is argon2-cffi as anybody uses it, in one thread, with Portero's parameters; nothing of Portero's own is in it. A
program of its own, so that it runs on the server's core: `python -m benchmarks.bare_hash SECONDS`.
"""

from __future__ import annotations

import sys
import time

import argon2

from benchmarks.data import PASSWORD

#: Those of `portero.crypto.passwords.Passwords`.
PASSES, KIBIBYTES, LANES = 2, 19456, 1


def rate(seconds: float) -> float:
    """Verify one password over and over."""
    hasher = argon2.PasswordHasher(PASSES, KIBIBYTES, LANES, hash_len=32, salt_len=16)
    stored = hasher.hash(PASSWORD)
    hasher.verify(stored, PASSWORD)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        hasher.verify(stored, PASSWORD)
        done += 1
    return done / (time.perf_counter() - began)


if __name__ == "__main__":
    print(rate(float(sys.argv[1])))
