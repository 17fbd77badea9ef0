"""Which columns policies and embeds look rows up by without an index: for `portero doctor`.

A policy that compares an owner's column with the caller, or looks into another table, runs for every row that a request
considers. The database is asked which indexes it has; the models may know fewer or more. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors

from portero.data.caller import ME_ID
from portero.data.catalogue import Catalogue, Model
from portero.data.policy import Verb
from portero.records import dataclass

_EQUALITIES = (operators.eq, operators.in_op, operators.is_not_distinct_from)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Rows of a table are found by these columns; an index that begins with one of them serves.

    Attributes:
        table: the table.
        columns: the names of the columns that are compared; () where a policy reads the whole table.
        reason: who asks.
    """

    table: sa.Table
    columns: tuple[str, ...]
    reason: str


def missing_indexes(catalogue: Catalogue, connection: sa.Connection) -> list[str]:
    """Say in sentences what has no index; each table and set of columns once."""
    inspector = sa.inspect(connection)
    sentences: dict[tuple[str, tuple[str, ...]], str] = {}
    for lookup in lookups(catalogue):
        key = (str(lookup.table.fullname), lookup.columns)
        if key not in sentences and not _is_served(lookup, inspector):
            sentences[key] = _sentence(lookup)
    return list(sentences.values())


def lookups(catalogue: Catalogue) -> Iterator[Lookup]:
    """Give every look-up that policies and embeds make, policies first."""
    for model in catalogue.models.values():
        for verb in Verb:
            clause = getattr(model.policies, verb.value)
            if clause is not None:
                yield from looked_up(model, verb, clause)
    for model in catalogue.models.values():
        yield from _of_relations(catalogue, model)


def looked_up(model: Model, verb: Verb, clause: sa.ColumnElement[Any]) -> Iterator[Lookup]:
    """Give the look-ups that one policy makes."""
    what = f"the {verb.value} policy of {model.name}"
    subqueries = [each for each in visitors.iterate(clause) if isinstance(each, sa.Select)]
    inside = {id(part) for each in subqueries for part in visitors.iterate(each)}
    outside = [part for part in visitors.iterate(clause) if id(part) not in inside]
    if verb is not Verb.INSERT:  # an inserted row is found by its key
        for column, other in _equalities(outside):
            if column.table is model.table and _is_caller(other):
                yield Lookup(model.table, (column.name,), f"{what} compares it with the caller")
    for subquery in subqueries:
        yield from _of_subquery(subquery, model, what)


def _of_subquery(subquery: sa.Select[Any], model: Model, what: str) -> Iterator[Lookup]:
    """Each table that a subquery reads is looked up by the columns that are compared there."""
    compared = [column for column, _ in _equalities(visitors.iterate(subquery))]
    for source in _tables(subquery.get_final_froms()):
        table = source.element if isinstance(source, sa.Alias) else source
        if isinstance(table, sa.Table) and source is not model.table:
            columns = dict.fromkeys(column.name for column in compared if column.table is source)
            yield Lookup(table, tuple(columns), f"{what} looks into {table.name}")


def _tables(sources: Iterable[Any]) -> Iterator[Any]:
    for source in sources:
        if isinstance(source, sa.Join):
            yield from _tables((source.left, source.right))
        else:
            yield source


def _equalities(parts: Iterable[Any]) -> Iterator[tuple[sa.Column[Any], Any]]:
    """Give every column that is compared for equality, with the other side."""
    for part in parts:
        if not isinstance(part, sa.BinaryExpression) or part.operator not in _EQUALITIES:
            continue
        for column, other in ((part.left, part.right), (part.right, part.left)):
            if isinstance(column, sa.Column) and column.table is not None:
                yield column, other


def _is_caller(other: Any) -> bool:
    """`me.id`, or a fact of the caller's own row."""
    return any(isinstance(part, sa.BindParameter) and part.key == ME_ID for part in visitors.iterate(other))


def _of_relations(catalogue: Catalogue, model: Model) -> Iterator[Lookup]:
    """An embed, or a filter on one, finds the related rows of every parent."""
    for relation in model.relations:
        what = f"an embed of {relation.target} in {model.name} finds its rows by it"
        if relation.junction is not None:
            table = catalogue.models[relation.junction.model].table
            yield Lookup(table, tuple(other.name for _, other in relation.junction.source_pairs), what)
        elif not relation.refers:
            table = catalogue.models[relation.target].table
            yield Lookup(table, tuple(other.name for _, other in relation.pairs), what)


def _is_served(lookup: Lookup, inspector: sa.Inspector) -> bool:
    if not inspector.has_table(lookup.table.name, schema=lookup.table.schema):
        return True  # a table that is missing is told of elsewhere
    return bool(_first_columns(lookup.table, inspector) & set(lookup.columns))


def first_columns(table: sa.Table, connection: sa.Connection) -> frozenset[str]:
    """Give the columns with which a key or an index of a table in the database begins; a partial one does not count."""
    return _first_columns(table, sa.inspect(connection))


def _first_columns(table: sa.Table, inspector: sa.Inspector) -> frozenset[str]:
    name, schema = table.name, table.schema
    keys = [inspector.get_pk_constraint(name, schema=schema)["constrained_columns"]]
    keys += [each["column_names"] for each in inspector.get_unique_constraints(name, schema=schema)]
    keys += [
        [column or "" for column in each["column_names"]]
        for each in inspector.get_indexes(name, schema=schema)
        if not any(option.endswith("_where") for option in each.get("dialect_options", {}))
    ]
    return frozenset(key[0] for key in keys if key)


def _sentence(lookup: Lookup) -> str:
    if not lookup.columns:
        return f"All of {lookup.table.name} is read for each row: {lookup.reason} without comparing a column of it"
    names = " or ".join(f"{lookup.table.name}.{name}" for name in lookup.columns)
    return f"No index on {names}: {lookup.reason}. Say index=True, and write a migration"
