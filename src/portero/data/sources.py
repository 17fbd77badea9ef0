"""A row source in a FROM clause: what the writers of a statement hand to each other. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

Clause = sa.ColumnElement[Any]
POSITION: Final = "portero_position"
"""The column that holds a row's place in the order that a function's statement has."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A row source, and its columns by name.

    Attributes:
        members: of grouped rows, the finished JSON values by the keys of the answer; None of rows as they are kept.
    """

    rows: sa.FromClause
    columns: Mapping[str, Clause]
    members: Mapping[str, Clause] | None = None
