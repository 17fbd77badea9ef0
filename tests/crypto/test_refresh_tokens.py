"""A refresh token is read only where it was made."""

from __future__ import annotations

import hashlib
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portero.crypto import base64url, refresh_tokens
from portero.errors import InvalidToken, TokenFault

KEY, FORMER = b"k" * 32, b"f" * 32
SESSION = UUID("9f7b2c7e-4a53-4d0c-8a52-0d4c7c0f6a11")


@given(st.uuids(), st.integers(min_value=0, max_value=2**63 - 1))
def test_what_is_written_is_read(session_id: UUID, counter: int) -> None:
    assert (session_id, counter) == refresh_tokens.decode(refresh_tokens.encode(session_id, counter, KEY), [KEY])


def test_the_bytes_are_those_of_the_contract() -> None:
    data = base64url.decode(refresh_tokens.encode(SESSION, 300, KEY))
    assert b"\x00" + SESSION.bytes + b"\xac\x02" == data[:19]
    assert hashlib.sha256(data[:-4]).digest()[:4] == data[-4:]
    assert 19 + 16 + 4 == len(data)


def test_one_counter_has_one_token() -> None:
    """SE-10: a lost answer is given again, from nothing stored."""
    assert refresh_tokens.encode(SESSION, 7, KEY) == refresh_tokens.encode(SESSION, 7, KEY)


def test_a_token_of_a_former_secret_is_still_read() -> None:
    assert (SESSION, 1) == refresh_tokens.decode(refresh_tokens.encode(SESSION, 1, FORMER), [KEY, FORMER])


def test_a_forged_mac_is_told_from_a_bad_form() -> None:
    with pytest.raises(InvalidToken) as refusal:
        refresh_tokens.decode(refresh_tokens.encode(SESSION, 1, b"x" * 32), [KEY, FORMER])
    assert TokenFault.SIGNATURE is refusal.value.fault


def test_a_counter_cannot_be_raised_without_the_key() -> None:
    body = base64url.decode(refresh_tokens.encode(SESSION, 1, KEY))[:-4]
    raised = body[:17] + b"\x02" + body[18:]
    with pytest.raises(InvalidToken):
        refresh_tokens.decode(base64url.encode(raised + hashlib.sha256(raised).digest()[:4]), [KEY])


def _rewritten(counter: bytes) -> str:
    body = b"\x00" + SESSION.bytes + counter
    body += refresh_tokens._mac(body, KEY)
    return base64url.encode(body + hashlib.sha256(body).digest()[:4])


GOOD = refresh_tokens.encode(SESSION, 1, KEY)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "abcdefghijkl",
        GOOD + "=",
        GOOD[:-1],
        GOOD[:-2] + ("AA" if GOOD[-2:] != "AA" else "BB"),
        " " + GOOD,
        "ÿ" * 50,
        "A" * 200,
        "A" * 2_000_000,
        _rewritten(b"\x81\x00"),
        _rewritten(b"\x81"),
        _rewritten(b"\xff" * 9 + b"\x01"),
        "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
    ],
)
def test_what_has_not_the_form_is_refused(token: str) -> None:
    """JV-31: an access token is no refresh token either."""
    with pytest.raises(ValueError, match=r"form|base64url"):
        refresh_tokens.decode(token, [KEY])


def test_a_thousand_tokens_share_nothing_but_the_version() -> None:
    """SE-20."""
    tokens = {refresh_tokens.encode(uuid4(), 0, KEY) for _ in range(1000)}
    assert 1000 == len(tokens)
    assert len({token[2:6] for token in tokens}) > 950
