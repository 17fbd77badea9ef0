"""The values that stand in a developer's condition: lists are spelled out, and what is no constant is refused.

SQLAlchemy writes the list of `.in_([…])` only when a statement runs. Portero's statements are text by then, and one
that inserts many rows cannot carry such a list at all: so each value gets its own place when the application starts.
A condition is built once and serves every caller, so a value that would be asked anew for each has no place in it.

It compiles and runs nothing, and changes no condition: it gives another that says the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, ClauseList

from portero.data.caller import ME_ID, ME_ROLE
from portero.errors import ConfigurationError

Element = sa.ColumnElement[Any]
_FACTS: Final = frozenset({ME_ID, ME_ROLE})
_LISTED: Final = (operators.in_op, operators.not_in_op)


def spelled_out(clause: Element) -> Element:
    """Give the condition with every constant list of `.in_` and `.not_in` written value by value.

    >>> print(spelled_out(sa.column("kind").in_([1, 2])))
    kind IN (:param_1, :param_2)
    >>> print(spelled_out(sa.column("kind").in_([])))
    false
    """
    if not any(_is_written_late(element) for element in visitors.iterate(clause)):
        return clause
    written: Element = visitors.replacement_traverse(clause, {}, _written)
    return written


def check_values(clause: Element, what: str) -> None:
    """Refuse a value that is not there yet.

    Raises:
        ConfigurationError: a `bindparam` with a `callable_`, or one without a value; `what` begins the sentence.
    """
    for element in visitors.iterate(clause):
        if not isinstance(element, sa.BindParameter) or element.key in _FACTS:
            continue
        if element.callable is not None:
            raise ConfigurationError(
                f"{what} asks a function for the value of {element.key!r}. It is built once, for all callers: what "
                "differs between them is said by me.id, me.role and me.claim(…), or looked up by a subquery."
            )
        if element.required:
            raise ConfigurationError(f"{what} holds the parameter {element.key!r}, which nobody gives a value.")


def _is_list(element: Any) -> bool:
    return isinstance(element, sa.BindParameter) and element.expanding


def _is_written_late(element: Any) -> bool:
    return isinstance(element, sa.BindParameter) and (element.expanding or element.literal_execute)


def _written(element: Any, **_: Any) -> Any:
    if isinstance(element, sa.BindParameter) and element.literal_execute and not element.expanding:
        return sa.literal(element.value, element.type)
    if not isinstance(element, BinaryExpression) or element.operator not in _LISTED or not _is_list(element.right):
        return None
    is_in, left, values = element.operator is operators.in_op, spelled_out(element.left), element.right.value
    if not values:
        return sa.false() if is_in else sa.true()
    if isinstance(left, sa.Tuple):
        # SQLite has no list of rows; compared column by column they say the same, of NULL too.
        found = sa.or_(*[_equal(left, row) for row in values])
        return (found if is_in else sa.not_(found)).self_group()
    kind = element.right.type
    listed: Any = ClauseList(*[sa.null() if value is None else sa.literal(value, kind) for value in values])
    return BinaryExpression(
        left, listed.self_group(against=element.operator), element.operator, sa.Boolean(), negate=element.negate
    )


def _equal(columns: Any, row: Sequence[Any]) -> Element:
    pairs = zip(columns.clauses, row, strict=True)
    unknown = sa.type_coerce(sa.null(), sa.Boolean())
    return sa.and_(
        *[unknown if value is None else column == sa.literal(value, column.type) for column, value in pairs]
    ).self_group()
