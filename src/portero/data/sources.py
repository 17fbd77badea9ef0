"""A row source in a FROM clause: what the writers of a statement hand to each other. It decides nothing.

The rows of a model under a policy are said once and shared by statements: nothing of a request is in them, and they
take SQLAlchemy a fifth of what a statement does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from portero.data.caller import me
from portero.data.catalogue import Model
from portero.data.policy import held_to_caller, readable_rows
from portero.figures import kept
from portero.records import dataclass

Clause = sa.ColumnElement[Any]
POSITION: Final = "portero_position"
"""The column that holds a row's place in the order that a function's statement has."""
ROW: Final = "portero_row"
"""The names of a row's key inside a keyed read begin so."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A row source, and its columns by name.

    Attributes:
        members: of grouped rows, the finished JSON values by the keys of the answer; None of rows as they are kept.
        callers: the columns that are the caller's id in every row.
    """

    rows: sa.FromClause
    columns: Mapping[str, Clause]
    members: Mapping[str, Clause] | None = None
    callers: frozenset[str] = frozenset()

    def linked(self, column: sa.Column[Any], other: sa.Column[Any]) -> Clause:
        """Give what a related row's column is compared with: the caller's id where this one holds nothing else.

        Then the related row is the same for every row here, and both databases look for it once. Only ids of one type
        can be said to be equal to what is equal to them.
        """
        if column.name in self.callers and type(column.type) is sa.Uuid is type(other.type):
            return me.id
        return self.columns[column.name]


def source_of(rows: sa.FromClause, callers: frozenset[str] = frozenset()) -> Source:
    """Give rows as a source, by the names of their columns; `callers` are those that are the caller's id in each."""
    return Source(rows, {column.name: column for column in rows.columns}, callers=callers)


def rows_of(model: Model, policy: Clause, name: str, also: Sequence[Clause] = ()) -> Source:
    """Give the rows of a model that a policy lets through, under a name; `also` are expressions over its table."""
    columns: list[Any] = [column.label(column.name) for column in model.table.columns]
    columns += [one.label(f"{ROW}_{at}") for at, one in enumerate(also)]
    rows = readable_rows(model.table, columns, policy, name)
    return source_of(rows, held_to_caller(policy))


shared_rows = kept("shared_rows", 256)(rows_of)
"""The same for a policy of the catalogue, which statements share."""
