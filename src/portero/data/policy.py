"""Which rows who may read and write: policies as SQLAlchemy expressions over the row and the caller.

`expose` marks a model and holds no application state. At freeze every policy is called once, under a guard that turns
truth-testing a clause (`and`, `or`, `not`, `if`, `in`) into an error. The caller's facts are bound parameters or
subqueries on the caller's own row, so that one statement serves all callers. Nothing here executes SQL.

Obeys design house.md §4.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList

from portero.data import truth_guard
from portero.data.caller import ME_ID, me
from portero.data.policy_values import check_values, spelled_out
from portero.data.search_index import make_with_table
from portero.errors import ConfigurationError, DataError
from portero.principal import ANON, SERVICE_ROLE
from portero.records import dataclass

Clause = sa.ColumnElement[bool]
Policy = Callable[[Any], Any]
T = TypeVar("T", bound=type)

_MARK = "__portero_exposure__"
_HELD = "_portero_exposed_classes"
_SEALED: weakref.WeakSet[sa.MetaData] = weakref.WeakSet()


class Verb(StrEnum):
    """What a policy is about."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """What `expose` or `expose_table` says about one model; its policies are not evaluated yet."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Policies:
    """The evaluated policies of one model: expressions over its own table, None where a verb has no policy."""

    table: str
    select: Clause | None = None
    insert: Clause | None = None
    update: Clause | None = None
    delete: Clause | None = None

    def of(self, verb: Verb, role: str) -> Clause:
        """Give the condition for a caller of this role: TRUE for `service_role`, the policy for everybody else.

        Raises:
            DataError: 42501 (403; 401 for `anon`): the verb has no policy.
        """
        if role == SERVICE_ROLE:
            return sa.true()
        clause: Clause | None = getattr(self, verb.value)
        if clause is None:
            hint = f"{self.table} has no {verb.value} policy: expose(…, {verb.value}=…)."
            raise refused(f"permission denied for table {self.table}", role, hint)
        return clause


def refused(message: str, role: str, hint: str | None = None) -> DataError:
    """Make the refusal 42501: 403, or 401 for a caller who could sign in (contract §4.10)."""
    if role == ANON:
        return DataError(401, "42501", message, hint=hint, headers=[("WWW-Authenticate", "Bearer")])
    return DataError(403, "42501", message, hint=hint)


def row_refused(table: str, role: str) -> DataError:
    """Make the refusal of a written row that its policy does not allow."""
    return refused(f'new row violates row-level security policy for table "{table}"', role)


def allow_all(row: Any) -> Clause:
    """Allow every row to everybody who reaches the API, anonymous callers included."""
    return sa.true()


def deny_all(row: Any) -> Clause:
    """Allow no row to anybody but `service_role`; unlike a missing policy, a read answers an empty list."""
    return sa.false()


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
    options = _Options(policies, given, fill, hidden, name, columns, max_rows, aggregates, require_write_filter, search)

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
    options = _Options(policies, given, fill, hidden, name, columns, max_rows, aggregates, require_write_filter, search)
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


@dataclass(frozen=True, slots=True)
class _Options:
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


def evaluate(exposure: Exposure, name: str, table: sa.Table, dialect: str) -> Policies:
    """Call every policy of an exposure once, under the guard; one that stands for several verbs gives one clause.

    Raises:
        ConfigurationError: a policy is not callable, truth-tests a clause, or gives anything but a condition.
    """
    row = table.c if isinstance(exposure.target, sa.Table) else exposure.target
    made: dict[int, Clause] = {}
    for verb, policy in exposure.policies.items():
        if id(policy) not in made:
            made[id(policy)] = _evaluated(policy, row, f"the {verb.value} policy of {name!r}", table, dialect)
    return Policies(name, **{verb.value: made[id(policy)] for verb, policy in exposure.policies.items()})


def _evaluated(policy: Policy, row: Any, what: str, table: sa.Table, dialect: str) -> Clause:
    if not callable(policy):
        raise ConfigurationError(f"{what} must be a function of the row, such as lambda row: row.owner_id == me.id.")
    try:
        with truth_guard.guarded():
            clause = policy(row)
    except truth_guard.TruthTested:
        raise ConfigurationError(
            f"{what} uses Python's and, or, not, if or in on a condition, which would silently drop a part of it: "
            "use &, |, ~ (with parentheses) and .in_()."
        ) from None
    except (AttributeError, TypeError, RuntimeError, sa.exc.SQLAlchemyError) as error:
        raise ConfigurationError(f"{what} cannot be evaluated: {error}") from error
    return _condition(clause, what, table, dialect)


