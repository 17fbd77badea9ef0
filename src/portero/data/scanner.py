"""A reader of one query-string text: position, expectation, and the one way to refuse (PGRST100).

It never looks at models and raises DataError only.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from portero.errors import DataError

FIELD_NAME = "field name (* or [a..z0..9_$])"
#: `\w` is what `str.isalnum` says, and `_`. No part can match in two ways, so a name takes no longer than it is.
_NAME: Final = re.compile(r"[\w $]*(?:-(?!>)[\w $]*)*")
_WORD: Final = re.compile(r"\w*")
_BLANKS: Final = re.compile(r"[ \t]*")


def syntax_error(what: str, text: str, details: str, position: int = 0) -> DataError:
    """Make the PGRST100 refusal in PostgREST's form; the text is shown in its first 100 characters."""
    shown = text if len(text) <= 100 else text[:100] + "…"
    return DataError(
        400, "PGRST100", f'"failed to parse {what} ({shown})" (line 1, column {position + 1})', details=details
    )


class Scanner:
    """Reads `text` from left to right; `what` names it in refusals.

    Args:
        start: where to begin.
        shown: what refusals show of the text; default: all of it.
    """

    __slots__ = ("at", "shown", "text", "what")

    def __init__(self, text: str, what: str, start: int = 0, shown: str | None = None) -> None:
        self.text = text
        self.what = what
        self.at = start
        self.shown = text if shown is None else shown

    def fail(self, expected: str) -> NoReturn:
        """Raise PGRST100 here.

        Raises:
            DataError: PGRST100.
        """
        self.refuse(f'"{self.text[self.at]}"' if self.at < len(self.text) else "end of input", expected)

    def refuse(self, found: str, expected: str) -> NoReturn:
        """Raise PGRST100 here, and say what was found.

        Raises:
            DataError: PGRST100.
        """
        raise syntax_error(self.what, self.shown, f"unexpected {found} expecting {expected}", self.at)

    def peek(self, word: str) -> bool:
        """Say whether `word` comes next."""
        return self.text.startswith(word, self.at)

    def take(self, word: str) -> bool:
        """Read `word` if it comes next."""
        if self.text.startswith(word, self.at):
            self.at += len(word)
            return True
        return False

    def expect(self, word: str) -> None:
        """Read `word` or refuse."""
        if not self.take(word):
            self.fail(f'"{word}"')

    def skip_blanks(self) -> None:
        """Pass over blanks."""
        if self.text[self.at : self.at + 1] in (" ", "\t"):
            self._match(_BLANKS)

    def at_end(self) -> bool:
        """Say whether everything was read."""
        return self.at >= len(self.text)

    def quoted(self) -> str:
        r"""Read `"…"`, in which `\x` stands for x.

        >>> Scanner(r'"a\"b" rest', "select").quoted()
        'a"b'
        """
        self.expect('"')
        text, at, parts = self.text, self.at, []
        while at < len(text) and text[at] != '"':
            if text[at] == "\\" and at + 1 < len(text):
                at += 1
            parts.append(text[at])
            at += 1
        self.at = at
        self.expect('"')
        return "".join(parts)

    def name(self, expected: str = FIELD_NAME) -> str:
        """Read a name: quoted, or letters, digits, `_`, `$`, blanks and `-` where no `>` follows.

        >>> Scanner("field-with_sep::text", "select").name()
        'field-with_sep'
        >>> Scanner('"Full Title",id', "select").name()
        'Full Title'
        """
        if self.peek('"'):
            return self.quoted()
        found = self._match(_NAME).strip(" ")
        if not found:
            self.fail(expected)
        return found

    def word(self) -> str:
        """Read letters, digits and `_`; may be empty."""
        return self._match(_WORD)

    def _match(self, pattern: re.Pattern[str]) -> str:
        """Read what matches a pattern that matches the empty text too."""
        found = pattern.match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        return found[0]
