"""A statement's text and values as libpq takes them: `$1` for each place, psycopg's adapters, types that stay few.

It runs nothing and knows no connection's state.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg.adapt import AdaptersMap, PyFormat
from psycopg.types.numeric import Int8Dumper

from portero.figures import CacheFigures

Parameters = Sequence[Any] | Mapping[str, Any]
#: The one row of a read: the bytes of a JSON document in UTF-8, and behind it whole numbers or None.
Document = tuple[Any, ...]
_PLACES = re.compile(r"%(?:\(([^)]*)\)s|s|%)")


class Outcome(NamedTuple):
    """What a statement gave: its rows, and how many it concerned."""

    rows: list[tuple[Any, ...]]
    rowcount: int

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Give the rows, as a cursor does."""
        return self.rows


class Shared:
    """What the lines of a database share.

    Attributes:
        altered: how often a table was found altered: what one line meets, the others need not meet.
        hits: how often a statement was kept already.
        misses: how often not.
    """

    __slots__ = ("_guard", "_lines", "altered", "hits", "misses")

    def __init__(self) -> None:
        self.altered = self.hits = self.misses = 0
        self._guard = threading.Lock()
        self._lines: weakref.WeakSet[Any] = weakref.WeakSet()

    def join(self, line: Any) -> None:
        """Count a line among those there are, while it is there."""
        with self._guard:
            self._lines.add(line)

    def figures(self, most: int) -> CacheFigures:
        """Give how often a statement was kept; `most` may be in all lines together."""
        with self._guard:
            lines = list(self._lines)
        entries = sum(len(line.statements) for line in lines)
        return CacheFigures(self.hits, self.misses, entries, most)


class Statement:
    """A statement as PostgreSQL takes it.

    Attributes:
        text: with `$1`, `$2`, …
        names: of the parameters, where they have any.
        formats: one a parameter: psycopg chooses.
        prepared: parameter types → the name it is prepared under.
        known: the type that each place had last, 0 where it had none yet.
        is_kept: it came before, and is worth preparing.
    """

    __slots__ = ("formats", "is_kept", "known", "names", "prepared", "text")

    def __init__(self, sql: str, is_kept: bool) -> None:
        self.is_kept = is_kept
        self.names: list[str] = []
        self.formats: list[Any] = []
        self.prepared: dict[tuple[int, ...], bytes] = {}
        self.text = _PLACES.sub(self._place, sql).encode()
        self.known = [0] * len(self.formats)

    def values(self, parameters: Parameters) -> Sequence[Any]:
        """Give the values in order."""
        if self.names:
            given: Any = parameters
            return [given[name] for name in self.names]
        return parameters if self.formats else ()  # type: ignore[return-value]

    def typed(self, given: Sequence[Any], types: tuple[int, ...]) -> tuple[int, ...]:
        """Give NULL the type its place is known by: as a type of its own it would double what is prepared."""
        known = self.known
        return tuple(known[place] if given[place] is None else kind for place, kind in enumerate(types))

    def learn(self, types: tuple[int, ...]) -> None:
        """Remember the types of places."""
        self.known = [kind or known for kind, known in zip(types, self.known, strict=True)]

    def _place(self, match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        name = match[1]
        if name is None:
            self.formats.append(PyFormat.AUTO)
        elif name not in self.names:
            self.names.append(name)
            self.formats.append(PyFormat.AUTO)
        return f"${len(self.formats) if name is None else self.names.index(name) + 1}"


class Bound(NamedTuple):
    """A statement with its values as PostgreSQL takes them; `name` if it is prepared, or is to be (`is_new`)."""

    statement: Statement
    given: Sequence[Any]
    types: tuple[int, ...]
    formats: Sequence[Any]
    name: bytes | None
    is_new: bool


class Context:
    """What psycopg adapts values by: the connection's own ways, but each int is a bigint.

    Otherwise 5 and 70000 are of two types, and a statement with three numbers is prepared 27 times.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.adapters = AdaptersMap(connection.adapters)
        self.adapters.register_dumper(int, Int8Dumper)
