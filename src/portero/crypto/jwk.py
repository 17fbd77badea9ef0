"""JSON Web Keys: read strictly, named by their thumbprint, made and published (RFC 7517, RFC 7638, RFC 8037).

What is refused, although many libraries take it: a key without `alg`, with a `use` or `key_ops` that is not
verifying, of another type or curve than its algorithm's, RSA below 2048 bits, with a small exponent or with the ROCA
weakness, HMAC secrets shorter than the hash, points off the curve, two keys of one `kid`, and sets that hold secrets
next to public keys. Never writes a private member into what it publishes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from portero.crypto import base64url
from portero.crypto.algorithms import ALGORITHMS
from portero.crypto.keyring import KeySet, SigningKey, VerificationKey, shared_verification_key
from portero.errors import ConfigurationError
from portero.records import dataclass

#: What `portero keys new --alg` can make.
ISSUED_ALGORITHMS: Final = ("ES256", "RS256", "EdDSA")

_RSA_BITS = 3072
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
#: The members that make a thumbprint, which are also all that is published (RFC 7638 §3.2, RFC 8037 §2).
_PUBLIC_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "EC": ("crv", "kty", "x", "y"),
    "RSA": ("e", "kty", "n"),
    "OKP": ("crv", "kty", "x"),
    "oct": ("k", "kty"),
}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_ROCA_PRIMES = (
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A freshly made or unsealed private key.

    Attributes:
        kid: the thumbprint of its public half.
        alg: the only algorithm it is for.
        public_jwk: what JWKS publishes.
        private_der: PKCS #8; to be sealed, never to be shown.
    """

    kid: str
    alg: str
    public_jwk: Mapping[str, str]
    private_der: bytes = field(repr=False)


def generate(alg: str) -> KeyPair:
    """Make a key pair.

    >>> pair = generate("ES256")
    >>> sorted(pair.public_jwk)
    ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']
    >>> pair.kid == thumbprint(pair.public_jwk)
    True

    Raises:
        ConfigurationError: `alg` is none of `ISSUED_ALGORITHMS`.
    """
    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey
    if alg == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    elif alg == "RS256":
        private = rsa.generate_private_key(65537, _RSA_BITS)
    elif alg == "EdDSA":
        private = Ed25519PrivateKey.generate()
    else:
        raise ConfigurationError(f"Keys can be made for {', '.join(ISSUED_ALGORITHMS)}, not for {alg!r}.")
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    members = _public_members(private.public_key())
    kid = thumbprint(members)
    return KeyPair(kid, alg, {**members, "alg": alg, "use": "sig", "kid": kid}, der)


