"""Conditions as SQL (contract data.md §4.3): one operator, one column, one bound value.

A column comes from the catalogue and a value is bound; an operator that this database cannot serve is refused with
PGRST127, never answered with other rows.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from portero.data.binds import Binds
from portero.data.catalogue import Column
from portero.data.dialects import Sql
from portero.data.filter_grammar import RANGES, TEXT_SEARCHES
from portero.data.nodes import Condition, JsonStep
from portero.data.read_errors import no_operator
from portero.data.search_index import SearchColumn
from portero.data.searched_words import SearchedWords
from portero.data.wire_types import Kind, WireType, wire_type
from portero.errors import DataError
from portero.records import dataclass

Clause = sa.ColumnElement[Any]
Operate = Callable[[Any, Any], Any]

_COMPARE: dict[str, Operate] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "isdistinct": lambda column, value: column.is_distinct_from(value),
}
_NO_COLUMNS: Mapping[str, Clause] = {}
_PATTERNS = {"like": False, "ilike": True}
_REGULAR = {"match": False, "imatch": True}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a list and a pattern may be, and how many row sources one statement may name."""

    longest_list: int
    longest_pattern: int
    most_sources: int = 512


@dataclass(frozen=True, slots=True)
class _Side:
    """The left side of a condition: the expression, and how the right side is read."""

    expression: Clause
    wire: WireType
    is_json: bool = False
    search: SearchColumn | None = None
    row: Clause | None = None

    def listed(self, sql: Sql) -> WireType:
        """Give the type of a list's elements: of a place in a document they are JSON literals."""
        return sql.json_scalar if self.is_json else self.wire


def condition_sql(
    column: Column,
    held: Clause,
    condition: Condition,
    sql: Sql,
    binds: Binds,
    limits: Limits,
    columns: Mapping[str, Clause] = _NO_COLUMNS,
) -> Clause:
    """Write one condition on `held`, the column in its row source, which has `columns`.

    Raises:
        DataError: PGRST127, 42804, 42883.
    """
    side = _side(column, held, condition.field.steps, sql)
    if condition.operator in TEXT_SEARCHES:
        side = replace(side, row=_row(column, columns), search=column.search if not condition.field.steps else None)
    found = _is(side, condition) if condition.operator == "is" else _operation(side, condition, sql, binds, limits)
    return sa.not_(found) if condition.is_negated else found


def _row(column: Column, columns: Mapping[str, Clause]) -> Clause | None:
    """The key by which the index of a searched column knows the row."""
    return None if column.search is None else columns.get(str(next(iter(column.column.table.primary_key)).name))


def _side(column: Column, held: Clause, steps: tuple[JsonStep, ...], sql: Sql) -> _Side:
    if not steps:
        # What SQLAlchemy knows of a type that only PostgreSQL reads does not matter: the other side is cast to it.
        return _Side(sa.type_coerce(held, sa.Text()) if column.wire.kind is Kind.OTHER else held, column.wire)
    if steps[-1].as_text:
        return _Side(sql.json_at(held, steps), wire_type(sa.Text(), sql.name))
    return _Side(sql.json_comparable(held, steps), column.wire, is_json=True)


def _is(side: _Side, condition: Condition) -> Clause:
    word = condition.word
    if word == "null":
        return side.expression.is_(None)
    if word == "not_null":
        return side.expression.is_not(None)
    if side.wire.kind is not Kind.BOOLEAN:
        asked = str(word).upper()
        raise DataError(400, "42804", f"argument of IS {asked} must be type boolean, not type {side.wire.name}")
    if word == "unknown":
        return side.expression.is_(None)
    return side.expression.is_(sa.true() if word == "true" else sa.false())


