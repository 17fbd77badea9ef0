"""What the developer exposes of the application's models: `expose`, `expose_table`, `own`.

An exposure is a mark on the model itself; no application state is held. What is said here is looked at when an
application freezes: names by `catalogue`, policies by `policy`. Nothing here evaluates a policy or executes SQL.

Obeys docs/explanation/policies.md.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa

from portero.data.caller import me
from portero.data.policy import Clause, Policy, Verb
from portero.data.search_index import make_with_table
from portero.errors import ConfigurationError
from portero.records import dataclass

T = TypeVar("T", bound=type)

_MARK = "__portero_exposure__"
_HELD = "_portero_exposed_classes"
_SEALED: weakref.WeakSet[sa.MetaData] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class Own:
    """The policies of rows that belong to one user; made by `own`."""

    column: str

    def owns(self, row: Any) -> Clause:
        """Compare the owner's column with the caller."""
        owner: Clause = getattr(row, self.column) == me.id
        return owner


def own(column: str) -> Own:
    """Allow all four verbs on the rows whose `column` is the caller's id, and fill it on insert.

    A row without an owner (NULL) belongs to nobody: a comparison with NULL is never true.
    """
    return Own(column)


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """What `expose` or `expose_table` says about one model; its policies are not evaluated yet.

    Attributes:
        target: the mapped class, or the plain table.
        policies: functions of the row, by verb; a verb without one is refused to everybody but `service_role`.
        fill: what the server sets on insert, by column.
        hidden: columns that do not exist for the API.
        name: the name on the wire; None for the table's.
        columns: the only columns the API knows; None for all that are not hidden.
        max_rows, aggregates, require_write_filter: instead of the settings of these names; None for the settings.
        search: text columns that SQLite searches by words.
    """

    target: Any
    policies: Mapping[Verb, Policy]
    fill: Mapping[str, Any]
    hidden: tuple[str, ...]
    name: str | None
    columns: tuple[str, ...] | None
    max_rows: int | None
    aggregates: bool | None
    require_write_filter: bool | None
    search: tuple[str, ...] = ()

    @property
    def row(self) -> Any:
        """Give what its policies are called with: the class, or a plain table's columns."""
        return self.target.c if isinstance(self.target, sa.Table) else self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """What `expose` was given, for whatever it will be put on."""

    policies: Own | None
    given: Mapping[Verb, Policy | None]
    fill: Mapping[str, Any] | None
    hidden: Iterable[str]
    name: str | None
    columns: Iterable[str] | None
    max_rows: int | None
    aggregates: bool | None
    require_write_filter: bool | None
    search: Iterable[str]

    def exposure(self, target: Any) -> Exposure:
        label = getattr(target, "__name__", None) or getattr(target, "name", "?")
        if self.policies is not None and not isinstance(self.policies, Own):
            raise ConfigurationError(f"expose({label}): a policy is given by name (select=…), only own(…) without one.")
        if any(isinstance(names, str) for names in (self.hidden, self.columns, self.search)):
            raise ConfigurationError(f"expose({label}): hidden, columns and search are lists of column names.")
        policies: dict[Verb, Policy] = {}
        if self.policies:
            policies.update(dict.fromkeys(Verb, self.policies.owns))
        policies.update({verb: policy for verb, policy in self.given.items() if policy is not None})
        fill = {self.policies.column: me.id} if self.policies else {}
        search = tuple(self.search)
        table = target if isinstance(target, sa.Table) else getattr(target, "__table__", None)
        if search and isinstance(table, sa.Table):
            make_with_table(table, search)
        return Exposure(
            target=target,
            policies=policies,
            fill={**fill, **(self.fill or {})},
            hidden=tuple(self.hidden),
            name=self.name,
            columns=None if self.columns is None else tuple(self.columns),
            max_rows=self.max_rows,
            aggregates=self.aggregates,
            require_write_filter=self.require_write_filter,
            search=search,
        )


