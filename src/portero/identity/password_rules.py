"""Which passwords are accepted (NIST SP 800-63B-4 §3.1.1.2; threats CR-11, CR-13, CR-16; contract auth.md §3.3).

Length, a list of common ones, and words from the context; no composition rules and no expiry. It never sees a stored
hash. The list is Django's, 19,640 entries; its licence stands beside it.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from importlib.resources import files
from typing import Final

from portero.crypto.passwords import LONGEST_PASSWORD, normal_form
from portero.errors import AuthError
from portero.figures import kept

#: Of code points, and of bytes.
LONGEST: Final = LONGEST_PASSWORD
_PRODUCT: Final = "portero"
_SHORTEST_WORD: Final = 4
#: Said of a password that many have, or that was in a breach.
COMMON: Final = "Password is known to be weak and easy to guess, please choose a different one."
_CONTEXT: Final = "Password should not contain your name, your address or the name of this service."


def is_too_long(password: str) -> bool:
    """Tell whether a password is over 1 KiB: refused before any work is done for it."""
    return len(password) > LONGEST or len(password.encode()) > LONGEST


def weaknesses(password: str, *, min_length: int, context_words: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """Return what speaks against a password, as pairs (reason of the contract, sentence); empty if nothing does.

    >>> weaknesses("dragon", min_length=8)[0]
    ('length', 'Password should be at least 8 characters.')
    >>> weaknesses("Portero-2026-x", min_length=8)[0][0]
    'pwned'
    >>> weaknesses("correct horse battery", min_length=8)
    ()
    """
    folded = normal_form(password).casefold()
    found: list[tuple[str, str]] = []
    if len(normal_form(password)) < min_length:
        found.append(("length", f"Password should be at least {min_length} characters."))
    if folded in common_passwords():
        found.append(("pwned", COMMON))
    elif any(word in folded for word in _words([_PRODUCT, *context_words])):
        found.append(("pwned", _CONTEXT))
    return tuple(found)


def check(password: str, *, min_length: int, context_words: Iterable[str] = ()) -> None:
    """Refuse a password that is too long or weak.

    Raises:
        AuthError: 400 validation_failed (over 1 KiB), 422 weak_password with `weak_password.reasons`.
    """
    if is_too_long(password):
        raise AuthError(400, "validation_failed", f"Password cannot be longer than {LONGEST} bytes")
    found = weaknesses(password, min_length=min_length, context_words=context_words)
    if found:
        raise weak(found)


def weak(found: Iterable[tuple[str, str]]) -> AuthError:
    """Return 422 `weak_password`, with every reason and sentence."""
    reasons, sentences = zip(*found, strict=True)
    return AuthError(422, "weak_password", " ".join(sentences), extra={"weak_password": {"reasons": list(reasons)}})


def context_words(email: str | None, username: str | None = None) -> tuple[str, ...]:
    """Return the words that a user's password should not hold: the part before the @, and the user name."""
    return ((email or "").partition("@")[0], username or "")


@kept("common_passwords", 1)
def common_passwords() -> frozenset[str]:
    """Return the list, case-folded; read once a process.

    >>> len(common_passwords()) > 10_000
    True
    """
    packed = files("portero.identity").joinpath("common_passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode().split("\n"))


def _words(words: Iterable[str]) -> list[str]:
    folded = (normal_form(word).casefold() for word in words)
    return [word for word in folded if len(word) >= _SHORTEST_WORD]
