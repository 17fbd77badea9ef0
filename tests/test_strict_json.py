"""JSON is read in time that grows with its length, whatever the text."""

from __future__ import annotations

import json
import time

import pytest

from portero import strict_json


@pytest.mark.parametrize(
    "text",
    [
        '"' + '\\"' * 200_000 + "[" * 40,
        '"' + '\\"' * 200_000 + "[" * 40 + "\\",
        "[" * 20 + '"x\\' * 100_000 + "[" * 20,
    ],
)
def test_a_text_that_is_never_closed_is_refused_at_once(text: str) -> None:
    began = time.process_time()

    with pytest.raises(ValueError, match=r"Unterminated|escape"):
        strict_json.parse(text)

    assert time.process_time() - began < 1


@pytest.mark.parametrize("text", ['"' + "[" * 40 + '"', '["\\"' + "{" * 40 + '"]', '"\\\\' + "]" * 3 + "[" * 40 + '"'])
def test_brackets_inside_a_text_are_no_depth(text: str) -> None:
    assert json.loads(text) == strict_json.parse(text)


@pytest.mark.parametrize("text", ["[" * 33 + "]" * 33, '"\\""' + "[" * 33, '["\\\\",' + "[" * 32 + "]" * 33])
def test_what_is_nested_deeper_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nested deeper than 32"):
        strict_json.parse(text)
