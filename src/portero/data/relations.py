"""Relations between exposed tables, read off their foreign keys, and how an embed finds the one it means.

Obeys contract data.md §4.2 (embedding, hints, ambiguity, self references) and §4.10 (PGRST200, PGRST201).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

Pairs = tuple[tuple[sa.Column[Any], sa.Column[Any]], ...]


class Cardinality(StrEnum):
    """PostgREST's words, as they stand in the details of PGRST201."""

    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    ONE_TO_ONE = "one-to-one"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True, eq=False)
class Junction:
    """The exposed table between two many-to-many sides; its own select policy applies to its rows.

    Attributes:
        model: its name in the catalogue.
        source_pairs: (column of the source, column of the junction).
        target_pairs: (column of the junction, column of the target).
        source_constraint, target_constraint: names of its two foreign keys.
    """

    model: str
    source_pairs: Pairs
    target_pairs: Pairs
    source_constraint: str
    target_constraint: str


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """One way from a source model to a target model.

    Attributes:
        cardinality: seen from the source.
        source, target: names of models in the catalogue.
        pairs: (source column, target column), all equal in a related pair of rows; () through a junction.
        constraint: the foreign key's name ("" through a junction).
        junction: for many-to-many.
    """

    cardinality: Cardinality
    source: str
    target: str
    pairs: Pairs
    constraint: str
    junction: Junction | None = None

    @property
    def to_one(self) -> bool:
        """True where the embed is one object or null, False where it is an array."""
        return self.cardinality in (Cardinality.MANY_TO_ONE, Cardinality.ONE_TO_ONE)
