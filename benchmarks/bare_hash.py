"""What the password hash alone costs on this core: verifications a second, nothing around them.

A program of its own, so that it runs on the server's core: `python -m benchmarks.bare_hash SECONDS`.
"""

from __future__ import annotations

import sys
import time

from benchmarks.data import PASSWORD
from portero.crypto.passwords import Passwords


def rate(seconds: float) -> float:
    """Verify one password over and over with Portero's own parameters."""
    passwords = Passwords(1)
    stored = passwords.hash(PASSWORD)
    passwords.verify(PASSWORD, stored)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        passwords.verify(PASSWORD, stored)
        done += 1
    return done / (time.perf_counter() - began)


if __name__ == "__main__":
    print(rate(float(sys.argv[1])))
