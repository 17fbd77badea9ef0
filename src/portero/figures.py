"""What is counted while serving: how often a cache had what was asked for, and how many writes shared a commit.

Every cache of the process is made by `kept`, which gives it a bound and a name among the figures; a cache of one
application tells its figures by a method `caches` of what has it. Figures are of one process since it started. They
hold no request, no name and no caller. Counting takes no lock, so under many threads a few may be missing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

Made = TypeVar("Made")
_KEPT: Final[dict[str, Any]] = {}


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


def kept(name: str, most: int) -> Callable[[Callable[..., Made]], _lru_cache_wrapper[Made]]:
    """Keep what a function made for the whole process, as `functools.lru_cache` does, and count it under a name.

    Whoever keeps what a caller sent bounds its length: here only the number of entries is bounded.

    Args:
        name: the cache's, in the figures.
        most: entries.
    """

    def keeping(make: Callable[..., Made]) -> _lru_cache_wrapper[Made]:
        _KEPT[name] = cache = lru_cache(most)(make)
        return cache

    return keeping


def of_process() -> dict[str, CacheFigures]:
    """Give the figures of every cache that `kept` made in this process so far, by their names."""
    return {name: of_lru(cache.cache_info()) for name, cache in sorted(_KEPT.items())}


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