def _operation(side: _Side, condition: Condition, sql: Sql, binds: Binds, limits: Limits) -> Clause:
    slot, name = condition.slot, condition.operator
    assert slot is not None
    if condition.modifier in ("any", "all"):
        return _quantified(side, condition, slot, sql, binds, limits)
    if name in _COMPARE:
        return _compare(side, name, slot, sql, binds)
    if name in _PATTERNS:
        return sql.like(_text(side, "~~"), slot, binds, limits.longest_pattern, folds=_PATTERNS[name])
    if name in _REGULAR:
        pattern = binds.slot(slot, lambda text: sql.regular_codec(text, limits.longest_pattern), sa.Text())
        return sql.match_value(_text(side, "~"), pattern, folds=_REGULAR[name])
    if name == "in":
        return sql.in_list(side.expression, side.listed(sql), slot, binds, limits.longest_list)
    if name in ("cs", "cd") and side.wire.kind in (Kind.JSON, Kind.ARRAY):
        return sql.contains(side.expression, side.wire, slot, binds, turned=name == "cd")
    if name == "ov" and side.wire.kind in (Kind.JSON, Kind.ARRAY):
        return sql.overlaps(side.expression, side.wire, slot, binds)
    if name in TEXT_SEARCHES:
        words = SearchedWords(side.expression, side.wire, side.search, side.row, limits.longest_pattern)
        return sql.search(name, words, slot, binds, condition.modifier)
    if name in RANGES and side.wire.kind is Kind.OTHER:
        return sql.ranged(name, side.expression, side.wire, slot, binds)
    raise unserved(name, side.wire)


def _compare(side: _Side, name: str, slot: int, sql: Sql, binds: Binds) -> Clause:
    if side.is_json:
        return _COMPARE[name](side.expression, sql.json_literal(slot, binds))  # type: ignore[no-any-return]
    if side.wire.kind in (Kind.JSON, Kind.ARRAY):
        return _COMPARE[name](*sql.document(name, side.expression, side.wire, slot, binds))  # type: ignore[no-any-return]
    bind = binds.slot(slot, side.wire.parse, side.wire.bind_type)
    held = side.expression
    if side.wire.kind is Kind.TEXT and name in ("gt", "gte", "lt", "lte"):
        held = sql.bytewise(held)
    return _COMPARE[name](held, bind)  # type: ignore[no-any-return]


def _quantified(side: _Side, condition: Condition, slot: int, sql: Sql, binds: Binds, limits: Limits) -> Clause:
    name, modifier = condition.operator, str(condition.modifier)
    if name in _COMPARE:
        wire = side.listed(sql)
        return sql.quantified(modifier, side.expression, wire, slot, binds, limits.longest_list, _COMPARE[name])
    if name in _PATTERNS:
        folds = _PATTERNS[name]
        held = _text(side, "~~")

        def pattern(text: str) -> str:
            return sql.pattern_codec(text, limits.longest_pattern, folds=folds)

        def like(column: Clause, value: Clause) -> Clause:
            return sql.like_value(column, value, folds=folds)

        texts = _as_patterns(wire_type(sa.Text(), sql.name), pattern)
        return sql.quantified(modifier, held, texts, slot, binds, limits.longest_list, like)
    if name in _REGULAR:
        held, folds = _text(side, "~"), _REGULAR[name]
        texts = _as_patterns(
            wire_type(sa.Text(), sql.name), lambda text: sql.regular_codec(text, limits.longest_pattern)
        )

        def match(column: Clause, value: Clause) -> Clause:
            return sql.match_value(column, value, folds=folds)

        return sql.quantified(modifier, held, texts, slot, binds, limits.longest_list, match)
    raise unserved(f"{name}({modifier})", side.wire)


def _as_patterns(wire: WireType, parse: Callable[[str], Any]) -> WireType:
    return WireType(
        name=wire.name,
        kind=wire.kind,
        parse=parse,
        parse_json=wire.parse_json,
        bind_type=wire.bind_type,
        json_sql=wire.json_sql,
        text_sql=wire.text_sql,
    )


def _text(side: _Side, symbol: str) -> Clause:
    if side.wire.kind not in (Kind.TEXT, Kind.OTHER) or side.is_json:
        raise no_operator(side.wire.name, symbol)
    return side.expression


def unserved(name: str, wire: WireType) -> DataError:
    """Make the refusal of an operator that is not served for a type."""
    details = f"The operator '{name}' is not available for the type {wire.name} on this database."
    return DataError(400, "PGRST127", "Feature not implemented", details=details)