def _condition(clause: Any, what: str, table: sa.Table, dialect: str) -> Clause:
    if hasattr(clause, "close") and hasattr(clause, "cr_code"):
        clause.close()
        raise ConfigurationError(f"{what} is a coroutine: it must be an ordinary function.")
    if isinstance(clause, bool):
        raise ConfigurationError(
            f"{what} gives a plain {clause}, not a condition: say allow_all or deny_all, and compare columns with "
            "== and .is_(None), not with is."
        )
    if hasattr(clause, "__clause_element__"):  # a mapped boolean attribute stands for its column
        clause = clause.__clause_element__()
    if not isinstance(clause, sa.ColumnElement) or not _is_boolean(clause):
        raise ConfigurationError(f"{what} gives a {type(clause).__name__}, not a condition over the row.")
    check_values(clause, what)
    plain = spelled_out(truth_guard.without_orm(clause))
    _compilable(plain, what, table, dialect)
    return plain


def _is_boolean(clause: sa.ColumnElement[Any]) -> bool:
    # SQLAlchemy gives `between` no type.
    compares = isinstance(clause, BinaryExpression) and operators.is_comparison(clause.operator)
    return compares or isinstance(clause.type, sa.Boolean)


def _compilable(clause: Clause, what: str, table: sa.Table, dialect: str) -> None:
    """Compiled beside its own table only, the condition must not pull in another table as a cross join."""
    others = [source for source in clause._from_objects if source is not table]
    if others:
        names = ", ".join(str(source) for source in others)
        raise ConfigurationError(f"{what} names {names} outside a subquery: use sa.exists(…) or a scalar subquery.")
    for element in visitors.iterate(clause):
        if isinstance(element, sa.Select) and _is_uncorrelated(element, table):
            raise ConfigurationError(
                f"{what} has a subquery on the model's own table, which would not speak of the row at hand: give the "
                "other rows an alias (sqlalchemy.orm.aliased)."
            )
    try:
        statement = sa.select(sa.literal(1)).select_from(table).where(clause)
        statement.compile(dialect=sa.make_url(f"{dialect}://").get_dialect()())
    except sa.exc.SQLAlchemyError as error:
        raise ConfigurationError(f"{what} cannot be built: {error}") from error


def _is_uncorrelated(subquery: sa.Select[Any], table: sa.Table) -> bool:
    """SQLAlchemy ties a subquery to the outer row only if it reads another table too: alone it means any row at all."""
    parts = [*subquery._raw_columns, *subquery._where_criteria, *subquery._from_obj]
    sources = {source for part in parts for source in part._from_objects}
    named = {source for source in sources if not isinstance(source, sa.Join)}
    return table in named and (len(named) == 1 or len(named) < len(sources)) and not subquery._correlate


def held_to_caller(policy: Clause) -> frozenset[str]:
    """Name the columns that are the caller's id in every row that a policy lets through.

    >>> sorted(held_to_caller((sa.column("owner_id") == me.id) & sa.column("is_open")))
    ['owner_id']
    >>> held_to_caller((sa.column("owner_id") == me.id) | sa.column("is_open"))
    frozenset()
    """
    if isinstance(policy, BooleanClauseList) and policy.operator is operators.and_:
        return frozenset().union(*map(held_to_caller, policy.clauses))
    if not isinstance(policy, BinaryExpression) or policy.operator is not operators.eq:
        return frozenset()
    for held, other in ((policy.left, policy.right), (policy.right, policy.left)):
        if isinstance(held, sa.ColumnClause) and isinstance(other, sa.BindParameter) and other.key == ME_ID:
            return frozenset({held.name})
    return frozenset()


def readable_rows(table: sa.Table, columns: Sequence[sa.Column[Any]], policy: Clause, alias: str) -> sa.Subquery:
    """Give the rows of a table that a policy allows, as the source of a node of a statement.

    The policy stands inside, beside its own table only, so it can neither be forgotten nor mixed with a caller's
    conditions. SQLite and PostgreSQL flatten this subquery: indexes serve as if it were not there.
    """
    return sa.select(*columns).select_from(table).where(policy).subquery(alias)
