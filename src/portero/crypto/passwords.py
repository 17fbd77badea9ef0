"""Password hashes: argon2id (RFC 9106), a bounded number at one time; bcrypt is verified, for users brought along.

A hash costs tens of milliseconds and 19 MiB by intent. So no more than `slots` are computed at once, a short queue
waits, and the rest is told to come back: a flood of sign-ins must not take the memory or the machine. A stranger's
attempt costs what a user's does. Never judges whether a password is good enough, never logs or keeps one.

Today's hashes are computed by libsodium, the others by argon2-cffi: docs/decisions/0013-libsodium.md.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import argon2
import bcrypt
import nacl.exceptions
from nacl.bindings import crypto_pwhash_alg, crypto_pwhash_ALG_ARGON2ID13

from portero import deadline
from portero.errors import DeadlinePassed, TooBusy

#: Longer texts are no passwords: normalising and hashing them would only be work for an attacker to order; code points.
LONGEST_PASSWORD = 1024

_BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_BCRYPT_LIMIT = 72
# Of 16 and of 32 bytes: the last letter holds two bits, or four, and zeros.
_SALT_AND_TAG = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]\$[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]", re.ASCII)
_DEAREST_BCRYPT = 14
_DEAREST_MEMORY = 1024 * 1024
_DEAREST_TIME = 10
_MOST_LANES = 16
#: With six on each slot, two cores leave some of the sixteen threads of a worker to everybody else, and a crowd of
#: sign-ins waits for a third of a second instead of being sent away.
_QUEUE_PER_SLOT = 6
_SALT_BYTES: Final = 16
_TAG_BYTES: Final = 32
_KIB: Final = 1024


class Passwords:
    """Hashes and verifies passwords, at most `slots` at one time in this process.

    Args:
        slots: hashes computed at one time; 0 means one per core that this process may use. Two at one time on one core
            are slower than one after the other: they push each other out of its caches.
        time_cost: argon2id passes.
        memory_cost: argon2id memory in KiB.
    """

    def __init__(self, slots: int = 0, *, time_cost: int = 2, memory_cost: int = 19456) -> None:
        self._slots = slots or _cores()
        self._passes, self._memory = time_cost, memory_cost * _KIB
        self._others = argon2.PasswordHasher()
        self._free = threading.Semaphore(self._slots)
        self._lock = threading.Lock()
        self._present = 0
        self._start = f"$argon2id$v=19$m={memory_cost},t={time_cost},p=1$"
        # Verifying against random bytes takes as long as against a real hash, and never succeeds.
        self._decoy = self._written(secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_TAG_BYTES))

    def hash(self, password: str) -> str:
        """Hash a password for storage.

        Raises:
            ValueError: longer than 1024 code points, or not text that UTF-8 can carry.
            TooBusy: too many are waiting already.
        """
        if len(password) > LONGEST_PASSWORD:
            raise ValueError("a password has at most 1024 characters")
        data = _normalised(password)
        salt = secrets.token_bytes(_SALT_BYTES)
        with self._slot():
            return self._written(salt, self._tag(data, salt))

    def verify(self, password: str, stored_hash: str | None) -> bool:
        """Say whether a password is the one that was hashed.

        Args:
            password: what the caller sent.
            stored_hash: argon2 or bcrypt; None for a user who does not exist or has no password: the same work is
                done and the answer is False.

        Raises:
            TooBusy: too many are waiting already.
        """
        if stored_hash is not None and not self._is_ours(stored_hash) and not is_known_hash(stored_hash):
            stored_hash = None
        try:
            data = _normalised(password[: LONGEST_PASSWORD + 1])
        except ValueError:
            data, stored_hash = b"", None
        if len(password) > LONGEST_PASSWORD:
            stored_hash = None
        with self._slot():
            if stored_hash is not None and stored_hash.startswith("$2"):
                return _fits_bcrypt(password, stored_hash)
            fits = self._fits_argon2(data, stored_hash or self._decoy)
        return fits and stored_hash is not None

    def needs_rehash(self, stored_hash: str) -> bool:
        """Say whether a hash is of another kind or cost than today's, so that the next sign-in should replace it."""
        return not self._is_ours(stored_hash)

    def _fits_argon2(self, data: bytes, stored_hash: str) -> bool:
        if self._is_ours(stored_hash):
            salt, tag = (base64.b64decode(each + "==") for each in stored_hash[len(self._start) :].split("$"))
            return hmac.compare_digest(self._tag(data, salt), tag)
        try:
            return self._others.verify(stored_hash, data)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def _tag(self, data: bytes, salt: bytes) -> bytes:
        """Compute the 32 bytes of argon2id; other threads run meanwhile.

        Raises:
            TooBusy: there is no memory for it.
        """
        try:
            tag: bytes = crypto_pwhash_alg(
                _TAG_BYTES, data, salt, self._passes, self._memory, crypto_pwhash_ALG_ARGON2ID13
            )
        except nacl.exceptions.RuntimeError:
            raise TooBusy("there is no memory to hash a password in") from None
        return tag

    def _written(self, salt: bytes, tag: bytes) -> str:
        return f"{self._start}{_base64(salt)}${_base64(tag)}"

    def _is_ours(self, stored_hash: str) -> bool:
        """Say whether a hash is one as this object makes them; every other is not, however little it differs."""
        return (
            stored_hash.startswith(self._start) and _SALT_AND_TAG.fullmatch(stored_hash, len(self._start)) is not None
        )

    @contextmanager
    def _slot(self) -> Iterator[None]:
        with self._lock:
            if self._present >= self._slots * (1 + _QUEUE_PER_SLOT):
                raise TooBusy("too many passwords are being hashed")
            self._present += 1
        try:
            if not self._free.acquire(timeout=deadline.left()):
                raise DeadlinePassed
            try:
                yield
            finally:
                self._free.release()
        finally:
            with self._lock:
                self._present -= 1


