"""Keys have types, and a key set answers exactly."""

from __future__ import annotations

import pytest
from tests.crypto.forging import SECRET

from portero.crypto.keyring import KeySet, VerificationKey, shared_signing_key, shared_verification_key
from portero.errors import ConfigurationError, InvalidToken, TokenFault


def _key(kid: str | None, alg: str = "ES256") -> VerificationKey:
    return VerificationKey(kid, alg, 64, lambda message, signature: False)


def _fault(keys: KeySet, kid: str | None, alg: str) -> TokenFault:
    with pytest.raises(InvalidToken) as refusal:
        keys.find(kid, alg)
    return refusal.value.fault


def test_a_named_key_is_found_for_its_algorithm_only() -> None:
    """JV-03: ES256's key is not ES384's."""
    keys = KeySet([_key("a")])
    assert "a" == keys.find("a", "ES256")[0].kid
    assert TokenFault.ALGORITHM is _fault(keys, "a", "ES384")
    assert TokenFault.KEY is _fault(keys, "b", "ES256")


def test_a_token_without_kid_is_for_nameless_keys_only() -> None:
    keys = KeySet([_key("a"), shared_verification_key(SECRET), shared_verification_key(SECRET[::-1])])
    assert [None, None] == [key.kid for key in keys.find(None, "HS256")]
    assert TokenFault.ALGORITHM is _fault(keys, None, "ES256")
    assert TokenFault.ALGORITHM is _fault(keys, None, "HS512")
    assert TokenFault.KEY is _fault(KeySet([_key("a")]), None, "ES256")


def test_two_keys_of_one_name_are_refused() -> None:
    """Wycheproof DuplicateKid."""
    with pytest.raises(ConfigurationError, match="same kid"):
        KeySet([_key("a"), _key("a")])


def test_the_whole_set_can_be_walked() -> None:
    keys = KeySet([_key("a"), shared_verification_key(SECRET)])
    assert ["a", None] == [key.kid for key in keys]
    assert [False, True] == [key.is_shared for key in keys]
    assert "a" in keys
    assert "b" not in keys


def test_no_representation_shows_a_secret() -> None:
    for thing in (KeySet([_key("a")]), shared_verification_key(SECRET), shared_signing_key(SECRET)):
        assert SECRET.decode() not in repr(thing)
        assert "lambda" not in repr(thing)


@pytest.mark.parametrize(("alg", "length"), [("HS256", 31), ("HS384", 47), ("HS512", 63), ("HS256", 0)])
def test_a_secret_shorter_than_the_hash_is_refused(alg: str, length: int) -> None:
    """RFC 7518 §3.2; Wycheproof key_too_short and empty_key."""
    with pytest.raises(ConfigurationError, match="at least"):
        shared_verification_key(b"s" * length, alg)
    with pytest.raises(ConfigurationError, match="at least"):
        shared_signing_key(b"s" * length, alg)
