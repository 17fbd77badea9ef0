"""Fields of a request against a model's columns: which column is meant, whether a path may lead into it, its name.

It makes no SQL. Obeys contract data.md §4.2 (JSON path).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from portero.data.catalogue import Column, Model
from portero.data.nodes import Field, JsonStep
from portero.data.read_errors import no_operator
from portero.data.wire_types import Kind

_JSON_KINDS: Final = frozenset({Kind.JSON, Kind.ARRAY})


def json_column(model: Model, target: Field) -> Column:
    """Find the column of a field; a path needs a JSON document or an array.

    Raises:
        DataError: 42703 no such column; 42883 a path into another type.
    """
    column = model.column(target.name)
    if target.steps and column.wire.kind not in _JSON_KINDS:
        raise no_operator(column.wire.name, *_arrow(target.steps[0]))
    for step, after in pairwise(target.steps):
        if step.as_text:
            raise no_operator("text", *_arrow(after))
    return column


def _arrow(step: JsonStep) -> tuple[str, str]:
    return "->>" if step.as_text else "->", "integer" if isinstance(step.key, int) else "unknown"


def name_of(target: Field) -> str:
    """Name a field in the answer: the last key of its path; an index goes by the key before it."""
    return next((step.key for step in reversed(target.steps) if isinstance(step.key, str)), target.name)
