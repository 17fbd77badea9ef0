"""The request's tree: what a caller asks of the data API, as frozen nodes (contract data.md §4.2–4.6).

The tree is a *shape*: hashable, and free of every value of the request. A value (the text after `eq.`, a limit) stands
in a list beside it, and the node holds its place there, its *slot*. So requests that differ only in values share one
shape, and plans are cached by (shape, role). Nothing here knows models, databases or HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Literal, NamedTuple

from portero.records import dataclass

JoinKind = Literal["left", "inner"]
Path = tuple[str, ...]
"""Names of embeds from the top down; the empty tuple is the top itself."""


@dataclass(frozen=True, slots=True)
class JsonStep:
    """One `->key` or `->>key`; `key` is an int for an array index, `as_text` says which arrow."""

    key: str | int
    as_text: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or a place inside its JSON document."""

    name: str
    steps: tuple[JsonStep, ...] = ()


@dataclass(frozen=True, slots=True)
class StarItem:
    """`*`: every readable column."""


@dataclass(frozen=True, slots=True)
class ColumnItem:
    """`alias:field::cast.aggregate()::aggregate_cast`; the bare `count()` has the field `*`."""

    field: Field
    alias: str | None = None
    cast: str | None = None
    aggregate: str | None = None
    aggregate_cast: str | None = None


@dataclass(frozen=True, slots=True)
class EmbedItem:
    """`alias:name!hint!inner(items)`, or `...name(items)` when `is_spread`."""

    name: str
    items: tuple[Item, ...]
    alias: str | None = None
    hint: str | None = None
    join: JoinKind = "left"
    is_spread: bool = False

    @property
    def key(self) -> str:
        """The name under which filters and orders reach it, and its key in the answer."""
        return self.alias or self.name


Item = StarItem | ColumnItem | EmbedItem
STAR = (StarItem(),)


@dataclass(frozen=True, slots=True)
class Condition:
    """`field=not.operator(modifier).value`.

    Attributes:
        operator: as on the wire (`eq`, `in`, `is`, `fts` …).
        slot: place of the value in the list of values; None for `is`, whose word belongs to the shape.
        modifier: `any` or `all`, or the language of a full-text search, or None.
        word: the word after `is.`, in lower case.
    """

    field: Field
    operator: str
    slot: int | None
    is_negated: bool = False
    modifier: str | None = None
    word: str | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """`and(…)` or `or(…)`."""

    joiner: Literal["and", "or"]
    operands: tuple[Expression, ...]
    is_negated: bool = False


Expression = Condition | Tree


@dataclass(frozen=True, slots=True)
class Filter:
    """An expression on the rows at `path`."""

    path: Path
    expression: Expression


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """`field.desc.nullslast`; `relation` is set for `relation(field)`, the order of parents by a to-one child."""

    field: Field
    relation: str | None = None
    is_descending: bool = False
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """The order of the rows at `path`."""

    path: Path
    terms: tuple[OrderTerm, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The window of the rows at `path`; slots of limit and offset."""

    path: Path
    limit: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """What the body looks like. `name` is the media type that the answer carries."""

    kind: Literal["array", "object", "csv"] = "array"
    nulls_stripped: bool = False
    name: str = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ReadShape:
    """Everything of a read but its values and its caller.

    Attributes:
        count: the number of rows wanted beside the page: `exact`, `planned`, `estimated`, or None.
        zone: the time zone in which instants are shown, or None for UTC.
        is_keyed: rows are picked by primary keys in the slot `KEYS` and come in that order (the read after a write).
    """

    model: str
    items: tuple[Item, ...] = STAR
    filters: tuple[Filter, ...] = ()
    orders: tuple[Order, ...] = ()
    pages: tuple[Page, ...] = ()
    count: str | None = None
    zone: str | None = None
    is_keyed: bool = False
    media: Media = Media()
    _hash: int = field(default=0, init=False, repr=False, compare=False)
    _keyed: ReadShape | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Shapes are keys of caches: the tree is walked once, not at each look-up.
        parts = (self.model, self.items, self.filters, self.orders, self.pages, self.count, self.zone, self.is_keyed)
        object.__setattr__(self, "_hash", hash((*parts, self.media)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def keyed(self) -> ReadShape:
        """The read of rows by their keys after a write of this shape: without what picked the rows of the write.

        Their order, and what concerns embeds, stays. It is made once, and lives as long as the shape.
        """
        if self._keyed is None:
            filters = tuple(one for one in self.filters if one.path)
            pages = tuple(one for one in self.pages if one.path)
            made = replace(self, filters=filters, pages=pages, count=None, is_keyed=True)
            object.__setattr__(self, "_keyed", made)
            return made
        return self._keyed


@dataclass(frozen=True, slots=True)
class Preferences:
    """The `Prefer` headers of a request; None where nothing was said.

    Attributes:
        returns: `minimal`, `headers-only`, `representation`.
        unknown: tokens that nobody here knows, in order.
    """

    returns: str | None = None
    count: str | None = None
    resolution: str | None = None
    missing: str | None = None
    handling: str | None = None
    transaction: str | None = None
    timezone: str | None = None
    max_affected: int | None = None
    unknown: tuple[str, ...] = ()


class HttpRequest(NamedTuple):
    """What the data API reads of an HTTP request; every header it looks at is here, and no other.

    It is the key of the cache of requests, hence a tuple: made and hashed in C. What many writes of a kind do not share
    stands last, here and in what is made of it: the body, and the versions.

    Attributes:
        path: decoded, below the mount, with its leading slash: `/notes`.
        query: the raw query string.
        prefer: all `Prefer` headers, joined by `, `.
        body: empty for reads.
        if_match: of a write.
    """

    method: str
    path: str
    query: str = ""
    accept: str = ""
    prefer: str = ""
    range: str = ""
    range_unit: str = ""
    accept_profile: str = ""
    content_profile: str = ""
    content_type: str = ""
    body: bytes = b""
    if_match: str = ""


class DataRequest(NamedTuple):
    """One parsed request.

    Attributes:
        shape: select, filters, orders and pages; of a write its filters with an empty path are the rows to change.
        values: the raw text of every slot.
        columns: the names in `columns=`, or None without it.
        on_conflict: the names in `on_conflict=`, or None without it.
        if_match: the versions of the row that a write may meet; empty for any.
    """

    method: str
    model: str
    shape: ReadShape
    values: Sequence[str]
    preferences: Preferences
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    content_type: str = ""
    body: bytes = b""
    if_match: str = ""

    def __repr__(self) -> str:
        return f"<DataRequest {self.method} {self.model}>"


class DataAnswer(NamedTuple):
    """What goes out. `headers` are complete but for what the edge adds to every answer (CORS, nosniff)."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
