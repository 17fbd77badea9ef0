"""base64url has one spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portero.crypto import base64url


@given(st.binary(max_size=100))
def test_what_is_written_is_read(data: bytes) -> None:
    assert data == base64url.decode(base64url.encode(data))


@given(st.text(max_size=40))
def test_no_text_is_read_that_would_be_written_otherwise(text: str) -> None:
    try:
        data = base64url.decode(text)
    except ValueError:
        return
    assert text == base64url.encode(data)


@pytest.mark.parametrize(
    "text", ["AA==", "AA=", "A", "AB", "A A", "AA\n", "\nAA", "A+", "A/", "A!A", "ÄÄ", "AAA\u0000", "AAA.", "\ud800"]
)
def test_every_other_spelling_is_refused(text: str) -> None:
    """JV-14, Wycheproof group base64: padding, blanks, other alphabets, spare bits."""
    with pytest.raises(ValueError, match="strict base64url"):
        base64url.decode(text)
