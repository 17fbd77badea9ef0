"""The guard under which policies are called: a condition that Python asks for its truth is an error.

Python's `and`, `or`, `not`, `if` and `in` ask for truth, and SQLAlchemy answers for `==`, `!=` and mapped attributes:
so `a == b and c == d` silently keeps one half. Nobody would see the hole. Outside the guard nothing changes.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm.attributes import QueryableAttribute
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BinaryExpression, ClauseElement

_GUARDED: tuple[type, ...] = (ClauseElement, BinaryExpression, QueryableAttribute)
_LEFT_ALONE = "no_replacement_traverse"
_lock = threading.RLock()


class TruthTested(Exception):
    """Python code asked a SQL condition whether it is true."""


@contextmanager
def guarded() -> Iterator[None]:
    """Make truth-testing a SQL expression raise TruthTested in this thread, but for SQLAlchemy's own code.

    >>> with guarded():
    ...     bool(sa.column("a") == sa.column("b"))
    Traceback (most recent call last):
    ...
    portero.data.truth_guard.TruthTested
    """
    with _lock:
        before = {each: vars(each).get("__bool__") for each in _GUARDED}
        thread = threading.get_ident()
        for each, answer in before.items():
            setattr(each, "__bool__", _refusing(answer, thread))  # noqa: B010 - mypy allows no assignment to a method
        try:
            yield
        finally:
            _restore(before)


def _restore(before: Mapping[type, Any]) -> None:
    for each, answer in before.items():
        if answer is None:
            delattr(each, "__bool__")
        else:
            setattr(each, "__bool__", answer)  # noqa: B010


def _refusing(answer: Callable[[Any], bool] | None, thread: int) -> Callable[[Any], bool]:
    def is_true(clause: Any) -> bool:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if threading.get_ident() != thread or caller.partition(".")[0] == "sqlalchemy":
            return True if answer is None else answer(clause)
        raise TruthTested

    return is_true


def without_orm(clause: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Give the condition as plain Core: an attribute of a mapped class drags the ORM into every statement it enters.

    What stands in a relationship's `has` and `any` is marked to be left as it is; here too it has to be rewritten.
    """
    plain: sa.ColumnElement[Any] = visitors.replacement_traverse(clause, {}, _without_orm)
    for element in visitors.iterate(plain):
        annotations = getattr(element, "_annotations", {})
        if _LEFT_ALONE in annotations:
            kept = {name: value for name, value in annotations.items() if name != _LEFT_ALONE}
            element._annotations = sa.util.immutabledict(kept)  # type: ignore[misc]
        if isinstance(element, sa.ColumnElement) and element._propagate_attrs:
            element._propagate_attrs = sa.util.immutabledict()
    return plain


def _without_orm(element: Any, **_: Any) -> Any:
    """A subquery stays as it is (it may join by relationships); a mapped column becomes the table's own."""
    if isinstance(element, sa.Select):
        return element
    return element._deannotate() if isinstance(element, sa.Column) and element._annotations else None
