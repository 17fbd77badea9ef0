"""The bound parameters of a statement: which slot of the request each one is, and how its text becomes a value.

Nothing of a request but its shape is in here; values come at execution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

Codec = Callable[[str], Any]
"""The raw text of a slot → the value for the bind's type; raises DataError."""

KEYS = "portero_keys"
"""The bind of a keyed read: primary keys as JSON text."""


class Binds:
    """Collects the binds of one statement; the bind of slot 3 is called `s3`."""

    def __init__(self) -> None:
        self.codecs: dict[str, tuple[int, Codec]] = {}
        self.numbers: dict[str, tuple[int, Codec]] = {}

    def slot(self, slot: int, codec: Codec, type_: TypeEngine[Any]) -> sa.BindParameter[Any]:
        """Give the bind of a slot; a slot used twice in one statement (page and count) is one bind."""
        name = f"s{slot}"
        self.codecs[name] = (slot, codec)
        return sa.bindparam(name, None, type_=type_)

    def number(self, slot: int, codec: Codec) -> sa.ColumnElement[int]:
        """Give the place of a number that will stand in the text itself; its codec gives an int."""
        name = f"portero_number_{slot}_"
        self.numbers[name] = (slot, codec)
        return sa.literal_column(name, sa.BigInteger())


class FilterBinds(Binds):
    """The binds of a write's filters: no column it sets can have their names, and each execution gives them values."""

    def slot(self, slot: int, codec: Codec, type_: TypeEngine[Any]) -> sa.BindParameter[Any]:
        """Give the bind of a slot."""
        name = f"portero_s{slot}"
        self.codecs[name] = (slot, codec)
        return sa.bindparam(name, type_=type_)
