"""What a read says differently on PostgreSQL: json_agg, native arrays, LIKE and regular expressions, COLLATE "C".

Nothing here comes from a request but bound values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REGCONFIG, TSVECTOR, psycopg
from sqlalchemy.types import TypeEngine

from portero.data import json_functions
from portero.data.binds import KEYS, Binds
from portero.data.literals import read_text as wire_text
from portero.data.nodes import JsonStep
from portero.data.patterns import bounded, like_of
from portero.data.searched_words import SearchedWords
from portero.data.wire_sql import TextOf
from portero.data.wire_types import Kind, WireType
from portero.errors import DataError

Clause = sa.ColumnElement[Any]

_MOST_PAIRS = 50
"""`json_build_object` takes 100 arguments (FUNC_MAX_ARGS)."""
_LONGEST_NAME = 63
"""Bytes of an identifier (NAMEDATALEN - 1)."""
_NESTED = (Kind.ARRAY, Kind.JSON)
"""What may hold arrays itself: in an array it would be taken for a dimension."""
_SEARCHES = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
_RANGES = {
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
}


class PostgresqlSql:
    """The PostgreSQL side of `dialects.Sql`."""

    name = "postgresql"

    def __init__(self) -> None:
        self.compiler = psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
        self.json_scalar = WireType("jsonb", Kind.OTHER, _checked_json, _checked_json, TextOf(JSONB()))

    def json_object(self, pairs: Sequence[tuple[Clause, Clause]]) -> Clause:
        """Build one JSON object; a wide one is put together from pieces of 50 members."""
        pieces = [
            sa.func.json_build_object(
                *[side for pair in pairs[at : at + _MOST_PAIRS] for side in pair], type_=sa.JSON()
            )
            for at in range(0, max(len(pairs), 1), _MOST_PAIRS)
        ]
        if len(pieces) == 1:
            return pieces[0]
        texts = [sa.cast(piece, sa.Text()) for piece in pieces]
        joined: Clause = sa.func.left(texts[0], -1)
        for text in texts[1:-1]:
            joined = joined.concat(sa.literal_column("','")).concat(sa.func.substr(sa.func.left(text, -1), 2))
        return sa.cast(joined.concat(sa.literal_column("','")).concat(sa.func.substr(texts[-1], 2)), sa.JSON())

    def names_members(self, keys: Iterable[str]) -> bool:
        """Say whether rows of columns named so may be collected as they are, a quarter cheaper than objects.

        An object is built of keys and values whose types are looked up for each; a name longer than 63 bytes is cut.
        """
        return all(len(key.encode()) <= _LONGEST_NAME for key in keys)

    def json_array(self, element: Clause) -> Clause:
        """Collect elements; no rows give `[]`."""
        return sa.func.coalesce(sa.func.json_agg(element), sa.literal_column("'[]'::json"), type_=sa.JSON())

    def body(self, array: Clause) -> Clause:
        """Hand a document to Python as text; psycopg would take json apart."""
        return sa.cast(array, sa.Text())

    def whole_body(self, array: Clause) -> Clause:
        """Hand the document of a read over as it is, which the store reads as bytes: a cast would copy it twice."""
        return array

    def page_number(self, slot: int, codec: Any, binds: Binds) -> Clause:
        """Write a limit or an offset into the text.

        Of a bound one PostgreSQL assumes that it takes a tenth of all rows. Each plan made for the value itself then
        looks cheaper than the one it could keep, so it plans every execution anew, which takes as long as the page.
        """
        return binds.number(slot, codec)

    def in_list(self, column: Clause, wire: WireType, slot: int, binds: Binds, longest: int) -> Clause:
        """Compare with a list in one bound parameter, whatever its length."""

        if wire.kind in _NESTED:
            return column.in_(sa.select(_arrays(wire, slot, json_functions.list_elements, longest, binds)))

        def codec(text: str) -> Any:
            return [wire.parse(one) for one in json_functions.list_elements(text, longest)]

        return column == sa.any_(_array(wire, slot, codec, binds))

    def quantified(
        self, modifier: str, column: Clause, wire: WireType, slot: int, binds: Binds, longest: int, operate: Any
    ) -> Clause:
        """Compare with any or all of a group `{a,b}`."""

        def codec(text: str) -> Any:
            return [wire.parse(one) for one in json_functions.group_elements(text, longest)]

        each: Any
        if wire.kind in _NESTED:
            each = _arrays(wire, slot, json_functions.group_elements, longest, binds)
        else:
            each = sa.func.unnest(_array(wire, slot, codec, binds), type_=wire.bind_type).column_valued()
        holds = operate(column, each)
        found = sa.exists().where(holds) if modifier == "any" else ~sa.exists().where(~holds)
        # NULL compared with anything is neither true nor false, also under `not`.
        return sa.case((column.is_not(None), found))

    def like(self, column: Clause, slot: int, binds: Binds, longest: int, *, folds: bool) -> Clause:
        """Match a LIKE pattern."""
        bind = binds.slot(slot, lambda text: like_of(text, longest), sa.Text())
        return self.like_value(column, bind, folds=folds)

    def like_value(self, column: Clause, pattern: Clause, *, folds: bool) -> Clause:
        """Match a pattern that is already LIKE's."""
        return column.op("ILIKE" if folds else "LIKE", is_comparison=True, return_type=sa.Boolean())(pattern)

    def pattern_codec(self, text: str, longest: int, *, folds: bool) -> str:
        """Turn a LIKE pattern into what `like_value` takes."""
        return like_of(text, longest)

    def match_value(self, column: Clause, pattern: Clause, *, folds: bool) -> Clause:
        """Match a POSIX regular expression; the statement's timeout bounds it."""
        return column.op("~*" if folds else "~", is_comparison=True, return_type=sa.Boolean())(pattern)

    def regular_codec(self, text: str, longest: int) -> str:
        """Bound a regular expression; PostgreSQL reads it."""
        return bounded(text, longest)

    def search(self, name: str, words: SearchedWords, slot: int, binds: Binds, language: str | None) -> Clause:
        """Search a text, a JSON document or a tsvector by words; the language is bound, and looked up by PostgreSQL."""
        configured = [] if language is None else [sa.cast(sa.literal(language, sa.Text()), REGCONFIG())]
        column, is_vector = words.column, words.wire.name == "tsvector"
        vector = column if is_vector else sa.func.to_tsvector(*configured, column, type_=TSVECTOR())
        codec = _query_of(words.longest)
        bind = sa.cast(binds.slot(slot, codec, sa.Text()), sa.Text())
        query = getattr(sa.func, _SEARCHES[name])(*configured, bind)
        return vector.op("@@", is_comparison=True, return_type=sa.Boolean())(query)

    def ranged(self, name: str, column: Clause, wire: WireType, slot: int, binds: Binds) -> Clause:
        """Compare ranges; a type without the operator is refused by PostgreSQL."""
        bind = binds.slot(slot, wire.parse, wire.bind_type)
        return column.op(_RANGES[name], is_comparison=True, return_type=sa.Boolean())(bind)

    def document(self, name: str, column: Clause, wire: WireType, slot: int, binds: Binds) -> tuple[Clause, Clause]:
        """Compare documents and arrays as PostgreSQL does; it has no order, and no equality, of the type json."""
        return column, binds.slot(slot, wire.parse, wire.bind_type)

    def in_zone(self, instant: Clause, zone: str) -> Clause:
        """Leave it to the transaction's TimeZone: see `execute.set_zone`."""
        return instant

    def json_at(self, document: Clause, steps: Sequence[JsonStep]) -> Clause:
        """Give the JSON at a path, or its text when the last arrow is `->>`."""
        value: Clause = sa.func.to_jsonb(document)
        for step in steps[:-1]:
            value = value.op("->", return_type=JSONB())(_key(step))
        if steps[-1].as_text:
            return value.op("->>", return_type=sa.Text())(_key(steps[-1]))
        return value.op("->", return_type=JSONB())(_key(steps[-1]))

    def json_comparable(self, document: Clause, steps: Sequence[JsonStep]) -> Clause:
        """jsonb has an order of its own."""
        return self.json_at(document, steps)

    def json_literal(self, slot: int, binds: Binds) -> Clause:
        """Bind a JSON literal so that it compares with `json_comparable`."""
        return sa.cast(binds.slot(slot, _checked_json, sa.Text()), JSONB())

    def contains(self, column: Clause, wire: WireType, slot: int, binds: Binds, *, turned: bool) -> Clause:
        """Containment of JSON documents and of arrays."""
        column, bind = _containers(column, wire, slot, binds)
        return column.op("<@" if turned else "@>", is_comparison=True, return_type=sa.Boolean())(bind)

    def overlaps(self, column: Clause, wire: WireType, slot: int, binds: Binds) -> Clause:
        """Say whether arrays share an element; PostgreSQL has no such operator for JSON.

        Raises:
            DataError: PGRST127.
        """
        if wire.kind is not Kind.ARRAY:
            details = f"The operator 'ov' is not available for the type {wire.name} on this database."
            raise DataError(400, "PGRST127", "Feature not implemented", details=details)
        column, bind = _containers(column, wire, slot, binds)
        return column.op("&&", is_comparison=True, return_type=sa.Boolean())(bind)

    def cast(self, value: Clause, target: str) -> Clause:
        """Turn text into a number or a truth value; PostgreSQL refuses by itself."""
        if target == "boolean":
            return sa.cast(value, sa.Boolean())
        return sa.cast(value, sa.BigInteger() if target == "integer" else sa.Numeric())

    def json_text(self, value: Clause) -> Clause:
        """Cast to text."""
        return sa.cast(value, sa.Text())

    def array_text(self, value: Clause) -> Clause:
        """Cast to text."""
        return sa.cast(value, sa.Text())

    def as_json(self, text: Clause) -> Clause:
        """Read a text as a JSON document."""
        return sa.cast(text, sa.JSON())

    def bytewise(self, column: Clause) -> Clause:
        """Compare as SQLite does, whatever the database's own collation; an enum has an order of its own, and none."""
        return column if self._is_enum(column.type) else column.collate("C")

    def _is_enum(self, type_: TypeEngine[Any]) -> bool:
        held = type_.dialect_impl(self.compiler)
        while isinstance(held, sa.TypeDecorator):
            held = held.impl_instance.dialect_impl(self.compiler)
        return isinstance(held, sa.Enum) and held.native_enum

    def keys(self, types: Sequence[TypeEngine[Any]]) -> tuple[sa.FromClause, list[Clause], Clause]:
        """Give the keys of a keyed read as rows: (source, key columns, position)."""
        document = sa.cast(sa.bindparam(KEYS, type_=sa.Text()), JSONB())
        # As an array it is taken for ten rows, by itself for a hundred: a table of ten thousand was read as a whole.
        elements = sa.select(sa.func.jsonb_array_elements(document)).scalar_subquery()
        each = sa.func.unnest(sa.func.array(elements)).table_valued(
            sa.column("value", JSONB()), with_ordinality="place", name="k"
        )
        each = each.render_derived()
        columns: list[Clause] = [
            sa.cast(each.c.value.op("->>", return_type=sa.Text())(sa.literal_column(str(place))), type_)
            for place, type_ in enumerate(types)
        ]
        return each, columns, each.c.place


