"""LIKE patterns of the wire: `*` and `%` stand for anything, `_` for one character, a backslash makes the next plain.

It matches nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from portero.errors import DataError


def bounded(text: str, longest: int) -> str:
    """Give a pattern back, unless it is so long that it could keep the database busy.

    Raises:
        DataError: PGRST100 (400).
    """
    if len(text) > longest:
        raise DataError(400, "PGRST100", f"a pattern is longer than {longest} characters")
    return text


def like_of(text: str, longest: int) -> str:
    """Write the pattern for SQL's LIKE.

    >>> like_of("He*t%", 100)
    'He%t%'

    Raises:
        DataError: PGRST100 too long; 22025 it ends in its escape character.
    """
    text = bounded(text, longest)
    if (len(text) - len(text.rstrip("\\"))) % 2:
        raise DataError(400, "22025", "LIKE pattern must not end with escape character")
    return text.replace("*", "%")


def glob_of(text: str, longest: int) -> str:
    r"""Write the pattern for SQLite's GLOB.

    >>> glob_of(r"a_b*c%\%[?", 100)
    'a?b*c*%[[][?]'

    Raises:
        DataError: as `like_of`.
    """
    return "".join(_globs(like_of(text, longest)))


def _globs(pattern: str) -> Iterator[str]:
    marks = iter(pattern)
    was_star = False
    for mark in marks:
        if mark == "%":
            # Two stars in a row say no more than one, but make GLOB try every split twice.
            if not was_star:
                yield "*"
            was_star = True
            continue
        was_star = False
        if mark == "_":
            yield "?"
        else:
            plain = next(marks, "") if mark == "\\" else mark
            yield f"[{plain}]" if plain in ("*", "?", "[") else plain
