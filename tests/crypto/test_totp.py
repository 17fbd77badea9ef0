"""Tests of portero.crypto.totp against RFC 6238, appendix B, and threats MF-02."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from portero.crypto import totp

#: RFC 6238's secret for SHA-1, in base32.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
NOW = 1_111_111_109


@pytest.mark.parametrize(
    ("seconds", "eight_digits"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_codes_are_those_of_the_rfc(seconds: int, eight_digits: str) -> None:
    assert eight_digits[-6:] == totp.code_at(SECRET, seconds // totp.STEP)
    assert seconds // totp.STEP == totp.matching_step(SECRET, eight_digits[-6:], seconds)


@pytest.mark.parametrize(("steps_off", "passes"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_passes_one_step_early_or_late(steps_off: int, passes: bool) -> None:
    """Threats MF-02: no wider window."""
    step = NOW // totp.STEP + steps_off
    assert (step if passes else None) == totp.matching_step(SECRET, totp.code_at(SECRET, step), NOW)


@pytest.mark.parametrize(
    "typed", ["", " ", "08180", "0818041", "081804\0", "\u0660\u0668\u0661\u0668\u0660\u0664", "x" * 9999]
)
def test_what_is_no_code_does_not_fit(typed: str) -> None:
    assert totp.matching_step(SECRET, typed, NOW) is None


def test_blanks_that_apps_show_are_left_out() -> None:
    assert NOW // totp.STEP == totp.matching_step(SECRET, " 081 804\n", NOW)


def test_the_first_seconds_of_all_time_have_no_step_before_them() -> None:
    assert 0 == totp.matching_step(SECRET, totp.code_at(SECRET, 0), 1)


def test_secrets_differ_and_have_160_bits() -> None:
    made = {totp.new_secret() for _ in range(100)}
    assert 100 == len(made)
    assert {32} == {len(secret) for secret in made}


def test_the_address_names_account_issuer_and_secret() -> None:
    uri = urlsplit(totp.key_uri(SECRET, "ann@example.org", "Ann: the shop & co"))
    assert ("otpauth", "totp") == (uri.scheme, uri.netloc)
    assert "/Ann: the shop & co:ann@example.org" == unquote(uri.path)
    assert 1 == uri.path.count(":"), "the issuer's own colon is escaped"
    assert {"secret": [SECRET], "issuer": ["Ann: the shop & co"]} == parse_qs(uri.query)


@pytest.mark.parametrize("issuer", ["Shop", "\N{GRINNING FACE}" * totp.LONGEST_ISSUER])
def test_the_qr_code_is_raw_svg_that_fits_a_data_address(issuer: str) -> None:
    svg = totp.qr_code(totp.key_uri(SECRET, "a" * 64 + "@" + "b" * 189, issuer))
    assert "svg" == ElementTree.fromstring(svg).tag.rpartition("}")[2]
    assert not {"#", "%", "\n", "?"} & set(svg)
