"""The parameters of the data API, described once: select, order, the page, filters by column, `Prefer`, `Range`.

Obeys contract data.md §4.1 (reserved keys, quoted names), §4.3–4.6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from portero.data.catalogue import Column, Model
from portero.data.printing import print_name
from portero.data.relations import Relation
from portero.data.wire_types import Kind

_ORDERED: Final = ("eq", "neq", "gt", "gte", "lt", "lte", "isdistinct")
_LIKE: Final = ("like", "ilike", "match", "imatch")
_SEARCHES: Final = ("fts", "plfts", "phfts", "wfts")
_SETS: Final = ("cs", "cd", "ov")
_OPERATORS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.TEXT: (*_ORDERED, "in", *_LIKE, "is"),
    Kind.JSON: ("eq", "neq", "cs", "cd", "is"),
    Kind.ARRAY: ("eq", "neq", *_SETS, "is"),
    Kind.BOOLEAN: ("eq", "neq", "in", "is"),
}
#: Types that only PostgreSQL has, by the end of their name.
_ITS_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "range": ("eq", "neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj", "is"),
    "tsvector": (*_SEARCHES, "is"),
}
_EXAMPLES: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.TEXT: ("ilike.*a*", "in.(a,b)", "like(any).{a*,*b}", "not.is.null"),
    Kind.NUMBER: ("gte.1", "in.(1,2)", "eq(any).{1,2}", "not.is.null"),
    Kind.BOOLEAN: ("is.true", "eq.false"),
    Kind.UUID: ("eq.6f1c2c0e-8f5b-4f0e-9d0a-3f6f0c9d1a11",),
    Kind.JSON: ("cs.{}", "not.is.null"),
    Kind.ARRAY: ("cs.{}", "ov.{1}"),
}
_TOKENS: Final[Mapping[str, str]] = {
    "read": "count=exact|planned|estimated, handling=strict|lenient",
    "insert": "return=minimal|headers-only|representation, count=…, resolution=merge-duplicates|ignore-duplicates, "
    "missing=default|null, handling=strict|lenient",
    "change": "return=minimal|headers-only|representation, count=…, missing=default|null, "
    "handling=strict|lenient, max-affected=N",
}
_PREFER_EXAMPLES: Final[Mapping[str, str]] = {
    "read": "count=exact",
    "insert": "return=representation",
    "change": "return=representation, handling=strict, max-affected=10",
}


def shared_parameters() -> dict[str, Any]:
    """Describe the parameters that are the same for every model."""
    page = {"type": "integer", "minimum": 0}
    return {
        "limit": _query("limit", "Most rows to give.", {**page, "examples": [10]}),
        "offset": _query("offset", "Rows to leave out at the start.", {**page, "examples": [0]}),
        "on_conflict": _query("on_conflict", "The unique key that an upsert goes by.", _text()),
        "columns": _query("columns", "The only keys of the body that are taken.", _text()),
        "range": _header("Range", "The page as first-last row, counted from 0.", _text("0-9")),
        "ifMatch": _header("If-Match", "The versions (ETag) of the one row that may be met; * for any.", _text("*")),
        "rangeUnit": _header("Range-Unit", "The unit of Range.", {"type": "string", "enum": ["items"]}),
        **{
            f"prefer.{kind}": _header(
                "Prefer", f"Any of, separated by commas: {tokens}.", _text(_PREFER_EXAMPLES[kind])
            )
            for kind, tokens in _TOKENS.items()
        },
    }


def select_parameter(model: Model, embeddable: Sequence[Relation]) -> dict[str, Any]:
    """Describe `select` of a model, with what can be embedded."""
    sentence = "Columns, `alias:column`, casts `column::text`, JSON paths `column->key`, embeds `relation(columns)`."
    if embeddable:
        ways = dict.fromkeys(f"{each.target} ({'one' if each.to_one else 'many'})" for each in embeddable)
        sentence += f" Relations: {', '.join(ways)}."
    names = [print_name(name) for name in list(model.columns)[:3]]
    examples = ["*", ",".join(names), *(f"{names[0]},{print_name(each.target)}(*)" for each in embeddable[:1])]
    return _query("select", sentence, {"type": "string", "examples": examples})


def order_parameter(model: Model) -> dict[str, Any]:
    """Describe `order` of a model."""
    first = print_name(next(iter(model.columns)))
    sentence = "Columns to order by, each with .asc or .desc and .nullsfirst or .nullslast."
    return _query("order", sentence, {"type": "string", "examples": [first, f"{first}.desc.nullslast"]})


def tree_parameter(model: Model, joiner: str) -> dict[str, Any]:
    """Describe `and` or `or` of a model."""
    first = print_name(next(iter(model.columns)))
    sentence = "Conditions that must all hold." if joiner == "and" else "Conditions of which one must hold."
    return _query(joiner, f"{sentence} Trees may stand in trees.", _text(f"({first}.is.null,not.and({first}.is.null))"))


def filter_parameter(column: Column, dialect: str) -> dict[str, Any]:
    """Describe the filter on one column; given twice, both conditions hold."""
    operators = _operators(column, dialect)
    quantified = "|".join(each for each in operators if each in ("eq", "gt", "gte", "lt", "lte", *_LIKE))
    forms = [*operators, *([f"({quantified})\\((any|all)\\)"] if quantified else [])]
    forms += ["(fts|plfts|phfts|wfts)\\(\\w+\\)"] if "fts" in operators else []
    items = {
        "type": "string",
        "pattern": f"^(not\\.)?({'|'.join(forms)})\\.",
        "examples": _examples(column),
    }
    sentence = f"Condition on `{column.name}` ({column.wire.name}): {', '.join(operators)}; `not.` before it negates."
    array = {"type": "array", "items": items}
    return {**_query(print_name(column.name), sentence, array), "style": "form", "explode": True}


def key_parameter(column: Column) -> dict[str, Any]:
    """Describe a column of the key in the query of a PUT."""
    sentence = f"The row's `{column.name}`, as in the body."
    return {**_query(print_name(column.name), sentence, {"type": "string", "pattern": "^eq\\."}), "required": True}


def _operators(column: Column, dialect: str) -> tuple[str, ...]:
    wire = column.wire
    own = next((found for end, found in _ITS_OWN.items() if wire.name.endswith(end)), None)
    if own is not None:
        return own
    searched = wire.kind in (Kind.TEXT, Kind.JSON) if dialect == "postgresql" else column.search is not None
    searches = _SEARCHES if searched else ()
    return (*_OPERATORS.get(wire.kind, (*_ORDERED, "in", "is")), *searches)


def _examples(column: Column) -> list[str]:
    type_ = column.column.type
    if isinstance(type_, sa.Enum):
        return [f"eq.{type_.enums[0]}", "not.is.null"]
    return list(_EXAMPLES.get(column.wire.kind, ("is.null", "not.is.null")))


def _text(*examples: str) -> dict[str, Any]:
    return {"type": "string", "examples": list(examples)} if examples else {"type": "string"}


def _query(name: str, sentence: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": sentence, "schema": dict(schema)}


def _header(name: str, sentence: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": sentence, "schema": dict(schema)}
