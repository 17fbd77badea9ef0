"""Keys with types: a key is for one algorithm and for one thing, signing or verifying; bytes are never a key.

`KeySet` answers the one question of a verifier: which keys may have made a token with this `kid` and this `alg`? It
looks in memory only: a `kid` is never a path, a URL or a query (RFC 8725 §3.1, §3.10). Never reads a database.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any

from portero.crypto.algorithms import ALGORITHMS
from portero.crypto.macs import Mac
from portero.errors import ConfigurationError, InvalidToken, TokenFault
from portero.records import dataclass


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key that can say whether it (or its private half) made a signature.

    Attributes:
        kid: its name in headers, or None for a shared secret.
        alg: the only algorithm it is for.
        signature_length: the only length a signature of it has; bytes.
        fits: (message, signature) -> whether the signature is good.
    """

    kid: str | None
    alg: str
    signature_length: int
    fits: Callable[[bytes, bytes], bool] = field(repr=False, compare=False)

    @property
    def is_shared(self) -> bool:
        """Whether it is a secret shared by signer and verifier (HMAC)."""
        return bool(ALGORITHMS[self.alg].hash_name)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs.

    Attributes:
        kid: what goes into the header, or None for a shared secret.
        alg: the only algorithm it is for.
        sign: message -> signature.
    """

    kid: str | None
    alg: str
    sign: Callable[[bytes], bytes] = field(repr=False, compare=False)


class KeySet:
    """The keys a verifier knows; frozen.

    Args:
        keys: typed keys. Those without a `kid` answer for tokens without one, and for no others.

    Raises:
        ConfigurationError: two keys have the same `kid`.
    """

    __slots__ = ("_by_kid", "_nameless")

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        by_kid: dict[str, VerificationKey] = {}
        nameless: list[VerificationKey] = []
        for key in keys:
            if key.kid is None:
                nameless.append(key)
            elif key.kid in by_kid:
                # Which of the two would verify is then a matter of luck.
                raise ConfigurationError("Two keys have the same kid.")
            else:
                by_kid[key.kid] = key
        self._by_kid: Mapping[str, VerificationKey] = MappingProxyType(by_kid)
        self._nameless = tuple(nameless)

    def __iter__(self) -> Any:
        yield from self._by_kid.values()
        yield from self._nameless

    def __contains__(self, kid: object) -> bool:
        return kid in self._by_kid

    def __repr__(self) -> str:
        return f"<KeySet of {len(self._by_kid)} named and {len(self._nameless)} nameless keys>"

    def find(self, kid: str | None, alg: str) -> tuple[VerificationKey, ...]:
        """Give the keys that may have made a token, never none.

        Raises:
            InvalidToken: `KEY` where no such key is known, `ALGORITHM` where the key is for another algorithm.
        """
        if kid is not None:
            named = self._by_kid.get(kid)
            if named is None:
                raise InvalidToken(TokenFault.KEY)
            if named.alg != alg:
                raise InvalidToken(TokenFault.ALGORITHM)
            return (named,)
        keys = tuple(key for key in self._nameless if key.alg == alg)
        if not keys:
            raise InvalidToken(TokenFault.ALGORITHM if self._nameless else TokenFault.KEY)
        return keys


def shared_verification_key(secret: bytes, alg: str = "HS256", kid: str | None = None) -> VerificationKey:
    """Make the verifying form of a shared secret.

    >>> shared_verification_key(b"s" * 32).fits(b"message", b"not it")
    False

    Raises:
        ConfigurationError: the secret is shorter than the algorithm's hash (RFC 7518 §3.2).
    """
    length, mac = _mac(secret, alg)
    return VerificationKey(kid, alg, length, lambda message, signature: hmac.compare_digest(mac(message), signature))


def shared_signing_key(secret: bytes, alg: str = "HS256", kid: str | None = None) -> SigningKey:
    """Make the signing form of a shared secret.

    Raises:
        ConfigurationError: the secret is shorter than the algorithm's hash.
    """
    return SigningKey(kid, alg, _mac(secret, alg)[1])


def _mac(secret: bytes, alg: str) -> tuple[int, Callable[[bytes], bytes]]:
    algorithm = ALGORITHMS[alg]
    if len(secret) < algorithm.signature_length:
        raise ConfigurationError(f"A key for {alg} has at least {algorithm.signature_length} bytes.")
    name = algorithm.hash_name
    if name == "sha256":
        return algorithm.signature_length, Mac(secret).of
    # The one-shot function of the hmac module: it makes no object.
    return algorithm.signature_length, lambda message: hmac.digest(secret, message, name)
