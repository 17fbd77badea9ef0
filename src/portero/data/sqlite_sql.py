"""What a read says differently on SQLite: JSON built in SQL, GLOB for LIKE, JSON paths, lists by json_each.

Values are hidden from SQLite's planner by a unary plus (`LIMIT +?`): otherwise each new value makes the statement stale
and it is compiled again, which costs more than all the Python around it (see docs/explanation/speed.md). Nothing here
comes from a request but bound values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from portero.data import json_functions, json_texts, regular_expressions, zones
from portero.data.binds import KEYS, Binds
from portero.data.nodes import JsonStep
from portero.data.patterns import bounded, glob_of
from portero.data.search_queries import match_of
from portero.data.searched_words import SearchedWords
from portero.data.wire_types import Kind, WireType
from portero.errors import DataError
from portero.store.hidden_values import HidingCompiler, HidingDialect
from portero.store.sqlite import SqliteFunction

Clause = sa.ColumnElement[Any]

FUNCTIONS = (
    SqliteFunction("portero_lower", 1, json_functions.lower),
    SqliteFunction("portero_contains", 2, json_functions.contains),
    SqliteFunction("portero_overlaps", 2, json_functions.overlaps),
    SqliteFunction("portero_canonical", 1, json_functions.canonical),
    SqliteFunction("portero_in_zone", 2, zones.in_zone),
    SqliteFunction("portero_match", 2, regular_expressions.match),
    SqliteFunction("portero_match_folded", 2, regular_expressions.match_folded),
    SqliteFunction("portero_integer", 1, json_functions.integer),
    SqliteFunction("portero_number", 1, json_functions.number),
    SqliteFunction("portero_boolean", 1, json_functions.boolean),
    SqliteFunction("portero_json_text", 1, json_texts.json_text),
    SqliteFunction("portero_array_text", 1, json_texts.array_text),
)
"""What every SQLite connection must know: `Database.open(…, sqlite_functions=FUNCTIONS)`."""


class _Compiler(HidingCompiler):
    """Hides values, and writes hints and pages as this package says them."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        """Write a hint on a table where SQLite has it: behind its name."""
        return text

    def limit_clause(self, select: Any, **keywords: Any) -> str:
        """Write LIMIT and OFFSET as they are asked; SQLAlchemy adds `OFFSET 0` as a parameter."""
        text = ""
        if select._limit_clause is not None:
            text += "\n LIMIT " + self.process(select._limit_clause, **keywords)
        if select._offset_clause is not None:
            text += " OFFSET " + self.process(select._offset_clause, **keywords)
        return text


class _Dialect(HidingDialect):
    statement_compiler = _Compiler
    supports_statement_cache = False


class SqliteSql:
    """The SQLite side of `dialects.Sql`."""

    name = "sqlite"

    def __init__(self) -> None:
        self.compiler = _Dialect(json_serializer=_compact)
        scalar = json_functions.scalar_of
        self.json_scalar = WireType("jsonb", Kind.OTHER, scalar, scalar, sa.Text())

    def json_object(self, pairs: Sequence[tuple[Clause, Clause]]) -> Clause:
        """Build one JSON object; SQLite takes up to 1,000 arguments."""
        return sa.func.json_object(*[side for pair in pairs for side in pair], type_=sa.Text())

    def names_members(self, keys: Iterable[str]) -> bool:
        """Deny it: SQLite has no function that makes an object of a whole row."""
        return False

    def json_array(self, element: Clause) -> Clause:
        """Collect elements; no rows give `[]`."""
        return sa.func.json_group_array(element, type_=sa.Text())

    def body(self, array: Clause) -> Clause:
        """Hand the document to Python as bytes."""
        return sa.cast(array, sa.LargeBinary())

    def whole_body(self, array: Clause) -> Clause:
        """Hand the document of a read over as bytes."""
        return self.body(array)

    def page_number(self, slot: int, codec: Any, binds: Binds) -> Clause:
        """Bind a limit or an offset."""
        return binds.slot(slot, codec, sa.BigInteger())

    def in_list(self, column: Clause, wire: WireType, slot: int, binds: Binds, longest: int) -> Clause:
        """Compare with a list in one bound parameter, whatever its length."""
        bind = binds.slot(slot, self._elements(wire, longest, json_functions.list_elements), sa.Text())
        return _listed(column, wire).in_(sa.select(_each(bind).c.value))

    def quantified(
        self, modifier: str, column: Clause, wire: WireType, slot: int, binds: Binds, longest: int, operate: Any
    ) -> Clause:
        """Compare with any or all of a group `{a,b}`."""
        each = _each(binds.slot(slot, self._elements(wire, longest, json_functions.group_elements), sa.Text()))
        holds = operate(_listed(column, wire), each.c.value)
        found = (
            sa.exists().where(holds).select_from(each)
            if modifier == "any"
            else ~sa.exists().where(~holds).select_from(each)
        )
        # NULL compared with anything is neither true nor false, also under `not`.
        return sa.case((column.is_not(None), found))

    def like(self, column: Clause, slot: int, binds: Binds, longest: int, *, folds: bool) -> Clause:
        """Match a LIKE pattern: GLOB is case-sensitive as PostgreSQL's LIKE, and uses an index for a prefix."""

        def codec(text: str) -> str:
            pattern = glob_of(text, longest)
            return json_functions.lower(pattern) if folds else pattern

        bind = binds.slot(slot, codec, sa.Text())
        return self.like_value(column, bind, folds=folds)

    def like_value(self, column: Clause, pattern: Clause, *, folds: bool) -> Clause:
        """Match a pattern that is already GLOB's."""
        text = sa.func.portero_lower(column, type_=sa.Text()) if folds else column
        return text.op("GLOB", is_comparison=True, return_type=sa.Boolean())(pattern)

    def pattern_codec(self, text: str, longest: int, *, folds: bool) -> str:
        """Turn a LIKE pattern into what `like_value` takes."""
        pattern = glob_of(text, longest)
        return json_functions.lower(pattern) if folds else pattern

    def match_value(self, column: Clause, pattern: Clause, *, folds: bool) -> Clause:
        """Match a regular expression by RE2, if it is installed.

        Raises:
            DataError: PGRST127.
        """
        if not regular_expressions.IS_AVAILABLE:
            raise not_on_sqlite("Regular expressions")
        name = "portero_match_folded" if folds else "portero_match"
        return getattr(sa.func, name)(column, pattern, type_=sa.Integer()) == _ONE  # type: ignore[no-any-return]

    def regular_codec(self, text: str, longest: int) -> str:
        """Check a regular expression before the database meets it.

        Raises:
            DataError: PGRST100 too long; 2201B it is none.
        """
        try:
            return regular_expressions.check(bounded(text, longest))
        except ValueError:
            raise DataError(400, "2201B", "invalid regular expression") from None

    def search(self, name: str, words: SearchedWords, slot: int, binds: Binds, language: str | None) -> Clause:
        """Ask the index of a column's words which rows match; a language is not looked at: words are found as they are.

        Raises:
            DataError: PGRST127: the column has no index (`expose(search=[…])`).
        """
        if words.index is None or words.row is None:
            raise not_on_sqlite("Full-text searches of this column", "Declare it at its model: expose(…, search=[…]).")
        number, longest = words.index.number, words.longest
        query = binds.slot(slot, lambda text: match_of(name, bounded(text, longest), number), sa.Text())
        index = sa.table(words.index.index, sa.column("rowid", sa.Integer()))
        whole: Clause = sa.literal_column(self.compiler.identifier_preparer.quote(words.index.index))
        found = sa.select(index.c.rowid).where(whole.op("MATCH", is_comparison=True)(query))
        # NULL has no words, and is not found under `not` either.
        return sa.case((words.column.is_not(None), words.row.in_(found)))

    def ranged(self, name: str, column: Clause, wire: WireType, slot: int, binds: Binds) -> Clause:
        """SQLite has no ranges.

        Raises:
            DataError: PGRST127.
        """
        raise not_on_sqlite("Ranges")

    def json_at(self, document: Clause, steps: Sequence[JsonStep]) -> Clause:
        """Give the JSON at a path, or its text when the last arrow is `->>`; NULL where there is none."""
        path = json_path(steps)
        held = _valid(document)
        inner = held.op("->", return_type=sa.Text())(sa.literal(path, sa.Text()))
        if not steps[-1].as_text:
            return inner
        kind = sa.func.json_type(held, sa.literal(path, sa.Text()))
        plain = held.op("->>", return_type=sa.Text())(sa.literal(path, sa.Text()))
        # Joined with nothing it is a text; `->` alone would be taken for JSON by json_object.
        return sa.case(
            (kind == _word("text"), plain), (kind == _word("null"), sa.null()), else_=inner.concat(_word(""))
        )

    def json_comparable(self, document: Clause, steps: Sequence[JsonStep]) -> Clause:
        """Give the value at a path so that numbers order as numbers."""
        return _valid(document).op("->>", return_type=sa.Text())(sa.literal(json_path(steps), sa.Text()))

    def json_literal(self, slot: int, binds: Binds) -> Clause:
        """Bind a JSON literal so that it compares with `json_comparable`."""
        return binds.slot(slot, json_functions.scalar_of, sa.Text())

    def document(self, name: str, column: Clause, wire: WireType, slot: int, binds: Binds) -> tuple[Clause, Clause]:
        """Give both sides of a comparison of whole documents, in a form in which equal ones have equal texts.

        Raises:
            DataError: PGRST127: which document is greater is PostgreSQL's own.
        """
        if name not in ("eq", "neq", "isdistinct"):
            raise not_on_sqlite("Orders of documents and arrays")
        bind = binds.slot(slot, lambda text: json_functions.canonical_of(wire.parse(text)), sa.Text())
        return sa.func.portero_canonical(column, type_=sa.Text()), bind

    def in_zone(self, instant: Clause, zone: str) -> Clause:
        """Show an instant in a time zone."""
        return sa.func.portero_in_zone(instant, sa.literal(zone, sa.Text()), type_=sa.Text())

    def contains(self, column: Clause, wire: WireType, slot: int, binds: Binds, *, turned: bool) -> Clause:
        """Containment of JSON documents and of arrays kept as JSON."""
        bind = binds.slot(slot, _document_codec(wire), sa.Text())
        sides = (bind, column) if turned else (column, bind)
        return sa.func.portero_contains(*sides, type_=sa.Integer()) == _ONE

    def overlaps(self, column: Clause, wire: WireType, slot: int, binds: Binds) -> Clause:
        """Say whether arrays share an element."""
        bind = binds.slot(slot, _document_codec(wire), sa.Text())
        return sa.func.portero_overlaps(column, bind, type_=sa.Integer()) == _ONE

    def cast(self, value: Clause, target: str) -> Clause:
        """Turn text into a number or a truth value, or refuse as PostgreSQL does (the functions raise)."""
        if target == "boolean":
            return sa.func.json(sa.func.portero_boolean(value), type_=sa.Text())
        name = {"integer": "portero_integer", "numeric": "portero_number"}[target]
        return getattr(sa.func, name)(value)  # type: ignore[no-any-return]

    def json_text(self, value: Clause) -> Clause:
        """Write JSON as PostgreSQL's jsonb does, with blanks."""
        return sa.func.portero_json_text(value, type_=sa.Text())

    def array_text(self, value: Clause) -> Clause:
        """Write an array, kept as JSON, as PostgreSQL's literal."""
        return sa.func.portero_array_text(value, type_=sa.Text())

    def as_json(self, text: Clause) -> Clause:
        """Read a text as a JSON document."""
        return sa.func.json(text, type_=sa.Text())

    def bytewise(self, column: Clause) -> Clause:
        """SQLite's BINARY collation is bytewise already."""
        return column

    def keys(self, types: Sequence[TypeEngine[Any]]) -> tuple[sa.FromClause, list[Clause], Clause]:
        """Give the keys of a keyed read as rows: (source, key columns, position)."""
        each = _each(sa.bindparam(KEYS, type_=sa.Text()))
        columns: list[Clause] = [
            sa.func.json_extract(each.c.value, sa.literal_column(f"'$[{place}]'")) for place in range(len(types))
        ]
        return each, columns, each.c.key

    def _elements(self, wire: WireType, longest: int, split: Any) -> Any:
        process = wire.bind_type.dialect_impl(self.compiler).bind_processor(self.compiler)

        is_binary = _is_binary(wire.bind_type)
        if wire.kind in _DOCUMENTS:
            process = json_functions.canonical_of

        def codec(text: str) -> str:
            values = [wire.parse(one) for one in split(text, longest)]
            if is_binary:
                return orjson.dumps([bytes(process(one) if process else one).hex().upper() for one in values]).decode()
            return orjson.dumps([process(one) for one in values] if process else values, default=str).decode()

        return codec