def _query_of(longest: int) -> Any:
    return lambda text: bounded(wire_text(text), longest)


def _array(wire: WireType, slot: int, codec: Any, binds: Binds) -> Clause:
    """Bind an array; of a type that only PostgreSQL reads, as texts that it casts."""
    if isinstance(wire.bind_type, TextOf):
        return sa.cast(binds.slot(slot, codec, ARRAY(sa.Text())), ARRAY(wire.bind_type.type_))
    return binds.slot(slot, codec, ARRAY(wire.bind_type))


def _arrays(wire: WireType, slot: int, split: Any, longest: int, binds: Binds) -> Clause:
    """Give arrays or documents as rows: there is no array of arrays, so their texts are bound and cast one by one."""

    def codec(text: str) -> list[str]:
        found: list[str] = split(text, longest)
        for one in found:
            wire.parse(one)
        return found

    each = sa.func.unnest(binds.slot(slot, codec, ARRAY(sa.Text())), type_=sa.Text()).column_valued()
    return sa.cast(each, wire.bind_type)


def _key(step: JsonStep) -> Clause:
    return sa.literal(step.key, sa.Integer() if isinstance(step.key, int) else sa.Text())


def _checked_json(text: str) -> str:
    return orjson.dumps(json_functions.read_json(text)).decode()


def _containers(column: Clause, wire: WireType, slot: int, binds: Binds) -> tuple[Clause, Clause]:
    if wire.kind is Kind.ARRAY:
        return column, binds.slot(slot, wire.parse, wire.bind_type)
    return sa.cast(column, JSONB()), sa.cast(binds.slot(slot, json_functions.document_text, sa.Text()), JSONB())
