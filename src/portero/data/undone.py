"""How a transaction ends that was right: kept, or undone because the settings or the request say so (data.md §4.12)."""

from __future__ import annotations

from typing import Any

from portero.data.nodes import Preferences
from portero.settings import Settings


class Undone(Exception):
    """Everything was right, and is undone; it carries what was made, which is answered all the same."""

    def __init__(self, made: Any) -> None:
        super().__init__()
        self.made = made


def is_undone(settings: Settings, preferences: Preferences) -> bool:
    """Say whether a right transaction is undone."""
    end = settings.transaction_end
    if end == "commit":
        return False
    return (preferences.transaction or end.partition("-")[0]) == "rollback" if _overrides(end) else end == "rollback"


def _overrides(end: str) -> bool:
    return end.endswith("-override")
