"""The page on what differs between the databases is what a run over both makes of it."""

from __future__ import annotations

from tests.data.databases_run import PAGE, ask_all, page


def test_the_page_is_the_one_that_the_run_makes(sqlite_url: str, empty_postgresql_url: str) -> None:
    """If not: python -m tests.data.databases_run."""
    made = page(ask_all(sqlite_url), ask_all(empty_postgresql_url))
    assert made == PAGE.read_text(encoding="utf-8")
