"""Tests of portero.crypto.recovery_codes."""

from __future__ import annotations

from uuid import UUID

import pytest

from portero.crypto import recovery_codes

ONE, OTHER = UUID(int=1), UUID(int=2)


def test_codes_are_sixteen_lower_case_characters_and_never_alike() -> None:
    made = [code for _ in range(100) for code in recovery_codes.generate()]
    assert 1000 == len(set(made))
    assert all(16 == len(code) and code == code.lower() and code.isalnum() for code in made)
    assert not set("ilou") & set("".join(made))


@pytest.mark.parametrize("typed", ["k4m9x7qp2ab8ht0z", "K4M9-X7QP-2AB8-HT0Z", " k4m9 x7qp\t2ab8 htoz\n"])
def test_a_code_is_read_as_people_type_it(typed: str) -> None:
    assert "k4m9x7qp2ab8ht0z" == recovery_codes.canonical(typed)


@pytest.mark.parametrize(
    "typed", ["", "k4m9", "k4m9x7qp2ab8ht0zz", "k4m9x7qp2ab8ht0u", "k4m9x7qp2ab8ht0\u0663", "\0" * 16]
)
def test_what_has_not_the_form_is_no_code(typed: str) -> None:
    assert recovery_codes.canonical(typed) is None


def test_the_digest_of_a_code_belongs_to_one_set() -> None:
    assert recovery_codes.digest("k4m9x7qp2ab8ht0z", ONE) == recovery_codes.digest("k4m9x7qp2ab8ht0z", ONE)
    assert recovery_codes.digest("k4m9x7qp2ab8ht0z", ONE) != recovery_codes.digest("k4m9x7qp2ab8ht0z", OTHER)
    assert 32 == len(recovery_codes.digest("k4m9x7qp2ab8ht0z", ONE))