def json_path(steps: Sequence[JsonStep]) -> str:
    """Write a path for SQLite's JSON functions; it is bound, never spliced.

    >>> json_path([JsonStep("a.b", False), JsonStep(-1, True)])
    '$."a.b"[#-1]'

    Raises:
        DataError: PGRST127: SQLite's paths cannot hold a key with a double quote.
    """
    parts = []
    for step in steps:
        if isinstance(step.key, int):
            parts.append(f"[{step.key}]" if step.key >= 0 else f"[#{step.key}]")
        elif '"' in step.key or "\\" in step.key:
            raise not_on_sqlite("JSON keys with quotes")
        else:
            parts.append(f'."{step.key}"')
    return "$" + "".join(parts)


def not_on_sqlite(what: str, hint: str | None = None) -> DataError:
    """Make the PGRST127 refusal."""
    details = f"{what} are not available on this database."
    return DataError(400, "PGRST127", "Feature not implemented", details=details, hint=hint)


_ONE = sa.literal_column("1", sa.Integer())
_DOCUMENTS = frozenset({Kind.JSON, Kind.ARRAY})


def _word(text: str) -> Clause:
    return sa.literal_column(f"'{text}'", sa.Text())


def _document_codec(wire: WireType) -> Any:
    """`{}` is an empty array where arrays are compared, else an empty object."""
    if wire.kind is Kind.ARRAY:
        return lambda text: json_functions.canonical_of(wire.parse(text))
    return json_functions.document_text


def _listed(column: Clause, wire: WireType) -> Clause:
    """Give a column the form that its values have in a JSON list."""
    if wire.kind in _DOCUMENTS:
        return sa.func.portero_canonical(column, type_=sa.Text())
    return sa.func.hex(column, type_=sa.Text()) if _is_binary(wire.bind_type) else column


def _is_binary(type_: TypeEngine[Any]) -> bool:
    while isinstance(type_, sa.TypeDecorator):
        type_ = type_.impl_instance
    return isinstance(type_, sa.LargeBinary)


def _valid(document: Clause) -> Clause:
    """A text that is no JSON counts as NULL; SQLite's JSON functions would fail the whole statement."""
    document = sa.type_coerce(document, sa.Text())
    return sa.case((sa.func.json_valid(document) == _ONE, document))


def _each(bind: Clause) -> sa.TableValuedAlias:
    return sa.func.json_each(bind).table_valued("key", "value")


def _compact(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
