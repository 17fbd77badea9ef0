"""What is counted while serving: how often a cache had what was asked for, and how many writes shared a commit.

Figures are of one process since it started. They hold no request, no name and no caller. Counting takes no lock, so
under many threads a few may be missing.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class CacheFigures(NamedTuple):
    """One bounded cache.

    Attributes:
        hits: how often it had what was asked for.
        misses: how often it had not.
        entries: what it holds now.
        most: what it holds at most.
    """

    hits: int
    misses: int
    entries: int
    most: int


def of_lru(info: Any) -> CacheFigures:
    """Give the figures of a `functools.lru_cache`.

    >>> from functools import lru_cache
    >>> kept = lru_cache(8)(str)
    >>> (kept(1), kept(1)) and of_lru(kept.cache_info())
    CacheFigures(hits=1, misses=1, entries=1, most=8)
    """
    return CacheFigures(info.hits, info.misses, info.currsize, info.maxsize)


class CommitFigures(NamedTuple):
    """Writes that may share a commit.

    Attributes:
        writes: pieces of work that were done.
        groups: transactions that they were done in.
    """

    writes: int
    groups: int
