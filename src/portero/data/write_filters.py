"""The filters of writes: which rows a PATCH or a DELETE picks, written once for all values they are asked with.

A condition that is short is kept, so that the statements over it can be kept too: SQLAlchemy takes several times as
long to write them as the database takes to run them. It runs nothing. Obeys contract data.md §4.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import sqlalchemy as sa

from portero.data.binds import Codec, FilterBinds
from portero.data.nodes import Condition, DataRequest, Expression
from portero.data.policy import Clause
from portero.data.read_sql import ReadSql
from portero.data.reads import Reads
from portero.data.sources import source_of
from portero.data.write_plan import Picked
from portero.figures import CacheFigures, of_lru

#: Filters that are kept, the conditions of each, and the letters of their paths into documents and names of languages:
#: with its statements, each holds up to 64 KiB.
_MOST: Final = 256
_MOST_CONDITIONS: Final = 8
_LONGEST: Final = 256


class _Written(NamedTuple):
    """A condition over a model's table, and of each of its binds the slot and what reads its text."""

    condition: Clause
    codecs: dict[str, tuple[int, Codec]]


class WriteFilters:
    """Writes the filters of writes, and keeps those that are short.

    Args:
        reads: plans and writes conditions.
    """

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._kept = lru_cache(_MOST)(self._written)

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of the conditions that are kept."""
        return {"write_filters": of_lru(self._kept.cache_info())}

    def picked(self, request: DataRequest, role: str) -> Picked | None:
        """Give what a write's own filters pick of its model's table; None if it has none.

        Raises:
            DataError: 42501, 42703, 22P02 …, PGRST127.
        """
        expressions = tuple([one.expression for one in request.shape.filters if not one.path])
        is_kept = _is_short(expressions)
        written = (self._kept if is_kept else self._written)(request.model, role, expressions)
        if not expressions:
            return None
        values = {name: codec(request.values[slot]) for name, (slot, codec) in written.codecs.items()}
        return Picked(written.condition, values, is_kept, expressions)

    def _written(self, name: str, role: str, expressions: tuple[Expression, ...]) -> _Written:
        """Write a condition; without expressions it only asks whether the role may see the model."""
        reads = self._reads
        model = reads.catalogue.model(name)
        planned = reads.planner(role).conditions(model, expressions)
        writer = ReadSql(reads.sql, reads.limits, FilterBinds())
        source = source_of(model.table)
        return _Written(sa.and_(sa.true(), *[writer.expression(one, source) for one in planned]), writer.binds.codecs)


def _is_short(expressions: Sequence[Expression]) -> bool:
    conditions = _conditions(expressions)
    letters = sum([len(str(step.key)) for one in conditions for step in one.field.steps])
    letters += sum([len(one.modifier or "") for one in conditions])
    return len(conditions) <= _MOST_CONDITIONS and letters <= _LONGEST


def _conditions(expressions: Sequence[Expression]) -> list[Condition]:
    found: list[Condition] = []
    for one in expressions:
        found += [one] if isinstance(one, Condition) else _conditions(one.operands)
    return found
