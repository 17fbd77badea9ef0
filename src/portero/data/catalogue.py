"""What the data API can name: the exposed models, their columns and the relations between them.

Built once at freeze from SQLAlchemy mappers and tables, frozen afterwards. Every identifier in every statement comes
from here; names of a request are only looked up. A model that is not exposed does not exist.

Obeys contract data.md §4.1, §4.2, §4.10 and docs/explanation/policies.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from portero.data import policy, relations
from portero.data.exposure import Exposure
from portero.data.policy import Policies
from portero.data.policy_values import check_values, spelled_out
from portero.data.relations import Relation, Side
from portero.data.search_index import SearchColumn, index_name, key_of
from portero.data.similar_names import LIKELY, nearest
from portero.data.wire_types import Kind, WireType, wire_type
from portero.errors import ConfigurationError, DataError
from portero.records import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column; `name` is the name in the database and on the wire."""

    name: str
    column: sa.Column[Any]
    wire: WireType
    nullable: bool
    has_default: bool
    is_generated: bool
    search: SearchColumn | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One exposed table.

    Attributes:
        name: the name on the wire (usually the table's).
        columns: the readable columns, in table order: what may be selected, filtered, ordered, returned.
        writable: the columns a body may name: the readable ones that are not generated.
        primary_key: the names of the key's columns, readable or not; () where the table has no key.
        row_key: what tells one row from another inside a transaction: the key's columns, else the database's row id.
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
    row_key: tuple[sa.ColumnElement[Any], ...]
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
        found = self.columns.get(name)
        if found is None:
            raise DataError(400, "42703", f"column {self.name}.{name} does not exist")
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All exposed models of one application on one database (`dialect` is `sqlite` or `postgresql`)."""

    models: Mapping[str, Model]
    dialect: str
    sides: Mapping[str, Side]

    def model(self, name: str) -> Model:
        """Find an exposed model by its name on the wire.

        Raises:
            DataError: PGRST205 (404) with the nearest exposed name as hint.
        """
        found = self.models.get(name)
        if found is None:
            near = nearest(name, self.models)
            raise DataError(
                404,
                "PGRST205",
                f"Could not find the table 'public.{name}' in the schema cache",
                hint=f"Perhaps you meant the table 'public.{near}'" if near else None,
            )
        return found

    def relation(self, source: Model, target: str, hint: str | None = None) -> Relation:
        """Find the relation that an embed `target!hint(…)` in `source` means.

        Raises:
            DataError: PGRST200 (400) none; PGRST201 (300) more than one, `details` lists them.
        """
        return relations.find(source.relations, source.name, target, hint, self.sides)


def build(exposures: Iterable[Exposure], dialect: str) -> Catalogue:
    """Build the catalogue of these exposures for `sqlite` or `postgresql`.

    Raises:
        ConfigurationError: a name, a column type, a policy or an option cannot be served; the sentence says which.
    """
    drafts = [_Draft.of(exposure, dialect) for exposure in exposures]
    names = [draft.name for draft in drafts]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"Two models are exposed as {name!r}: give one another name (name=…).")
    sides = {draft.name: Side(draft.name, draft.table, frozenset(draft.columns)) for draft in drafts}
    found = relations.relations_of(list(sides.values()))
    models = {draft.name: draft.finished(found[draft.name], dialect) for draft in drafts}
    return Catalogue(MappingProxyType(models), dialect, MappingProxyType(sides))


@dataclass(frozen=True, slots=True)
class _Draft:
    """A model without its relations: those need all the others first."""

    exposure: Exposure
    name: str
    table: sa.Table
    columns: Mapping[str, Column]

    @classmethod
    def of(cls, exposure: Exposure, dialect: str) -> _Draft:
        table = _table(exposure)
        name = exposure.name or str(table.name)
        _known(exposure.hidden, table, name, "hides")
        _known(exposure.columns or (), table, name, "lists")
        _known(exposure.fill, table, name, "fills")
        _known(exposure.search, table, name, "searches")
        for column in table.columns:
            _check_default(column, name)
        columns = {
            str(column.name): _column(column, name, dialect)
            for column in table.columns
            if _is_readable(column, exposure)
        }
        if not columns:
            raise ConfigurationError(f"{name!r} is exposed without a readable column.")
        columns |= _searched(columns, exposure.search, table, dialect)
        return cls(exposure, name, table, MappingProxyType(columns))

    def finished(self, found: Sequence[Relation], dialect: str) -> Model:
        exposure = self.exposure
        if exposure.max_rows is not None and exposure.max_rows < 1:
            raise ConfigurationError(f"{self.name!r}: max_rows must be at least 1.")
        return Model(
            name=self.name,
            table=self.table,
            columns=self.columns,
            writable=MappingProxyType({name: each for name, each in self.columns.items() if not each.is_generated}),
            primary_key=tuple(str(column.name) for column in self.table.primary_key),
            row_key=tuple(self.table.primary_key) or (_row_id(self.table, dialect),),
            unique_keys=relations.unique_keys(self.table),
            relations=tuple(found),
            policies=policy.evaluate(exposure.policies, exposure.row, self.name, self.table, dialect),
            fill=MappingProxyType({name: _filled(value, self.name, name) for name, value in exposure.fill.items()}),
            max_rows=exposure.max_rows,
            aggregates=exposure.aggregates,
            require_write_filter=exposure.require_write_filter,
        )


def _table(exposure: Exposure) -> sa.Table:
    if isinstance(exposure.target, sa.Table):
        return exposure.target
    mapper = sa.inspect(exposure.target, raiseerr=False)
    table = getattr(mapper, "local_table", None)
    if not isinstance(table, sa.Table):
        raise ConfigurationError(f"{exposure.target!r} is exposed but not mapped to a table.")
    if mapper is not None and mapper.single:
        raise ConfigurationError(
            f"{exposure.target.__name__} shares the table {table.name!r} with other classes, whose rows would be shown "
            f"too: expose {mapper.base_mapper.class_.__name__}, with policies that name the rows."
        )
    return table


def _row_id(table: sa.Table, dialect: str) -> sa.ColumnElement[Any]:
    """The database's own name for a row; PostgreSQL's holds within a transaction, which is all that is asked of it."""
    name = sa.make_url(f"{dialect}://").get_dialect()().identifier_preparer.format_table(table)
    if dialect == "sqlite":
        return sa.literal_column(f"{name}.rowid", sa.Integer())
    return sa.cast(sa.literal_column(f"{name}.ctid"), sa.Text())


def _known(names: Iterable[str], table: sa.Table, model: str, does: str) -> None:
    known = {column.name for column in table.columns}
    for name in names:
        if name not in known:
            near = nearest(name, known, LIKELY)
            also = f"; did you mean {near!r}?" if near else "."
            raise ConfigurationError(f"{model!r} {does} the column {name!r}, which it does not have{also}")


def _is_readable(column: sa.Column[Any], exposure: Exposure) -> bool:
    is_listed = exposure.columns is None or column.name in exposure.columns
    return is_listed and column.name not in exposure.hidden


def _column(column: sa.Column[Any], model: str, dialect: str) -> Column:
    try:
        wire = wire_type(column.type, dialect)
    except ConfigurationError as error:
        raise ConfigurationError(f"{model}.{column.name}: {error} Hide the column or change its type.") from None
    if wire.scale is not None and column.server_default is not None:
        raise ConfigurationError(
            f"{model}.{column.name} has a server_default: SQLite keeps a portero.Decimal as a whole number of its "
            "smallest units. Give default=… instead."
        )
    has_default = column.default is not None or column.server_default is not None
    is_autoincrement = column is column.table._autoincrement_column
    always = column.identity is not None and column.identity.always
    return Column(
        name=str(column.name),
        column=column,
        wire=wire,
        nullable=bool(column.nullable),
        has_default=has_default or is_autoincrement,
        is_generated=column.computed is not None or bool(always),
    )


def _searched(columns: Mapping[str, Column], search: Sequence[str], table: sa.Table, dialect: str) -> dict[str, Column]:
    """Give the columns with an index of their words: on SQLite those that are declared."""
    if not search or dialect != "sqlite":
        return {}
    for name in search:
        if name in columns and columns[name].wire.kind is not Kind.TEXT:
            raise ConfigurationError(f"{table.name}.{name} is searched, but is no text.")
    key_of(table)
    index = index_name(str(table.name))
    return {
        name: replace(columns[name], search=SearchColumn(index, number))
        for number, name in enumerate(search)
        if name in columns
    }


def _check_default(column: sa.Column[Any], model: str) -> None:
    """SQLAlchemy hands the context of its own execution to a default with an argument; Portero's writes have none."""
    default: Any = column.default
    # SQLAlchemy wraps a function without an argument to take the context too; one with an argument stays as it is.
    if default is not None and default.is_callable and default.arg is default._fn:
        raise ConfigurationError(
            f"the default of {model}.{column.name} asks for SQLAlchemy's context: give a function without arguments, "
            "a SQL expression, or expose(…, fill=…)."
        )


def _filled(value: Any, model: str, name: str) -> Any:
    """A fill is a SQL expression or a plain value; a Python function would run once and give every row the same."""
    if isinstance(value, sa.ColumnElement):
        check_values(value, f"the fill of {name!r} of {model!r}")
        return spelled_out(value)
    if callable(value):
        raise ConfigurationError(f"{model!r} fills {name!r} with a function: give a value or a SQL expression.")
    return value
