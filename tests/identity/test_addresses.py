"""What people sign in with, in the one form it is stored in."""

from __future__ import annotations

import pytest

from portero import figures
from portero.errors import AuthError
from portero.identity import addresses


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("a@b", "A@B"),
        ("o'hara+tag@mail.example.org", "O'Hara+Tag@mail.example.org"),
        ("a" * 64 + "@b.org", "a" * 64 + "@b.org"),
        ("a=b?c?=d@b.org", "a=b?c?=d@b.org"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
    ],
)
def test_addresses_are_kept_in_lower_case(expected: str, text: str) -> None:
    assert expected == addresses.canonical_email(text)


@pytest.mark.parametrize(
    "text",
    (
        "",
        "a",
        "@b.org",
        "a@",
        "a@b..org",
        "a@-b.org",
        "a b@c.org",
        "a@b.org\n",
        "a@b.org,c@d.org",
        "a@b@c.org",
        '"a"@b.org',
        "<a@b.org>",
        "a@b_c.org",
        "\u0430nn@b.org",
        "ann@b\u00fccher.org",
        "=?utf-8?q?=22=2cthief=40evil.example=2c=22?=@b.org",
        "a=?b@c.org",
        "a" * 65 + "@b.org",
        "a@" + "b." * 130 + "org",
    ),
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Threats CR-23: one address and nothing else, so that nothing can be written into a mail's header."""
    with pytest.raises(AuthError) as caught:
        addresses.canonical_email(text)
    assert (400, "validation_failed") == (caught.value.status, caught.value.code)


@pytest.mark.parametrize("text", ["", "a b", "a@b", ".a", "a.", "-", "\u00e4", "a" * 65])
def test_what_is_no_user_name_is_refused(text: str) -> None:
    with pytest.raises(AuthError):
        addresses.canonical_username(text)


@pytest.mark.parametrize("text", ["a", "Ann", "ann.lee-2_x", "_", "a" * 64])
def test_user_names_are_kept_in_lower_case(text: str) -> None:
    assert text.lower() == addresses.canonical_username(text)


@pytest.mark.parametrize(
    ("expected", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "::ffff:192.0.2.7"),
        ("2001:db8:1:2::/64", "2001:db8:1:2:3:4:5:6"),
        ("fe80::/64", "fe80::1%eth0"),
        ("", ""),
        ("", "unix:"),
    ],
)
def test_a_network_is_an_address_or_the_64_bits_in_front_of_one(expected: str, address: str) -> None:
    """Threats CR-07: a home has 2^64 IPv6 addresses and is one caller."""
    assert expected == addresses.network_of(address)


def test_what_is_too_long_for_an_address_is_none_and_is_not_remembered() -> None:
    """The name of an interface may follow a `%`; a proxy may hand on a long one."""
    before = figures.of_process()["networks"]
    assert "fe80::/64" == addresses.network_of("fe80::1%eth0")
    assert "" == addresses.network_of("fe80::1%" + "a" * 100)
    after = figures.of_process()["networks"]
    assert 1 == after.hits + after.misses - before.hits - before.misses
