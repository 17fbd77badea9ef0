"""What a full-text search looks into: a column, and on SQLite the index of its words. It decides nothing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from portero.data.search_index import SearchColumn
from portero.data.wire_types import WireType
from portero.records import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class SearchedWords:
    """The left side of a search.

    Attributes:
        column: the column in its row source.
        wire: its type.
        index: where its words are on SQLite; None where no index is declared.
        row: the key by which the index knows the row.
        longest: the longest query; characters.
    """

    column: sa.ColumnElement[Any]
    wire: WireType
    index: SearchColumn | None
    row: sa.ColumnElement[Any] | None
    longest: int
