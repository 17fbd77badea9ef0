"""Ids made past their constructor are the same as those that it makes."""

from __future__ import annotations

import pickle
from uuid import UUID, uuid4

from portero.ids import id_of, random_id


def test_an_id_of_a_number_is_the_uuid_of_that_number() -> None:
    for expected in (uuid4(), UUID(int=0), UUID(int=2**128 - 1)):
        made = id_of(expected.int)
        assert (expected, hash(expected), str(expected), expected.bytes) == (made, hash(made), str(made), made.bytes)
        assert expected == pickle.loads(pickle.dumps(made))


def test_random_ids_are_of_version_4_and_use_all_their_other_bits() -> None:
    made = [random_id() for _ in range(500)]
    assert {(4, uuid4().variant)} == {(each.version, each.variant) for each in made}
    assert 500 == len(set(made))
    ever, always = 0, 2**128 - 1
    for each in made:
        ever, always = ever | each.int, always & each.int
    assert 122 == (ever & ~always).bit_count()
