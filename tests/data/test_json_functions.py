"""Functions that SQLite lacks: what they say of documents, and that no document keeps them busy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from portero.data import json_functions
from portero.errors import DataError


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ({"a": [1, 2], "b": 3}, {"a": [2]}, 1),
        ({"a": [1, 2]}, {"a": [3]}, 0),
        ([{"a": 1, "b": 2}, [3, 4]], [{"a": 1}, [4]], 1),
        ([{"a": 1}], [{"a": 2}], 0),
        ([1, 1.0], ["1.0"], 1),
        (["1"], [1], 0),
        ([True], ["true"], 1),
        (["TRUE"], [True], 1),
        ([1], [True], 0),
        ([None], [None], 1),
        ([1, 2], 2, 1),
        ({"a": 1}, 1, 0),
        ([[1]], 1, 0),
    ],
)
def test_a_document_holds_another(outer: Any, inner: Any, expected: int) -> None:
    assert expected == json_functions.contains(json.dumps(outer), json.dumps(inner))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1, 2], [2, 3], 1),
        ([1, 2], ["2"], 1),
        ([1], [True], 0),
        ([[1]], [[2], [1]], 1),
        ([{"a": 1}], [{"a": 2}], 0),
        ({"a": 1}, [1], 0),
    ],
)
def test_arrays_share_an_element(left: Any, right: Any, expected: int) -> None:
    assert expected == json_functions.overlaps(json.dumps(left), json.dumps(right))


@pytest.mark.parametrize("function", [json_functions.contains, json_functions.overlaps])
def test_long_arrays_are_compared_in_time_that_grows_with_their_length(function: Callable[..., Any]) -> None:
    began = time.process_time()
    assert 1 == function(json.dumps(list(range(100_000))), json.dumps(list(range(99_999, 79_999, -1))))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("function", "first"),
    [(json_functions.contains, 1999), (json_functions.overlaps, 5000)],
    ids=["contains", "overlaps"],
)
def test_what_would_take_too_long_is_given_up(function: Callable[..., Any], first: int) -> None:
    """SQLite cannot interrupt a function, however long it runs."""
    many = [{"a": number} for number in range(2000)]
    wanted = [{"a": first + (number if first > 2000 else -number)} for number in range(2000)]
    began = time.process_time()
    with pytest.raises(ValueError, match="54001"):
        function(json.dumps(many), json.dumps(wanted))
    assert time.process_time() - began < 2


@pytest.mark.parametrize("function", [json_functions.number, json_functions.integer])
def test_a_long_text_that_is_no_number_is_refused_at_once(function: Callable[[Any], Any]) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="22P02"):
        function("1" * 200_000 + "x")
    assert time.process_time() - began < 1


def test_a_number_beyond_64_bits_never_reaches_the_driver() -> None:
    assert float(2**63) == json_functions.scalar_of(str(2**63))
    assert 2**63 - 1 == json_functions.scalar_of(str(2**63 - 1))
    with pytest.raises(DataError, match="22003"):
        json_functions.canonical_of({"a": 10**30})
