"""Which passwords are accepted (threats CR-11, CR-13, CR-16; contract auth.md §3.3)."""

from __future__ import annotations

import pytest

from portero.errors import AuthError
from portero.identity import password_rules


def reasons(password: str, email: str = "ann.lee@example.org") -> list[str]:
    found = password_rules.weaknesses(
        password, min_length=8, context_words=password_rules.context_words(email, "annalee")
    )
    return [reason for reason, _ in found]


@pytest.mark.parametrize(
    ("expected", "password"),
    [
        (["length"], "k7$Zq1"),
        (["length", "pwned"], "dragon"),
        (["pwned"], "password1"),
        (["pwned"], "PassWord1"),
        (["pwned"], "\uff30assword1"),
        (["pwned"], "my-portero-login"),
        (["pwned"], "ANN.LEE is my name"),
        (["pwned"], "xx annalee xx"),
        ([], "fifteenletterss"),
        ([], "k7$Zq1!x"),
        ([], "four words with spaces"),
        ([], "\U0001f511" * 32),
        ([], "x y" * 42),
    ],
)
def test_length_the_list_and_the_context_decide_and_nothing_else(expected: list[str], password: str) -> None:
    assert expected == reasons(password)


def test_a_short_local_part_forbids_nothing() -> None:
    assert [] == reasons("any sentence", email="any@example.org")


def test_length_is_counted_after_normalisation() -> None:
    """Eight code points of four letters are four letters."""
    assert ["length"] == reasons("e\u0301" * 4)


def test_the_refusal_names_every_reason_as_the_clients_read_it() -> None:
    with pytest.raises(AuthError) as caught:
        password_rules.check("dragon", min_length=8)
    assert (422, "weak_password") == (caught.value.status, caught.value.code)
    assert {"weak_password": {"reasons": ["length", "pwned"]}} == caught.value.extra
    assert caught.value.message.startswith("Password should be at least 8 characters. Password is known")


@pytest.mark.parametrize("password", ["x" * 1025, "\u20ac" * 342])
def test_over_1_kib_is_too_long_in_characters_or_bytes(password: str) -> None:
    with pytest.raises(AuthError) as caught:
        password_rules.check(password, min_length=8)
    assert "validation_failed" == caught.value.code
