"""A printed request parses back to itself: the printer and the grammar hold each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portero.data.filter_grammar import COMPARISONS, IS_WORDS, QUANTIFIED, RANGES, TEXT_SEARCHES
from portero.data.grammar import AGGREGATES
from portero.data.nodes import (
    STAR,
    ColumnItem,
    Condition,
    EmbedItem,
    Field,
    Filter,
    HttpRequest,
    JsonStep,
    Order,
    OrderTerm,
    Page,
    ReadShape,
    StarItem,
    Tree,
)
from portero.data.printing import print_query
from portero.data.request import read_request
from portero.errors import DataError
from portero.settings import Settings

WIDE = Settings(max_conditions=10_000, max_embeds=10_000, max_embed_depth=10)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
PLAIN = st.sampled_from(
    ["id", "title", "films", "a b", "x-y", "order", "select", "inner", "é", "a.b", '"', "\\", "not"]
)
NAMES = PLAIN | TEXT.filter(bool)
# The grammar keeps these words of embeds and hints for itself: bare `count()`, and the two joins.
EMBEDS = NAMES.filter(lambda name: name not in ("count", "not"))
HINTS = st.none() | NAMES.filter(lambda name: name not in ("inner", "left"))
STEPS = st.builds(JsonStep, st.integers(-999, 999) | NAMES, st.booleans())
FIELDS = st.builds(Field, NAMES, st.lists(STEPS, max_size=2).map(tuple))
CASTS = st.none() | st.sampled_from(["text", "int", "double precision", "int4[]"])


@st.composite
def columns(draw: st.DrawFn) -> ColumnItem:
    """A column, or an aggregate."""
    alias, aggregate = draw(st.none() | NAMES), draw(st.none() | st.sampled_from(sorted(AGGREGATES)))
    after = draw(CASTS) if aggregate else None
    if aggregate == "count" and draw(st.booleans()):
        return ColumnItem(Field("*"), alias, aggregate="count", aggregate_cast=after)
    return ColumnItem(draw(FIELDS), alias, draw(CASTS), aggregate, after)


@st.composite
def embeds(draw: st.DrawFn, items: st.SearchStrategy[Any]) -> EmbedItem:
    """An embed, or a spread."""
    is_spread = draw(st.booleans())
    alias = None if is_spread else draw(st.none() | NAMES)
    inside = tuple(draw(st.lists(items, max_size=3)))
    return EmbedItem(draw(EMBEDS), inside, alias, draw(HINTS), draw(st.sampled_from(["left", "inner"])), is_spread)


ITEMS = st.recursive(st.just(StarItem()) | columns(), embeds, max_leaves=6)


@st.composite
def conditions(draw: st.DrawFn, values: list[str]) -> Condition:
    """A condition; its value goes to `values`."""
    field, is_negated = draw(FIELDS), draw(st.booleans())
    operator = draw(st.sampled_from(sorted(COMPARISONS | TEXT_SEARCHES | RANGES | {"in", "is"})))
    if operator == "is":
        return Condition(field, "is", None, is_negated, None, draw(st.sampled_from(sorted(IS_WORDS))))
    modifier = None
    if operator in QUANTIFIED:
        modifier = draw(st.sampled_from([None, "any", "all"]))
    if operator in TEXT_SEARCHES:
        modifier = draw(st.sampled_from([None, "english", "pt_br"]))
    values.append('(1,"a,b",x)' if operator == "in" else draw(TEXT))
    return Condition(field, operator, len(values) - 1, is_negated, modifier)


def expressions(draw: st.DrawFn, values: list[str], depth: int) -> Any:
    """A condition or a tree of them, in the order in which values are read."""
    if depth == 0 or draw(st.booleans()):
        return draw(conditions(values))
    operands = tuple(expressions(draw, values, depth - 1) for _ in range(draw(st.integers(1, 3))))
    return Tree(draw(st.sampled_from(["and", "or"])), operands, draw(st.booleans()))


@st.composite
def requests(draw: st.DrawFn) -> tuple[ReadShape, list[str]]:
    """A shape and its values, slots in the order of the query string."""
    values: list[str] = []
    paths = st.lists(EMBEDS, max_size=2).map(tuple)
    filters = tuple(Filter(draw(paths), expressions(draw, values, 2)) for _ in range(draw(st.integers(0, 3))))
    terms = st.builds(OrderTerm, FIELDS, st.none() | NAMES, st.booleans(), st.none() | st.booleans())
    orders = draw(st.dictionaries(paths, st.lists(terms, min_size=1, max_size=2).map(tuple), max_size=2))
    pages = []
    for path in draw(st.lists(paths, max_size=2, unique=True)):
        limit = offset = None
        if draw(st.booleans()):
            limit = len(values)
            values.append(str(draw(st.integers(0, 99))))
        if limit is None or draw(st.booleans()):
            offset = len(values)
            values.append(str(draw(st.integers(0, 99))))
        pages.append(Page(path, limit, offset))
    items = tuple(draw(st.lists(ITEMS, min_size=1, max_size=3))) if draw(st.booleans()) else STAR
    shape = ReadShape("films", items, filters, tuple(Order(path, each) for path, each in orders.items()), tuple(pages))
    return shape, values


@settings(max_examples=400, deadline=None)
@given(requests())
def test_a_printed_request_parses_back_to_itself(asked: tuple[ReadShape, list[str]]) -> None:
    """The tree and the values."""
    shape, values = asked
    read = read_request(HttpRequest("GET", "/films", print_query(shape, values)), WIDE)
    assert (_known(shape), values) == (_known(read.shape), list(read.values))


def _known(shape: ReadShape) -> ReadShape:
    """The order in which pages were first named does not count."""
    return replace(shape, pages=tuple(sorted(shape.pages, key=lambda page: page.path)))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_no_query_is_more_than_refused(text: str) -> None:
    """Whatever comes, the answer is a tree or a DataError with a place."""
    for name in ("select", "order", "or", "id", "films.limit"):
        try:
            read_request(HttpRequest("GET", "/films", f"{name}={text.encode('utf-8', 'replace').decode()}"), WIDE)
        except DataError as refusal:
            assert refusal.status in (400, 416)