def _cores() -> int:
    """Count the cores this process may run on, which a container or `taskset` makes fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_known_hash(stored_hash: str) -> bool:
    """Say whether `verify` can check a hash, at a cost this server is ready to pay (for hashes that are imported).

    >>> is_known_hash("$2b$10$" + "a" * 53), is_known_hash("$2b$31$" + "a" * 53), is_known_hash("secret")
    (True, False, False)
    """
    found = _BCRYPT.fullmatch(stored_hash)
    if found:
        return 4 <= int(found[1]) <= _DEAREST_BCRYPT
    try:
        parameters = argon2.extract_parameters(stored_hash)
    except (argon2.exceptions.InvalidHashError, ValueError):
        return False
    return (
        parameters.memory_cost <= _DEAREST_MEMORY
        and parameters.time_cost <= _DEAREST_TIME
        and parameters.parallelism <= _MOST_LANES
    )


def normal_form(text: str) -> str:
    """Give one form to the forms in which keyboards send one text: NFKC (NIST SP 800-63B §3.1.1.2).

    >>> normal_form("e\u0301") == normal_form("\u00e9")
    True
    """
    return unicodedata.normalize("NFKC", text)


def _base64(data: bytes) -> str:
    """Write as argon2's encoded form does: without padding."""
    return base64.b64encode(data).rstrip(b"=").decode()


def _normalised(password: str) -> bytes:
    try:
        return normal_form(password).encode()
    except UnicodeEncodeError:
        raise ValueError("a password is text that UTF-8 can carry") from None


def _fits_bcrypt(password: str, stored_hash: str) -> bool:
    # As it was hashed elsewhere: not normalised, and bcrypt never looked further than 72 bytes.
    data = password.encode()[:_BCRYPT_LIMIT]
    if b"\0" in data:
        return False
    try:
        return bcrypt.checkpw(data, stored_hash.encode())
    except ValueError:
        return False
