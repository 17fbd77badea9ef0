"""What is sealed is opened by the right key for the right row, or not at all."""

from __future__ import annotations

import pytest

from portero.crypto.sealing import seal, unseal

KEY, OTHER = b"k" * 32, b"o" * 32


def test_a_former_key_opens_and_is_named() -> None:
    assert (b"data", OTHER) == unseal(seal(b"data", OTHER, "row"), [KEY, OTHER], "row")


def test_two_seals_of_one_thing_differ() -> None:
    assert seal(b"data", KEY, "row") != seal(b"data", KEY, "row")


def test_the_data_cannot_be_read_in_what_is_sealed() -> None:
    assert b"private" not in seal(b"private", KEY, "row")


def _changed(sealed: bytes) -> bytes:
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


@pytest.mark.parametrize(
    ("sealed", "context"),
    [
        (seal(b"data", KEY, "row"), "another row"),
        (seal(b"data", b"z" * 32, "row"), "row"),
        (_changed(seal(b"data", KEY, "row")), "row"),
        (b"", "row"),
        (b"\x01", "row"),
        (b"\x01" + b"n" * 12, "row"),
        (b"\x02" + seal(b"data", KEY, "row")[1:], "row"),
    ],
    ids=["another row", "unknown key", "changed", "empty", "version only", "nonce only", "another version"],
)
def test_everything_else_is_refused(sealed: bytes, context: str) -> None:
    with pytest.raises(ValueError, match=r"sealed|opens"):
        unseal(sealed, [KEY, OTHER], context)
