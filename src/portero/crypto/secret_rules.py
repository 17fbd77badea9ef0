"""What counts as a secret: the rules for `JWT_SECRET_KEY` and `JWT_SECRET_KEY_FALLBACKS`.

Who knows or guesses the secret is everybody's administrator, so an unfit one stops the start, in development too.
Never warns where it should refuse; never shows the value (RFC 7518 §3.2; CVE-2019-20933 for the blank secret).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from portero.errors import ConfigurationError

MINIMUM_LENGTH: Final = 32
COMMAND: Final = 'python -c "import secrets; print(secrets.token_urlsafe(48))"'

#: Secrets that stand in documentation, templates and lists of guesses. Compared without case, `-`, `_` and spaces.
_WELL_KNOWN = frozenset(
    re.sub(r"[-_ ]", "", text.lower())
    for text in (
        "a-string-secret-at-least-256-bits-long",
        "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        "your-256-bit-secret",
        "your-384-bit-secret",
        "your-512-bit-secret",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "reallyreallyreallyreallyverysafe",
        "reallyreallyreallyreallyverysafesecret",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "5f352379324c22463451387a0aec5d2f",
        "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
        "please-change-this-to-a-secret-of-at-least-32-characters",
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    )
)

#: Words that only people write; a random text of 32 characters or more does not consist of them.
_WORDS = re.compile(
    r"super|secret|jwt|token|key|password|passwd|flask|change|changeme|this|please|your|my|the|dev|development|test|"
    r"testing|example|default|string|with|at|least|long|characters|bits|bytes|very|really|safe|not|for|production|use|in|"
    r"random|something|some|me|to|is|that|of|and|it|app|application|api|demo|admin|supabase|portero|signing|must|hello|world"
)
_RUNS = re.compile(r"(.+?)\1+")
_KEY_FORMS = ("-----BEGIN", "ssh-", "ecdsa-sha2-", '{"', "{'")


def check_secret(secret: Any, name: str = "JWT_SECRET_KEY") -> bytes:
    """Judge a secret.

    >>> check_secret("kX9vT2mQ7bW4pL8sD1fG6hJ3nR5cY0zA") == b"kX9vT2mQ7bW4pL8sD1fG6hJ3nR5cY0zA"
    True

    Args:
        secret: what the configuration holds (text, bytes, or nothing).
        name: the setting, for the sentence.

    Raises:
        ConfigurationError: missing, not text, shorter than 32 bytes, well known, made of words or of repetitions, or
            the text of a public key.
    """
    if secret is None or secret in ("", b""):
        raise _refusal(f"{name} is not set (the commands portero and flask read .env, other servers do not)")
    if not isinstance(secret, str | bytes):
        raise _refusal(f"{name} is neither text nor bytes")
    data = secret.encode() if isinstance(secret, str) else secret
    fault = _fault(data)
    if fault:
        raise _refusal(f"{name} {fault}")
    return data


def check_fallbacks(secrets: Any, name: str = "JWT_SECRET_KEY_FALLBACKS") -> tuple[bytes, ...]:
    """Judge the former secrets, which still verify: they are held to the same rules.

    >>> check_fallbacks(None)
    ()

    Raises:
        ConfigurationError: not a list, or one of them is unfit.
    """
    if secrets is None:
        return ()
    if not isinstance(secrets, Sequence) or isinstance(secrets, str | bytes):
        raise ConfigurationError(f"{name} must be a list of former secrets.")
    return tuple(check_secret(secret, f"{name}[{place}]") for place, secret in enumerate(secrets))


def _fault(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    if text.lstrip().startswith(_KEY_FORMS):
        # A public key as HMAC secret is no secret at all (CVE-2022-29217).
        return "holds a key file, not a secret"
    plain = re.sub(r"[-_ ]", "", text.lower())
    if plain in _WELL_KNOWN or _is_only_words(plain):
        return "is a well-known text that anybody can guess"
    if len(data) < MINIMUM_LENGTH:
        return f"is shorter than {MINIMUM_LENGTH} bytes"
    if _is_repetition(text) or len(set(data)) < 8:
        return "repeats itself, so it can be guessed"
    return ""


def _is_only_words(plain: str) -> bool:
    left = _WORDS.sub("", re.sub(r"[!.,;:?*$#'\"]", "", plain))
    return len(left) <= len(plain) // 4


def _is_repetition(text: str) -> bool:
    run = _RUNS.fullmatch(text)
    return run is not None and len(run[1]) < MINIMUM_LENGTH


def _refusal(what: str) -> ConfigurationError:
    return ConfigurationError(f"{what}; make a good one with: {COMMAND}")
