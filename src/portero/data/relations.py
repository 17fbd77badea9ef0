"""Relations between exposed tables, read off their foreign keys, and how an embed finds the one it means.

A relation exists only where the referring columns are readable: an embed through a hidden foreign key would tell its
value. A junction must be exposed itself, because its own select policy applies to its rows. Nothing here makes SQL.

Obeys contract data.md §4.2 (embedding, hints, ambiguity, self references) and §4.10 (PGRST200, PGRST201).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from portero.data.similar_names import LIKELY, nearest
from portero.errors import ConfigurationError, DataError
from portero.records import dataclass

Pairs = tuple[tuple[sa.Column[Any], sa.Column[Any]], ...]

_LONGEST_NAME = 63  # PostgreSQL's NAMEDATALEN - 1: the names it makes itself are cut to it
_PARTIAL = ("sqlite_where", "postgresql_where")


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
        refers: the source holds the foreign key (False: the target or the junction does).
    """

    cardinality: Cardinality
    source: str
    target: str
    pairs: Pairs
    constraint: str
    junction: Junction | None = None
    refers: bool = False

    @property
    def to_one(self) -> bool:
        """True where the embed is one object or null, False where it is an array."""
        return self.cardinality in (Cardinality.MANY_TO_ONE, Cardinality.ONE_TO_ONE)


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What finding relations needs to know of one exposed model."""

    name: str
    table: sa.Table
    readable: frozenset[str]


def unique_keys(table: sa.Table) -> tuple[frozenset[str], ...]:
    """Give the sets of column names that are unique in the table, the primary key first."""
    constraints = sorted((each for each in table.constraints if isinstance(each, sa.UniqueConstraint)), key=_label)
    indexes = sorted((each for each in table.indexes if _is_key(each)), key=_label)
    keys = [list(table.primary_key)]
    keys += [list(each.columns) for each in constraints]
    keys += [list(each.columns) for each in indexes]
    return tuple(dict.fromkeys(frozenset(column.name for column in key) for key in keys if key))


def _label(constraint: sa.Constraint | sa.Index) -> str:
    return str(constraint.name)


def _is_key(index: sa.Index) -> bool:
    # Those that were given, not all of a database: asking for these would load its dialect.
    is_partial = any(name in _PARTIAL and value is not None for name, value in index.dialect_kwargs.items())
    return bool(index.unique) and not is_partial and all(isinstance(each, sa.Column) for each in index.expressions)


def default_name(table: str, columns: Sequence[str], suffix: str) -> str:
    """Name a constraint as PostgreSQL does when nobody named it.

    >>> default_name("films", ["director_id"], "fkey")
    'films_director_id_fkey'
    """
    first, second = table, "_".join(columns)
    while len(first) + len(second) + len(suffix) + 2 > _LONGEST_NAME:
        first, second = (first[:-1], second) if len(first) > len(second) else (first, second[:-1])
    return f"{first}_{second}_{suffix}"


def constraint_name(constraint: sa.ForeignKeyConstraint) -> str:
    """Give a foreign key's name, PostgreSQL's default where it has none."""
    if isinstance(constraint.name, str):
        return str(constraint.name)
    return default_name(str(constraint.table.name), [column.name for column in constraint.columns], "fkey")


def relations_of(sides: Sequence[Side]) -> dict[str, tuple[Relation, ...]]:
    """Find every relation between these models; the keys are the names of the sources.

    Raises:
        ConfigurationError: a foreign key points to a table that is not defined.
    """
    found: dict[str, list[Relation]] = {side.name: [] for side in sides}
    for side in sides:
        referring = _referring(side, sides)
        for relation in referring:
            found[side.name].append(relation)
            found[relation.target].append(_reversed(relation))
        for relation in _through(side, referring):
            found[relation.source].append(relation)
    return {name: tuple(relations) for name, relations in found.items()}


def _referring(side: Side, sides: Sequence[Side]) -> list[Relation]:
    relations = []
    keys = unique_keys(side.table)
    for constraint in sorted(side.table.foreign_key_constraints, key=_position):
        columns = frozenset(column.name for column in constraint.columns)
        if not columns <= side.readable:
            continue
        pairs = tuple((element.parent, _referred(element, side)) for element in constraint.elements)
        cardinality = Cardinality.ONE_TO_ONE if columns in keys else Cardinality.MANY_TO_ONE
        relations += [
            Relation(cardinality, side.name, target.name, pairs, constraint_name(constraint), refers=True)
            for target in sides
            if target.table is pairs[0][1].table
        ]
    return relations


def _position(constraint: sa.ForeignKeyConstraint) -> tuple[list[int], str]:
    """The set of constraints has no order: theirs is that of their columns in the table."""
    places = {column.name: place for place, column in enumerate(constraint.table.columns)}
    return [places[column.name] for column in constraint.columns], str(constraint.name)


def _referred(element: sa.ForeignKey, side: Side) -> sa.Column[Any]:
    try:
        return element.column
    except sa.exc.NoReferenceError as error:
        raise ConfigurationError(f"The foreign key {element.target_fullname!r} of {side.name!r}: {error}") from error


def _reversed(relation: Relation) -> Relation:
    turned = {Cardinality.MANY_TO_ONE: Cardinality.ONE_TO_MANY, Cardinality.ONE_TO_ONE: Cardinality.ONE_TO_ONE}
    pairs = tuple((target, source) for source, target in relation.pairs)
    return Relation(turned[relation.cardinality], relation.target, relation.source, pairs, relation.constraint)


def _through(side: Side, referring: Iterable[Relation]) -> list[Relation]:
    """A junction's primary key contains both foreign keys (contract §4.2)."""
    key = frozenset(column.name for column in side.table.primary_key)
    arms = [
        arm
        for arm in referring
        if arm.cardinality is Cardinality.MANY_TO_ONE and {source.name for source, _ in arm.pairs} <= key
    ]
    return [
        Relation(Cardinality.MANY_TO_MANY, near.target, far.target, (), "", _junction(side, near, far))
        for near in arms
        for far in arms
        if near.constraint != far.constraint
    ]