def signing_key(kid: str, alg: str, private_der: bytes) -> SigningKey:
    """Make the signing form of an unsealed private key.

    >>> pair = generate("EdDSA")
    >>> signature = signing_key(pair.kid, pair.alg, pair.private_der).sign(b"message")
    >>> verification_key(pair.public_jwk).fits(b"message", signature)
    True
    """
    primitive = ALGORITHMS[alg].primitive
    private = load_der_private_key(private_der, password=None)
    return SigningKey(kid, alg, lambda message: bytes(primitive.sign(message, private)))


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Name a key by its public members (RFC 7638, SHA-256)."""
    members = {name: jwk[name] for name in _PUBLIC_MEMBERS[jwk["kty"]]}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return base64url.encode(hashlib.sha256(text.encode()).digest())


def verification_key(jwk: Mapping[str, Any]) -> VerificationKey:
    """Read one JWK: a public key, or a shared secret (`kty` oct).

    Raises:
        ConfigurationError: it breaks one of the rules above; the sentence names the rule, never a value.
    """
    algorithm = ALGORITHMS.get(_text(jwk, "alg"))
    if algorithm is None:
        raise ConfigurationError("A key's alg must be one of " + ", ".join(ALGORITHMS) + ".")
    if jwk.get("kty") != algorithm.key_type:
        raise ConfigurationError(f"A key for {algorithm.name} has kty {algorithm.key_type}.")
    if algorithm.curve and jwk.get("crv") != algorithm.curve:
        raise ConfigurationError(f"A key for {algorithm.name} has crv {algorithm.curve}.")
    _check_purpose(jwk)
    kid = _text(jwk, "kid") if "kid" in jwk else None
    if algorithm.key_type == "oct":
        return shared_verification_key(_bytes(jwk, "k"), algorithm.name, kid)
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise ConfigurationError("A private key does not belong where a public one is wanted.")
    public: Any
    try:
        public = _READERS[algorithm.key_type](jwk)
    except ValueError:
        raise ConfigurationError("The key's numbers are not a key (a point off its curve?).") from None
    length = algorithm.signature_length or (public.key_size + 7) // 8
    primitive = algorithm.primitive
    return VerificationKey(
        kid, algorithm.name, length, lambda message, signature: bool(primitive.verify(message, public, signature))
    )


def verification_keys(document: Any) -> KeySet:
    """Read a JWK Set.

    Args:
        document: the parsed JSON, `{"keys": [...]}`.

    Raises:
        ConfigurationError: not a set, a key breaks a rule, two have one `kid`, or secrets stand next to public keys.
    """
    rows = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, Mapping) for row in rows):
        raise ConfigurationError("A JWK Set is an object with a list of keys.")
    keys = [verification_key(row) for row in rows]
    if len({key.is_shared for key in keys}) > 1:
        # Such a file is a secret that looks publishable, or the other way round.
        raise ConfigurationError("A JWK Set holds either shared secrets or public keys, not both.")
    return KeySet(keys)


def _check_purpose(jwk: Mapping[str, Any]) -> None:
    if jwk.get("use", "sig") != "sig":
        raise ConfigurationError("A key for another use than sig verifies nothing.")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations or not {"sign", "verify"}.issuperset(operations):
        raise ConfigurationError("A key whose key_ops are not for verifying verifies nothing.")


def _text(jwk: Mapping[str, Any], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"A key's {name} is a text.")
    return value


def _bytes(jwk: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64url.decode(_text(jwk, name))
    except ValueError:
        raise ConfigurationError(f"A key's {name} is strict base64url.") from None


def _read_ec(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    curve = _CURVES[jwk["crv"]]
    x, y = _bytes(jwk, "x"), _bytes(jwk, "y")
    length = (curve.key_size + 7) // 8
    if not len(x) == len(y) == length:
        raise ConfigurationError(f"Coordinates on {jwk['crv']} have {length} bytes (RFC 7518 §6.2.1.2).")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve).public_key()


def _read_rsa(jwk: Mapping[str, Any]) -> rsa.RSAPublicKey:
    modulus, exponent = int.from_bytes(_bytes(jwk, "n")), int.from_bytes(_bytes(jwk, "e"))
    if modulus.bit_length() < 2048:
        raise ConfigurationError("An RSA key has at least 2048 bits.")
    if exponent < 65537 or exponent % 2 == 0:
        raise ConfigurationError("An RSA key's exponent is odd and at least 65537.")
    if _has_roca_fingerprint(modulus):
        raise ConfigurationError("This RSA key was made by a broken generator (ROCA, CVE-2017-15361).")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _read_okp(jwk: Mapping[str, Any]) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(_bytes(jwk, "x"))


def _has_roca_fingerprint(modulus: int) -> bool:
    """Say whether the modulus is a power of 65537 modulo every small prime, as only the broken generator's are."""
    return all(modulus % prime in _powers(prime) for prime in _ROCA_PRIMES)


def _powers(prime: int) -> set[int]:
    return {pow(65537, exponent, prime) for exponent in range(prime - 1)}


def _public_members(public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | Ed25519PublicKey) -> dict[str, str]:
    if isinstance(public, ec.EllipticCurvePublicKey):
        point, length = public.public_numbers(), (public.key_size + 7) // 8
        x, y = (base64url.encode(number.to_bytes(length)) for number in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(raw)}


def _number(value: int) -> str:
    return base64url.encode(value.to_bytes((value.bit_length() + 7) // 8))


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "EC": _read_ec,
    "RSA": _read_rsa,
    "OKP": _read_okp,
}
