"""Regular expressions on SQLite: what they find, and what is too much."""

from __future__ import annotations

import pytest

from portero.data.regular_expressions import match


def test_a_large_expression_is_not_let_loose_on_a_large_text() -> None:
    """RE2 took fifteen seconds, in which no limit of a statement's time could end it."""
    with pytest.raises(ValueError, match="54001"):
        match("a" * 900_000, "a{1,1000}b")
    assert 0 == match("a" * 10_000, "a{1,1000}b")
    assert 1 == match("a" * 900_000 + "b", "a{1,30}b")