def _junction(side: Side, near: Relation, far: Relation) -> Junction:
    source_pairs = tuple((target, source) for source, target in near.pairs)
    return Junction(side.name, source_pairs, far.pairs, near.constraint, far.constraint)


def find(
    candidates: Sequence[Relation], source: str, target: str, hint: str | None, sides: Mapping[str, Side]
) -> Relation:
    """Find the relation that an embed `target!hint(…)` in `source` means.

    Args:
        candidates: all relations of the source.
        sides: every model by name; a hidden column is no name to find a relation by.

    Raises:
        DataError: PGRST200 (400) none; PGRST201 (300) more than one.
    """
    found = [relation for relation in candidates if _is_meant(relation, target, hint, sides)]
    if not found:
        raise _none_found(candidates, source, target, hint)
    if len(found) > 1:
        raise _ambiguous(found, source, target, sides)
    return found[0]


def _is_meant(relation: Relation, target: str, hint: str | None, sides: Mapping[str, Side]) -> bool:
    own, other = _single_columns(relation, sides)
    is_named = target == relation.target
    if relation.source == relation.target:
        # One foreign key, two relations: the column's name leads to the parent, the table's name to the children.
        if hint is None:
            return target == own if relation.refers else is_named and relation.junction is None
        return is_named and not relation.refers and relation.junction is None and hint == other
    if hint is None:
        return is_named or target in (relation.constraint or None, own)
    through = relation.junction.model if relation.junction else None
    return is_named and hint in (relation.constraint or None, own, other, through)


def _single_columns(relation: Relation, sides: Mapping[str, Side]) -> tuple[str | None, str | None]:
    """The two column names of a relation of one column, each None where it is hidden."""
    if len(relation.pairs) != 1:
        return None, None
    source, target = (column.name for column in relation.pairs[0])
    return (
        source if source in sides[relation.source].readable else None,
        target if target in sides[relation.target].readable else None,
    )


def _none_found(candidates: Sequence[Relation], source: str, target: str, hint: str | None) -> DataError:
    using = f" using the hint '{hint}'" if hint else ""
    near = nearest(target, [relation.target for relation in candidates], LIKELY)
    return DataError(
        400,
        "PGRST200",
        f"Could not find a relationship between '{source}' and '{target}' in the schema cache",
        details=f"Searched for a foreign key relationship between '{source}' and '{target}'{using} in the schema "
        "'public', but no matches were found.",
        hint=f"Perhaps you meant '{near}' instead of '{target}'." if near else None,
    )


def _ambiguous(found: Sequence[Relation], source: str, target: str, sides: Mapping[str, Side]) -> DataError:
    ways = ", ".join(
        f"'{target}!{relation.junction.model if relation.junction else relation.constraint}'" for relation in found
    )
    return DataError(
        300,
        "PGRST201",
        f"Could not embed because more than one relationship was found for '{source}' and '{target}'",
        details=[
            {
                "cardinality": relation.cardinality.value,
                "embedding": f"{relation.source} with {relation.target}",
                "relationship": _described(relation, sides),
            }
            for relation in found
        ],
        hint=f"Try changing '{target}' to one of the following: {ways}. "
        "Find the desired relationship in the 'details' key.",
    )


def _described(relation: Relation, sides: Mapping[str, Side]) -> str:
    if relation.junction:
        near = _listed((column for _, column in relation.junction.source_pairs), sides[relation.junction.model])
        far = _listed((column for column, _ in relation.junction.target_pairs), sides[relation.junction.model])
        names = relation.junction.source_constraint, relation.junction.target_constraint
        return f"{relation.junction.model} using {names[0]}({near}) and {names[1]}({far})"
    near = _listed((column for column, _ in relation.pairs), sides[relation.source])
    far = _listed((column for _, column in relation.pairs), sides[relation.target])
    return f"{relation.constraint} using {relation.source}({near}) and {relation.target}({far})"


def _listed(columns: Iterable[sa.Column[Any]], side: Side) -> str:
    return ", ".join(column.name for column in columns if column.name in side.readable)
