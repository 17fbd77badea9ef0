"""Which rows who may read and write: policies as SQLAlchemy expressions over the row and the caller.

At freeze every policy that a model was exposed with (`exposure`) is called once, under a guard that turns truth-testing
a clause (`and`, `or`, `not`, `if`, `in`) into an error. The caller's facts are bound parameters or subqueries on the
caller's own row, so that one statement serves all callers. Nothing here executes SQL.

Obeys docs/explanation/policies.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList

from portero.data import truth_guard
from portero.data.caller import ME_ID
from portero.data.policy_values import check_values, spelled_out
from portero.errors import ConfigurationError, DataError
from portero.principal import ANON, SERVICE_ROLE
from portero.records import dataclass

Clause = sa.ColumnElement[bool]
Policy = Callable[[Any], Any]


class Verb(StrEnum):
    """What a policy is about."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


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


def evaluate(policies: Mapping[Verb, Policy], row: Any, name: str, table: sa.Table, dialect: str) -> Policies:
    """Call every policy of a model once, under the guard; one that stands for several verbs gives one clause.

    Args:
        policies: by verb.
        row: what they are called with: the mapped class, or a plain table's columns.
        name: the model's on the wire.
        table: the model's.
        dialect: `sqlite` or `postgresql`.

    Raises:
        ConfigurationError: a policy is not callable, truth-tests a clause, or gives anything but a condition.
    """
    made: dict[int, Clause] = {}
    for verb, policy in policies.items():
        if id(policy) not in made:
            made[id(policy)] = _evaluated(policy, row, f"the {verb.value} policy of {name!r}", table, dialect)
    return Policies(name, **{verb.value: made[id(policy)] for verb, policy in policies.items()})


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

    >>> from portero.data.caller import me
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
