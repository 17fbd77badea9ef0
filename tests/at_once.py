"""Doing one thing many times at the same moment: what is good for a single use must pass once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")
MANY = 20


def at_once(work: Callable[[int], Result], count: int = MANY) -> list[Result]:
    """Call `work` with 0, 1, 2 … in as many threads, begun together, and give what each returned."""
    start = threading.Barrier(count)

    def wait_and_work(number: int) -> Result:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_work, range(count)))
