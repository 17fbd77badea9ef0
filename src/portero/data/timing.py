"""How long the stages of one request took, for `Server-Timing` (contract data.md §4.12). For development only.

Times tell a stranger what a policy costs, so nothing is measured unless the setting asks for it. Of a write the plan is
made in the stage of the transaction.
"""

from __future__ import annotations

import time


class Stopwatch:
    """Notes the time between two marks."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._stages: list[tuple[str, float]] = []

    def mark(self, stage: str) -> None:
        """Note that a stage ends here."""
        now = time.perf_counter()
        self._stages.append((stage, now - self._last))
        self._last = now

    def header(self) -> str:
        """Write the header's value, in milliseconds.

        >>> watch = Stopwatch()
        >>> watch.mark("jwt")
        >>> watch.header().startswith("jwt;dur=0.")
        True
        """
        return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in self._stages)
