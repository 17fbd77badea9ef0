"""Accept: the first acceptable type wins."""

from __future__ import annotations

import pytest

from portero.data.media import choose_media
from portero.errors import DataError


@pytest.mark.parametrize(
    ("accept", "kind", "stripped"),
    [
        ("", "array", False),
        ("application/json", "array", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "array", False),
        ("application/vnd.pgrst.object", "object", False),
        ("application/vnd.pgrst.object+json;nulls=stripped", "object", True),
        ("application/vnd.pgrst.array+json; nulls=stripped", "array", True),
        ("application/vnd.pgrst.array", "array", False),
        ("text/csv", "csv", False),
    ],
)
def test_a_type_is_chosen(accept: str, kind: str, stripped: bool) -> None:
    """As contract data.md §4.8 lists them."""
    media = choose_media(accept)
    assert (kind, stripped) == (media.kind, media.nulls_stripped)


def test_nothing_acceptable_is_406() -> None:
    """PGRST107 names what was asked."""
    with pytest.raises(DataError, match="text/unknowntype") as caught:
        choose_media("text/unknowntype")
    assert (406, "PGRST107") == (caught.value.status, caught.value.code)
