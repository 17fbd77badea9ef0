"""The name that a caller may have meant: "Perhaps you meant …".

Names are compared as PostgREST compares them: candidates share pieces of two or three letters, and of the likeliest the
one with the fewest edits wins. It knows nothing of models and gives no name that it was not handed. The work is bounded
by the length of a name and the number of candidates that are measured.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from math import sqrt
from typing import Final

LIKELY: Final = 0.33
"""Similarity from which a name is worth a hint where the caller is known to see all of them."""
SURE: Final = 0.75
"""Similarity that a table's and a function's name must have: a hint must not list what there is."""
_LONGEST: Final = 128
_MEASURED: Final = 50
_NO_LETTER: Final = re.compile(r"[^\w, ]|_")


def nearest(name: str, names: Iterable[str], least: float = SURE) -> str | None:
    """Give the most similar of `names`; None if nothing is as near as `least`, or if the name itself is among them.

    >>> nearest("filmz", ["actors", "films"]), nearest("faketable", ["table_b"]), nearest("role", ["roles"], LIKELY)
    ('films', None, 'roles')
    """
    if len(name) > _LONGEST:
        return None
    given = name.lower()
    known = {each.lower(): each for each in sorted(set(names), reverse=True)}
    if given in known:
        return None
    for size in (3, 2):
        found = max(((_likeness(given, each), each) for each in _sharing(given, known, size)), default=(0.0, ""))
        if found[0] >= least:
            return known[found[1]]
    return None


def _sharing(given: str, known: Iterable[str], size: int) -> list[str]:
    """Give the names that have most pieces in common with the given one, the likeliest first."""
    own = _pieces(given, size)
    scored = []
    for each in known:
        pieces = _pieces(each[:_LONGEST], size)
        common = sum(count * pieces[piece] for piece, count in own.items())
        if common:
            scored.append((common / (_norm(own) * _norm(pieces)), each))
    return [each for _, each in sorted(scored, reverse=True)[:_MEASURED]]


def _pieces(name: str, size: int) -> Counter[str]:
    padded = f"-{_NO_LETTER.sub('', name)}-"
    return Counter(padded[at : at + size] for at in range(max(1, len(padded) - size + 1)))


def _norm(pieces: Counter[str]) -> float:
    return sqrt(sum(count * count for count in pieces.values()))


def _likeness(one: str, other: str) -> float:
    """Give 1 minus the share of letters that must be edited (Levenshtein)."""
    if len(other) > _LONGEST:
        return 0.0
    above = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        line = [row]
        for at, mark in enumerate(other, 1):
            line.append(min(above[at] + 1, line[at - 1] + 1, above[at - 1] + (letter != mark)))
        above = line
    return 1 - above[-1] / max(len(one), len(other), 1)
