"""The pages that Portero shows itself: their look stands in them, and their policy lets in nothing else."""

from __future__ import annotations

import base64
import hashlib
import re

from portero.web.own_styles import POLICY, STYLE


def test_the_policy_lets_in_the_sheet_by_its_hash_and_nothing_else() -> None:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    expected = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
    assert expected == POLICY


def test_the_sheet_loads_nothing_and_ends_no_element() -> None:
    """Its text is put into a page as it is, without escaping."""
    assert [] == re.findall(r"url\(|@import|https?:", STYLE)
    assert "<" not in STYLE
