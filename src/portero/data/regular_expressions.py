"""Regular expressions for SQLite by RE2, whose time is linear in the text: no pattern keeps the database busy.

Linear is not short: where its automaton grows beyond its memory, RE2 goes through the whole program at each letter. So
a large program is not let loose on a large text.

RE2 comes with `portero[regex]`; without it `match` and `imatch` are refused on SQLite. Obeys overrides "match / imatch
(DA-30)". It runs inside SQL statements: no I/O, bounded memory.
"""

from __future__ import annotations

from typing import Any

from portero.figures import kept

try:  # An optional dependency: a wheel of 1 MB that only this operator needs.
    import re2
except ImportError:  # pragma: no cover - the tests run with it
    re2 = None

IS_AVAILABLE = re2 is not None
_MEMORY = 1 << 20
#: Instructions times letters that one search may take: one or two seconds, for SQLite cannot interrupt a function.
_MOST_STEPS = 200_000_000


def match(text: Any, pattern: Any) -> int | None:
    """Say whether a pattern is found in a text, as PostgreSQL's `~` does.

    >>> match("Heat", "^H"), match("Heat", "^h"), match(None, "x")
    (1, 0, None)

    Raises:
        ValueError: the pattern is none, or too complex for so long a text.
    """
    return _found(text, pattern, folds=False)


def match_folded(text: Any, pattern: Any) -> int | None:
    """Say the same whatever the case, as `~*` does.

    >>> match_folded("Äther", "^ä")
    1

    Raises:
        ValueError: the pattern is none, or too complex for so long a text.
    """
    return _found(text, pattern, folds=True)


def _found(text: Any, pattern: Any, *, folds: bool) -> int | None:
    if text is None or pattern is None:
        return None
    compiled, searched = _compiled(str(pattern), folds), str(text)
    if compiled.programsize * len(searched) > _MOST_STEPS:
        raise ValueError("54001 the expression is too complex for so long a text")
    return int(compiled.search(searched) is not None)


def check(pattern: str) -> str:
    """Give a pattern back if RE2 can read it.

    Raises:
        ValueError: it cannot.
    """
    _compiled(pattern, False)
    return pattern


@kept("regular_expressions", 64)
def _compiled(pattern: str, folds: bool) -> Any:
    options = re2.Options()
    options.case_sensitive = not folds
    # As in PostgreSQL, a newline is a character like any other.
    options.dot_nl = True
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise ValueError("2201B regular expression") from None
