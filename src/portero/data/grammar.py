"""The grammar of `select` and `order` (contract data.md §4.2, §4.5); filters are in `filter_grammar`.

Texts in, nodes out. It never resolves a name and raises DataError only: PGRST100 with the place of the fault. The
doctests are its specification.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from portero.data.nodes import STAR, ColumnItem, EmbedItem, Field, Item, JoinKind, JsonStep, OrderTerm, StarItem
from portero.data.scanner import Scanner
from portero.errors import DataError

AGGREGATES = frozenset({"sum", "avg", "count", "max", "min"})
_JSON_INDEX = re.compile(r"-?[0-9]{1,9}(?=->|::|[.,)]|$)")
_JSON_STOPS = frozenset('(:.,>)"')


def parse_select(text: str, *, max_depth: int = 5) -> tuple[Item, ...]:
    """Read the value of `select`.

    >>> parse_select("id,name:title,year::text") == (
    ...     ColumnItem(Field("id")), ColumnItem(Field("title"), "name"), ColumnItem(Field("year"), cast="text"))
    True
    >>> parse_select("title,boss:directors!director_id!inner(name)")[1].hint
    'director_id'
    >>> parse_select("info->cast->>0")[0].field.steps
    (JsonStep(key='cast', as_text=False), JsonStep(key=0, as_text=True))
    >>> parse_select("...directors(director:name)")[0].is_spread
    True
    >>> parse_select("rating.avg(),count()")[1].aggregate
    'count'
    >>> parse_select("") == STAR
    True
    >>> parse_select("a,(b)")
    Traceback (most recent call last):
    ...
    portero.errors.DataError: PGRST100: "failed to parse select parameter (a,(b))" (line 1, column 3)

    Raises:
        DataError: PGRST100, also when embeds are nested deeper than `max_depth`.
    """
    scanner = Scanner(text, "select parameter")
    scanner.skip_blanks()
    if scanner.at_end():
        return STAR
    items = _items(scanner, max_depth)
    if not scanner.at_end():
        scanner.fail('"," or end of input')
    return items


def _items(scanner: Scanner, depth_left: int) -> tuple[Item, ...]:
    found = [_item(scanner, depth_left)]
    scanner.skip_blanks()
    while scanner.take(","):
        found.append(_item(scanner, depth_left))
        scanner.skip_blanks()
    return tuple(found)


def _item(scanner: Scanner, depth_left: int) -> Item:
    scanner.skip_blanks()
    if scanner.take("*"):
        return StarItem()
    is_spread = scanner.take("...")
    name, alias = scanner.name(), None
    if not is_spread and scanner.peek(":") and not scanner.peek("::"):
        scanner.take(":")
        alias, name = name, _after_alias(scanner)
    if scanner.peek("!") or scanner.peek("(") or is_spread:
        return _count_item(scanner, name, alias) or _embed(scanner, name, alias, is_spread, depth_left)
    return _column(scanner, name, alias)


def _after_alias(scanner: Scanner) -> str:
    scanner.skip_blanks()
    return scanner.name()


def _count_item(scanner: Scanner, name: str, alias: str | None) -> ColumnItem | None:
    """Read the bare `count()`; `count(` with items inside is an embed."""
    if name != "count" or not scanner.take("()"):
        return None
    return ColumnItem(Field("*"), alias, aggregate="count", aggregate_cast=_cast(scanner))


def _embed(scanner: Scanner, name: str, alias: str | None, is_spread: bool, depth_left: int) -> EmbedItem:
    if depth_left == 0:
        raise DataError(400, "PGRST100", "embeds are nested too deeply", hint="Ask for fewer levels in one request.")
    hint: str | None = None
    join: JoinKind = "left"
    start = scanner.at
    while scanner.take("!"):
        word = scanner.name()
        if word == "inner":
            join = "inner"
        elif word != "left":
            hint = word
    if not scanner.peek("(") and not is_spread and scanner.at > start:
        scanner.at = start
        scanner.refuse("'!'", 'letter, digit, "-", "->>", "->", "::", ".", ")", "," or end of input')
    scanner.expect("(")
    scanner.skip_blanks()
    items: tuple[Item, ...] = () if scanner.peek(")") else _items(scanner, depth_left - 1)
    scanner.expect(")")
    return EmbedItem(name, items, alias, hint, join, is_spread)


def _column(scanner: Scanner, name: str, alias: str | None) -> ColumnItem:
    target = Field(name, read_steps(scanner))
    cast = _cast(scanner)
    aggregate = None
    if scanner.take("."):
        aggregate = scanner.word()
        if aggregate not in AGGREGATES:
            scanner.fail("aggregate function (sum, avg, count, max, min)")
        scanner.expect("()")
    return ColumnItem(target, alias, cast, aggregate, _cast(scanner) if aggregate else None)


def _cast(scanner: Scanner) -> str | None:
    if not scanner.take("::"):
        return None
    start = scanner.at
    while not scanner.at_end() and (scanner.text[scanner.at].isalnum() or scanner.text[scanner.at] in "_ []"):
        scanner.at += 1
    name = scanner.text[start : scanner.at].strip()
    if not name:
        scanner.fail("letter or digit")
    return name.lower()


def read_steps(scanner: Scanner) -> tuple[JsonStep, ...]:
    """Read `->key->>key` as far as it goes.

    Raises:
        DataError: PGRST100.
    """
    steps = []
    while scanner.take("->"):
        as_text = scanner.take(">")
        steps.append(JsonStep(_json_key(scanner), as_text))
    return tuple(steps)


def _json_key(scanner: Scanner) -> str | int:
    index = _JSON_INDEX.match(scanner.text, scanner.at)
    if index is not None:
        scanner.at = index.end()
        return int(index[0])
    if scanner.peek('"'):
        return scanner.quoted()
    text, start = scanner.text, scanner.at
    while not scanner.at_end() and text[scanner.at] not in _JSON_STOPS and not text.startswith("->", scanner.at):
        scanner.at += 1
    if scanner.at == start:
        scanner.fail('"-", digit or any non reserved character different from: .,>()')
    return text[start : scanner.at]


def parse_order(text: str) -> tuple[OrderTerm, ...]:
    """Read the value of `order`.

    >>> parse_order("year.desc.nullslast,title")[0]
    OrderTerm(field=Field(name='year', steps=()), relation=None, is_descending=True, nulls_first=False)
    >>> parse_order("directors(name).asc")[0].relation
    'directors'
    >>> parse_order("id.asc.nullslasttt")
    Traceback (most recent call last):
    ...
    portero.errors.DataError: PGRST100: "failed to parse order (id.asc.nullslasttt)" (line 1, column 17)

    Raises:
        DataError: PGRST100.
    """
    scanner = Scanner(text, "order")
    if scanner.at_end():
        return ()
    terms = [_order_term(scanner)]
    while scanner.take(","):
        terms.append(_order_term(scanner))
    return tuple(terms)


def _order_term(scanner: Scanner) -> OrderTerm:
    scanner.skip_blanks()
    name, relation = scanner.name(), None
    if scanner.take("("):
        relation, name = name, scanner.name()
    target = Field(name, read_steps(scanner))
    if relation is not None:
        scanner.expect(")")
    goes_on = 'delimiter (.), "," or end of input'
    direction = nulls = _word_after_dot(scanner, ("asc", "desc", "nullsfirst", "nullslast"))
    if direction in ("asc", "desc"):
        nulls = _word_after_dot(scanner, ("nullsfirst", "nullslast"))
    if nulls in ("nullsfirst", "nullslast"):
        goes_on = '"," or end of input'
    scanner.skip_blanks()
    if not scanner.at_end() and not scanner.peek(","):
        scanner.refuse(f"'{scanner.text[scanner.at]}'", goes_on)
    return OrderTerm(target, relation, direction == "desc", nulls == "nullsfirst" if nulls is not None else None)


def _word_after_dot(scanner: Scanner, words: Sequence[str]) -> str | None:
    """Read a dot and one of these words; None if there is no dot."""
    if not scanner.take("."):
        return None
    for word in words:
        if scanner.take(word):
            return word
    rest = scanner.text[scanner.at :]
    odd = next((rest[at : at + 1] for at, mark in enumerate(words[0]) if rest[at : at + 1] != mark), "")
    quoted = [f'"{word}"' for word in words]
    return scanner.refuse(f'"{odd}"' if odd else "end of input", f"{', '.join(quoted[:-1])} or {quoted[-1]}")
