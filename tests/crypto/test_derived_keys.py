"""One secret, one key for each purpose."""

from __future__ import annotations

from portero.crypto import derived_keys

SECRET = b"kX9vT2mQ7bW4pL8sD1fG6hJ3nR5cY0zA"


def test_the_derivation_never_changes() -> None:
    """A change would end every session and lose every sealed key."""
    assert (
        "c13d9268f43c721c7f6ee750fc7f5bc0101585d17f20b81cfd7a80a0900ee2ce"
        == derived_keys.derive(SECRET, derived_keys.REFRESH_TOKEN_MAC).hex()
    )


def test_each_purpose_has_a_key_of_its_own() -> None:
    labels = (derived_keys.REFRESH_TOKEN_MAC, derived_keys.SEAL_SIGNING_KEYS, derived_keys.THROTTLE)
    assert 3 == len({derived_keys.derive(SECRET, label) for label in labels} - {SECRET})


def test_the_length_is_the_one_that_is_wanted() -> None:
    assert 64 == len(derived_keys.derive(SECRET, "x", 64))
