"""Full-text queries of PostgreSQL as queries of SQLite's FTS5: words, phrases, websearch, and to_tsquery's operators.

Texts in, one text out, which is bound. Every word of the caller stands in double quotes, so that nothing in it is an
operator of FTS5's. What FTS5 cannot say is refused with PGRST127. It knows no tables: a column goes by its number in
the index. Obeys contract data.md §4.3; SQLite's documentation, "FTS5"; PostgreSQL's, "Text Search Functions".

>>> match_of("plfts", "Fat cats", 0), match_of("phfts", "fat cats", 1)
('c0 : "Fat" AND c0 : "cats"', 'c1 : "fat cats"')
>>> match_of("wfts", 'heat -thief or "los angeles"', 0)
'((c0 : "heat") NOT (c0 : "thief")) OR (c0 : "los angeles")'
>>> match_of("fts", "fat & !(rat | ca:*)", 0)
'(c0 : "fat") NOT (c0 : "rat" OR c0 : "ca" *)'
>>> match_of("fts", "fat rat", 0)
Traceback (most recent call last):
...
portero.errors.DataError: 42601: syntax error in the value of an operator
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from portero.errors import DataError
from portero.records import dataclass

EVERY: Final = "every"
"""The column of the index that holds the word `x` in every row."""
_ALL: Final = f'{EVERY} : "x"'
_NONE: Final = f'{EVERY} : "y"'
_WEB: Final = re.compile(r'(-?)"([^"]*)"|(-?)([^\s"]+)')
_TOKEN: Final = re.compile(r"\s*(?:(<->)|(<[0-9]+>)|([&|!()])|('(?:[^']|'')*'|[^\s&|!()<:']+)(?::([A-Da-d*]+))?)")
_DEEPEST: Final = 32


@dataclass(frozen=True, slots=True)
class _Not:
    """What must not be found."""

    text: str


Part = str | _Not


def match_of(operator: str, text: str, column: int) -> str:
    """Write the FTS5 query that a search means.

    Args:
        operator: `fts`, `plfts`, `phfts` or `wfts`.
        text: the query, as PostgreSQL reads it.
        column: the number of the searched column in the index.

    Raises:
        DataError: 42601 (400) no query of to_tsquery; PGRST127 (400) one that FTS5 cannot say; 54001 (400) too deep.
    """
    match operator:
        case "plfts":
            return _joined([_term(word, column) for word in text.split() if _has_word(word)], "AND") or _NONE
        case "phfts":
            return _term(text, column) if _has_word(text) else _NONE
        case "wfts":
            return _web(text, column)
    return _Query(text, column).match()


def _has_word(text: str) -> bool:
    """A text without a letter or a digit has no word that could be found."""
    return any(mark.isalnum() for mark in text)


def _term(text: str, column: int) -> str:
    quoted = text.replace('"', '""')
    return f'c{column} : "{quoted}"'


def _joined(parts: Sequence[str], word: str) -> str:
    return f" {word} ".join(parts)


def _all_of(parts: Sequence[Part]) -> str:
    """FTS5 can only say what is found but for something else."""
    found = [part for part in parts if isinstance(part, str)]
    wanted = _joined(found if len(found) < 2 else [_grouped(part) for part in found], "AND") or _ALL
    for part in parts:
        if isinstance(part, _Not):
            wanted = f"({wanted}) NOT ({part.text})"
    return wanted


def _any_of(parts: Sequence[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    return _joined([_grouped(part if isinstance(part, str) else _all_of([part])) for part in parts], "OR")


def _grouped(text: str) -> str:
    """A single term needs no parentheses."""
    is_one = text.count(" : ") == 1 and " NOT " not in text
    return text if is_one else f"({text})"


def _web(text: str, column: int) -> str:
    groups: list[list[Part]] = [[]]
    for found in _WEB.finditer(text):
        is_negated, words = bool(found[1] or found[3]), found[2] if found[4] is None else found[4]
        if found[4] is not None and words.lower() == "or" and not is_negated:
            groups.append([])
        elif _has_word(words):
            groups[-1].append(_Not(_term(words, column)) if is_negated else _term(words, column))
    every = [_all_of(group) for group in groups if group]
    if not every:
        return _NONE
    return every[0] if len(every) == 1 else _joined([f"({each})" for each in every], "OR")


class _Query:
    """Reads to_tsquery's operators: `!` binds tightest, then `<->`, `&`, `|`."""

    def __init__(self, text: str, column: int) -> None:
        self.text = text
        self.column = column
        self.at = 0
        self.next: re.Match[str] | None = None
        self._advance()

    def match(self) -> str:
        """Give the whole query."""
        if not self.text.strip():
            return _NONE
        found = self._alternatives(0)
        if self.next is not None:
            raise self._broken()
        return found if isinstance(found, str) else _all_of([found])

    def _advance(self) -> None:
        if not self.text[self.at :].strip():
            self.next = None
            return
        self.next = _TOKEN.match(self.text, self.at)
        if self.next is None:
            raise self._broken()
        self.at = self.next.end()

    def _broken(self) -> DataError:
        return DataError(400, "42601", "syntax error in the value of an operator")

    def _takes(self, mark: str) -> bool:
        if self.next is None or self.next[3] != mark:
            return False
        self._advance()
        return True

    def _alternatives(self, depth: int) -> Part:
        parts = [self._conjunction(depth)]
        while self._takes("|"):
            parts.append(self._conjunction(depth))
        return _any_of(parts)

    def _conjunction(self, depth: int) -> Part:
        parts = [self._phrase(depth)]
        while self._takes("&"):
            parts.append(self._phrase(depth))
        return parts[0] if len(parts) == 1 else _all_of(parts)

    def _phrase(self, depth: int) -> Part:
        first = self._operand(depth)
        words = [first]
        while self.next is not None and (self.next[1] or self.next[2]):
            if self.next[2]:
                raise _unsaid("words at a distance")
            self._advance()
            words.append(self._operand(depth))
        if len(words) == 1:
            return first
        if not all(isinstance(each, str) and re.fullmatch(r'c[0-9]+ : "[^"]*"', each) for each in words):
            raise _unsaid("a phrase of anything but words")
        return _joined([str(words[0]), *(str(each).partition(" : ")[2] for each in words[1:])], "+")

    def _operand(self, depth: int) -> Part:
        if depth > _DEEPEST:
            raise DataError(400, "54001", "the text search query is too deep")
        if self._takes("!"):
            inner = self._operand(depth + 1)
            return _Not(inner) if isinstance(inner, str) else inner.text
        if self._takes("("):
            inner = self._alternatives(depth + 1)
            if not self._takes(")"):
                raise self._broken()
            return inner
        if self.next is None or self.next[4] is None:
            raise self._broken()
        word, marks = self.next[4], self.next[5] or ""
        if word.startswith("'"):
            word = word[1:-1].replace("''", "'")
        if marks.strip("*"):
            raise _unsaid("a weight")
        self._advance()
        if not _has_word(word):
            return _NONE
        return _term(word, self.column) + (" *" if marks else "")


def _unsaid(what: str) -> DataError:
    details = f"Searches for {what} are not available on this database."
    return DataError(400, "PGRST127", "Feature not implemented", details=details)
