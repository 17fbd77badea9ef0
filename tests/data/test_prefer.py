"""Preferences: the first use wins, strict refuses the unknown, what was followed is said in PostgREST's order."""

from __future__ import annotations

import pytest

from portero.data.prefer import applied, parse_prefer
from portero.errors import DataError


def test_everything_known_is_read() -> None:
    """One header with all tokens."""
    text = "return=headers-only,count=planned,resolution=ignore-duplicates,missing=null,handling=strict,tx=rollback"
    found = parse_prefer(f"{text}, max-affected=3, timezone=Europe/Madrid")
    assert ("headers-only", "planned", "ignore-duplicates", "null") == (
        found.returns,
        found.count,
        found.resolution,
        found.missing,
    )
    assert ("strict", "rollback", 3, "Europe/Madrid") == (
        found.handling,
        found.transaction,
        found.max_affected,
        found.timezone,
    )
    assert () == found.unknown


def test_count_none_is_no_count_and_empty_parts_are_nothing() -> None:
    """`count=none, ,`."""
    found = parse_prefer("count=none, ,")
    assert found.count is None
    assert () == found.unknown


@pytest.mark.parametrize("token", ["max-affected=x", "max-affected=99999999999", "return=all", "params=single-object"])
def test_a_token_with_a_strange_value_is_unknown(token: str) -> None:
    """Lenient keeps it, strict refuses it."""
    assert (token,) == parse_prefer(token).unknown
    with pytest.raises(DataError) as caught:
        parse_prefer(f"handling=strict,{token}")
    assert (400, "PGRST122", f"Invalid preferences: {token}") == (
        caught.value.status,
        caught.value.code,
        caught.value.details,
    )


@pytest.mark.parametrize("zone", ["Invalid/Zone", "../etc/passwd", "x" * 100, ""])
def test_a_time_zone_that_is_none_is_always_refused(zone: str) -> None:
    """Also with handling=lenient."""
    with pytest.raises(DataError) as caught:
        parse_prefer(f"handling=lenient, timezone={zone}")
    assert (400, "22023") == (caught.value.status, caught.value.code)


def test_what_was_followed_is_said_in_order() -> None:
    """A POST that says everything."""
    asked = parse_prefer(
        "max-affected=1,handling=strict,tx=commit,count=exact,return=minimal,missing=default,resolution=merge-duplicates"
    )
    expected = "resolution=merge-duplicates, missing=default, return=minimal, count=exact"
    expected += ", tx=commit, handling=strict, max-affected=1"
    assert expected == applied(asked, method="POST", upserts=True, overrides_transaction=True)
    assert "count=exact, handling=strict" == applied(asked, method="GET")
