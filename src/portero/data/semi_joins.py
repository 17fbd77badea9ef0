"""Policies that look into another table, said so that the database begins at the caller's own rows.

`EXISTS (SELECT … FROM members WHERE members.team_id = documents.team_id AND members.user_id = me)` is asked for every
document; SQLite has no other way to run it. The same as `documents.team_id IN (SELECT members.team_id …)` collects the
caller's teams once and finds the documents by their index. PostgreSQL sees by itself that they are the same, but joins
the whole table to the teams where half of it is visible; where everything is counted anyway, `= ANY (ARRAY(SELECT …))`
over an index takes half the time. A page without a count is left to it: it may end after twenty rows.

In a WHERE both let the same rows through: where EXISTS is false, IN is false or NULL. That holds below AND and OR
only; what stands below anything else stays as it is. Nothing here decides who sees what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList, Grouping

from portero.figures import kept

Clause = sa.ColumnElement[Any]
_Form = Callable[[Clause, sa.Select[Any]], Clause | None]
_KEYS = (sa.PrimaryKeyConstraint, sa.UniqueConstraint)
_JOINERS = {operators.and_: sa.and_, operators.or_: sa.or_}


@kept("policies_caller_first", 256)
def caller_first(policy: Any, table: sa.Table) -> Clause:
    """Turn each EXISTS that is tied to a policy's own table by one equality into IN.

    Args:
        policy: a condition that stands in WHERE.
        table: the policy's own table.
    """
    return _turned(policy, table, lambda own, found: own.in_(found))


@kept("policies_callers_collected", 256)
def callers_collected(policy: Any, table: sa.Table) -> Clause:
    """Turn such an EXISTS into `= ANY (ARRAY(SELECT …))`, if an index of the policy's own table begins with its column.

    Without an index PostgreSQL would go through the array for each row.

    Args:
        policy: a condition that stands in WHERE.
        table: the policy's own table.
    """
    first = leading_columns(table)

    def form(own: Clause, found: sa.Select[Any]) -> Clause | None:
        is_simple = isinstance(own.type, sa.Integer | sa.Uuid)
        return own == sa.any_(sa.func.array(found.scalar_subquery())) if is_simple and own in first else None

    return _turned(policy, table, form)


def leading_columns(table: sa.Table) -> set[Any]:
    """Give the columns that an index or a key of a table begins with."""
    first = {next(iter(index.columns), None) for index in table.indexes}
    return first | {next(iter(key.columns), None) for key in table.constraints if isinstance(key, _KEYS)}


def _turned(policy: Any, table: sa.Table, form: _Form) -> Clause:
    if isinstance(policy, Grouping):
        return _turned(policy.element, table, form).self_group()
    if isinstance(policy, BooleanClauseList) and policy.operator in _JOINERS:
        return _JOINERS[policy.operator](*[_turned(each, table, form) for each in policy.clauses])
    kept: Clause = _as_in(policy, table, form) if isinstance(policy, sa.Exists) else policy
    return kept


def _as_in(exists: sa.Exists, table: sa.Table, form: _Form) -> Clause:
    select = _plain_select(exists)
    if select is None or select.whereclause is None:
        return exists
    conjuncts = [*_conjuncts(select.whereclause)]
    ties = [clause for clause in conjuncts if _speaks_of(clause, table)]
    others = [clause for clause in conjuncts if not _speaks_of(clause, table)]
    pair = _pair(ties[0], table) if len(ties) == 1 else None
    sources = [source for source in select.get_final_froms() if source != table]
    if pair is None or any(_speaks_of(source, table) for source in sources) or _says_more(select):
        return exists
    own, other = pair
    found = sa.select(other).select_from(*sources).where(*others)
    turned = form(own, found.correlate(None))
    return exists if turned is None else turned


def _plain_select(exists: sa.Exists) -> sa.Select[Any] | None:
    """Give the SELECT of an EXISTS, if rows of its tables are all it is about."""
    element: Any = exists.element
    while not isinstance(element, sa.Select) and hasattr(element, "element"):
        element = element.element
    if not isinstance(element, sa.Select):
        return None
    is_more = (element._group_by_clauses, element._having_criteria, element._distinct, element._with_options)
    is_cut = element._limit_clause is not None or element._offset_clause is not None
    return None if any(is_more) or is_cut else element


def _says_more(select: sa.Select[Any]) -> bool:
    """Say whether SQLAlchemy adds a condition of its own: classes that share a table are told apart only then."""
    found = [*visitors.iterate(select), *(each for joined in select._setup_joins for each in joined[:2])]
    entities = [getattr(each, "_annotations", {}).get("parententity") for each in found]
    mappers = {each for entity in entities if entity is not None for each in entity.mapper.registry.mappers}
    tables = {source for each in select.get_final_froms() for source in visitors.iterate(each)}
    return any(mapper.single and mapper.local_table in tables for mapper in mappers)


def _conjuncts(clause: Any) -> Iterator[Clause]:
    if isinstance(clause, Grouping):
        yield from _conjuncts(clause.element)
    elif isinstance(clause, BooleanClauseList) and clause.operator is operators.and_:
        for each in clause.clauses:
            yield from _conjuncts(each)
    else:
        yield clause


def _speaks_of(clause: Any, table: sa.Table) -> bool:
    return any(
        _is_of(each, table) if isinstance(each, sa.Column) else isinstance(each, sa.Table) and each == table
        for each in visitors.iterate(clause)
    )


def _is_of(column: Any, table: sa.Table) -> bool:
    return isinstance(column, sa.Column) and column.table == table


def _pair(clause: Clause, table: sa.Table) -> tuple[Clause, Clause] | None:
    """Give the own and the other column of an equality; columns of unlike types may compare in unlike ways.

    Texts compare by the collation of the left one, which only the database may know: IN has the own column there.
    """
    if not isinstance(clause, BinaryExpression) or clause.operator is not operators.eq:
        return None
    own, other = (clause.left, clause.right) if _is_of(clause.left, table) else (clause.right, clause.left)
    is_alike = type(own.type) is type(other.type) and _collation(own) == _collation(other)
    is_alike = is_alike and (own is clause.left or not issubclass(own.type._type_affinity or sa.Text, sa.String))
    is_column = isinstance(other, sa.Column) or getattr(other, "table", None) is not None
    return (own, other) if _is_of(own, table) and is_column and not _is_of(other, table) and is_alike else None


def _collation(column: Clause) -> str | None:
    return getattr(column.type, "collation", None)