def expose(
    policies: Own | None = None,
    *,
    select: Policy | None = None,
    insert: Policy | None = None,
    update: Policy | None = None,
    delete: Policy | None = None,
    fill: Mapping[str, Any] | None = None,
    hidden: Iterable[str] = (),
    name: str | None = None,
    columns: Iterable[str] | None = None,
    max_rows: int | None = None,
    aggregates: bool | None = None,
    require_write_filter: bool | None = None,
    search: Iterable[str] = (),
) -> Callable[[T], T]:
    """Mark a mapped class as part of the data API.

    Args:
        policies: `own("owner_id")`, which gives all four policies and the fill; the named ones win over it.
        select, insert, update, delete: each a function from the model to a SQLAlchemy condition. Insert is checked
            against the new row as stored, update against the old and the new row. A verb without one is refused to
            everybody but `service_role`.
        fill: column name → what the server sets on insert (`me.id`, a value, a SQL expression). A caller who sends
            something else for such a column is refused.
        hidden: columns that do not exist for the API: not read, filtered, ordered, written or named in errors.
        name: the name on the wire; default: the table's.
        columns: the only columns the API knows; default: all that are not hidden.
        max_rows, aggregates, require_write_filter: for this model, instead of the settings of these names.
        search: text columns that SQLite searches by words (`fts`, `plfts`, `phfts`, `wfts`), by an index made with the
            table; PostgreSQL searches any text.
    """
    given = {Verb.SELECT: select, Verb.INSERT: insert, Verb.UPDATE: update, Verb.DELETE: delete}
    options = _Options(
        policies=policies,
        given=given,
        fill=fill,
        hidden=hidden,
        name=name,
        columns=columns,
        max_rows=max_rows,
        aggregates=aggregates,
        require_write_filter=require_write_filter,
        search=search,
    )

    def mark(model: T) -> T:
        exposure = options.exposure(model)
        _refuse_sealed(getattr(model, "metadata", None), model.__name__)
        setattr(model, _MARK, exposure)
        table = getattr(model, "__table__", None)
        if isinstance(table, sa.Table):
            # SQLAlchemy holds a class weakly: one that a function makes would be gone, and not served, at some moment.
            vars(table).setdefault(_HELD, []).append(model)
        return model

    return mark


def expose_table(
    table: sa.Table,
    policies: Own | None = None,
    *,
    select: Policy | None = None,
    insert: Policy | None = None,
    update: Policy | None = None,
    delete: Policy | None = None,
    fill: Mapping[str, Any] | None = None,
    hidden: Iterable[str] = (),
    name: str | None = None,
    columns: Iterable[str] | None = None,
    max_rows: int | None = None,
    aggregates: bool | None = None,
    require_write_filter: bool | None = None,
    search: Iterable[str] = (),
) -> Exposure:
    """Make a plain table (a junction, say) part of the data API; its policies are given `table.c`.

    Arguments as for `expose`.
    """
    given = {Verb.SELECT: select, Verb.INSERT: insert, Verb.UPDATE: update, Verb.DELETE: delete}
    options = _Options(
        policies=policies,
        given=given,
        fill=fill,
        hidden=hidden,
        name=name,
        columns=columns,
        max_rows=max_rows,
        aggregates=aggregates,
        require_write_filter=require_write_filter,
        search=search,
    )
    exposure = options.exposure(table)
    _refuse_sealed(table.metadata, table.name)
    # Not in its `info`, which Alembic writes into migrations.
    setattr(table, _MARK, exposure)
    return exposure


def seal(metadata: sa.MetaData) -> None:
    """Refuse further exposures of these tables: an application that serves them was frozen."""
    _SEALED.add(metadata)


def _refuse_sealed(metadata: sa.MetaData | None, name: str) -> None:
    if metadata is not None and metadata in _SEALED:
        raise ConfigurationError(
            f"{name} is exposed after the application was frozen (at its first request, or by `portero serve`): "
            "import its module where the application is made."
        )


def exposure_of(target: type | sa.Table) -> Exposure | None:
    """Give what `expose` said about this very class (a subclass does not inherit it), or `expose_table` of a table."""
    exposure: Exposure | None = vars(target).get(_MARK)
    return exposure


def exposures_of(registries: Iterable[sa.orm.registry]) -> tuple[Exposure, ...]:
    """Collect what `expose` marked among the mapped classes of these registries, in order of name."""
    marked: list[Exposure | None] = []
    for registry in registries:
        registry.configure()
        marked += [exposure_of(mapper.class_) for mapper in registry.mappers]
    return tuple(sorted((each for each in marked if each), key=lambda each: str(each.target.__name__)))
