"""What the data API can name: the exposed models, their columns and the relations between them.

Built once at freeze from SQLAlchemy mappers and tables, frozen afterwards. Every identifier in every statement comes
from here; names of a request are only looked up. A model that is not exposed does not exist.

Obeys contract data.md §4.1, §4.2, §4.10 and design house.md §4, §4a.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from portero.data.policy import Exposure, Policies
from portero.data.relations import Relation
from portero.data.wire_types import WireType


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column; `name` is the name in the database and on the wire."""

    name: str
    column: sa.Column[Any]
    wire: WireType
    nullable: bool
    has_default: bool
    is_generated: bool


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One exposed table.

    Attributes:
        name: the name on the wire (usually the table's).
        columns: the readable columns, in table order: what may be selected, filtered, ordered, returned.
        writable: the columns a body may name: the readable ones that are not generated.
        primary_key: the names of the key's columns, readable or not; () where the table has no key.
        unique_keys: the primary key first, then every unique constraint and unique index: sets of column names.
        relations: those that start here, in order of declaration.
        fill: column name → expression or value that the server sets on insert.
        max_rows: most rows of one answer, or None for the setting's.
        aggregates, require_write_filter: None for the setting's.
    """

    name: str
    table: sa.Table
    columns: Mapping[str, Column]
    writable: Mapping[str, Column]
    primary_key: tuple[str, ...]
    unique_keys: tuple[frozenset[str], ...]
    relations: tuple[Relation, ...]
    policies: Policies
    fill: Mapping[str, Any]
    max_rows: int | None
    aggregates: bool | None
    require_write_filter: bool | None

    def column(self, name: str) -> Column:
        """Find a readable column.

        Raises:
            DataError: 42703 (400), the same for a hidden and for a missing column.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All exposed models of one application on one database (`dialect` is `sqlite` or `postgresql`)."""

    models: Mapping[str, Model]
    dialect: str

    def model(self, name: str) -> Model:
        """Find an exposed model by its name on the wire.

        Raises:
            DataError: PGRST205 (404) with the nearest exposed name as hint.
        """
        raise NotImplementedError

    def relation(self, source: Model, target: str, hint: str | None = None) -> Relation:
        """Find the relation that an embed `target!hint(…)` in `source` means.

        Raises:
            DataError: PGRST200 (400) none; PGRST201 (300) more than one, `details` lists them.
        """
        raise NotImplementedError


def build(exposures: Iterable[Exposure], dialect: str) -> Catalogue:
    """Build the catalogue of these exposures.

    Raises:
        ConfigurationError: a name, a column type, a policy or an option cannot be served; the sentence says which.
    """
    raise NotImplementedError
