"""Keys are read strictly, named by thumbprint, and published without their private half."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.crypto import vectors

from portero.crypto import base64url, jwk
from portero.errors import ConfigurationError


@pytest.mark.parametrize(
    ("key", "expected"),
    [(vectors.RFC7638_KEY, vectors.RFC7638_THUMBPRINT), (vectors.RFC8037_KEY, vectors.RFC8037_THUMBPRINT)],
    ids=["RFC 7638 §3.1", "RFC 8037 A.3"],
)
def test_a_thumbprint_is_the_rfcs(key: Mapping[str, Any], expected: str) -> None:
    assert expected == jwk.thumbprint(key)


@pytest.mark.parametrize("alg", jwk.ISSUED_ALGORITHMS)
def test_a_made_key_signs_what_its_published_half_verifies(alg: str) -> None:
    pair = jwk.generate(alg)
    public = jwk.verification_key(pair.public_jwk)
    signature = jwk.signing_key(pair.kid, alg, pair.private_der).sign(b"message")
    assert (alg, pair.kid, len(signature)) == (public.alg, public.kid, public.signature_length)
    assert public.fits(b"message", signature) is True
    assert public.fits(b"messagf", signature) is False


@pytest.mark.parametrize("alg", jwk.ISSUED_ALGORITHMS)
def test_what_is_published_holds_no_private_member_and_is_named_by_its_thumbprint(alg: str) -> None:
    """JV-35."""
    pair = jwk.generate(alg)
    assert {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}.isdisjoint(pair.public_jwk)
    assert pair.kid == jwk.thumbprint(pair.public_jwk) == pair.public_jwk["kid"]
    assert ("sig", alg) == (pair.public_jwk["use"], pair.public_jwk["alg"])
    assert repr(pair.private_der) not in repr(pair)


@pytest.mark.parametrize("alg", ["HS256", "none", "ES384", "Ed448", ""])
def test_keys_are_made_for_the_issued_algorithms_only(alg: str) -> None:
    with pytest.raises(ConfigurationError, match="Keys can be made for"):
        jwk.generate(alg)


_EC = jwk.generate("ES256").public_jwk
_RSA = jwk.generate("RS256").public_jwk
_OKP = jwk.generate("EdDSA").public_jwk
_OCT = {"kty": "oct", "alg": "HS256", "k": base64url.encode(b"k" * 32), "kid": "shared"}


def _without(key: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {member: value for member, value in key.items() if member != name}


def _other_point(key: Mapping[str, Any]) -> dict[str, Any]:
    y = bytearray(base64url.decode(key["y"]))
    y[-1] ^= 1
    return {**key, "y": base64url.encode(bytes(y))}


def _rsa(bits: int = 2048, exponent: int = 65537, modulus: int = 0) -> dict[str, Any]:
    number = modulus or rsa.generate_private_key(65537, bits).public_key().public_numbers().n
    return {**_RSA, "n": jwk._number(number), "e": jwk._number(exponent)}


def _roca_modulus() -> int:
    """A number with the fingerprint: 65537 to some power modulo each of the small primes, by the Chinese remainder."""
    product, value = 1, 0
    for prime in jwk._ROCA_PRIMES:
        wanted = pow(65537, 5, prime)
        value += product * ((wanted - value) * pow(product, -1, prime) % prime)
        product *= prime
    return value + product * (1 << (2047 - product.bit_length()) | 1) * 2


@pytest.mark.parametrize(
    "key",
    [
        _without(_EC, "alg"),
        {**_EC, "alg": "none"},
        {**_EC, "alg": ["ES256"]},
        {**_EC, "alg": "ES521"},
        {**_EC, "alg": "ES384"},
        {**_EC, "alg": "HS256"},
        {**_EC, "kty": "RSA"},
        {**_EC, "crv": "P-384"},
        {**_EC, "crv": "P-384", "alg": "ES384"},
        {**_EC, "use": "enc"},
        {**_EC, "key_ops": ["encrypt"]},
        {**_EC, "key_ops": ["sign"]},
        {**_EC, "key_ops": ["verify", "encrypt"]},
        {**_EC, "key_ops": "verify"},
        {**_EC, "kid": ""},
        {**_EC, "kid": 1},
        {**_EC, "d": "AAAA"},
        {**_EC, "x": _EC["x"] + "="},
        {**_EC, "x": "AA" + _EC["x"]},
        {**_EC, "x": 5},
        _without(_EC, "y"),
        _other_point(_EC),
        {**_OCT, "alg": "A256GCM"},
        {**_OCT, "k": base64url.encode(b"k" * 31)},
        {**_OCT, "k": ""},
        {**_OKP, "x": "AAAA"},
        {**_OKP, "crv": "Ed448"},
        _rsa(bits=1024),
        _rsa(exponent=1),
        _rsa(exponent=3),
        _rsa(exponent=65538),
        _rsa(modulus=_roca_modulus()),
        {**_RSA, "n": ""},
    ],
)
def test_a_key_that_breaks_a_rule_is_refused(key: Mapping[str, Any]) -> None:
    """The classes of the Wycheproof key file."""
    with pytest.raises(ConfigurationError):
        jwk.verification_key(key)


def test_the_broken_generators_fingerprint_is_what_refuses_it() -> None:
    """ROCA, CVE-2017-15361."""
    with pytest.raises(ConfigurationError, match="ROCA"):
        jwk.verification_key(_rsa(modulus=_roca_modulus()))


def test_key_ops_that_verify_are_taken() -> None:
    for operations in (["verify"], ["sign", "verify"]):
        assert "ES256" == jwk.verification_key({**_EC, "key_ops": operations}).alg


def test_a_set_of_one_sort_is_taken() -> None:
    assert 3 == len(list(jwk.verification_keys({"keys": [_EC, _RSA, _OKP]})))
    assert 2 == len(list(jwk.verification_keys({"keys": [_OCT, {**_OCT, "kid": "other"}]})))


@pytest.mark.parametrize(
    "document",
    [
        {"keys": [_EC, _OCT]},
        {"keys": [_EC, _EC]},
        {"keys": [_OCT, _OCT]},
        {"keys": []},
        {"keys": {}},
        {"keys": ["key"]},
        {"keys": [None]},
        {},
        [],
        None,
        "keys",
    ],
    ids=["mixed", "same kid", "same kid, shared", "empty", "object", "text", "null", "no keys", "list", "none", "text"],
)
def test_an_ambiguous_set_is_refused(document: object) -> None:
    with pytest.raises(ConfigurationError):
        jwk.verification_keys(document)
