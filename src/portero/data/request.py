"""From HTTP values to a `DataRequest` (contract data.md §4.1, §4.5). Pure: it knows neither models nor databases.

The query is never folded into a dict: a repeated key is two conditions. Raises DataError only.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from portero.data.filter_grammar import parse_key, parse_operation, parse_path, parse_tree
from portero.data.grammar import parse_order, parse_select
from portero.data.media import choose_media
from portero.data.nodes import (
    STAR,
    DataRequest,
    Filter,
    HttpRequest,
    Item,
    Order,
    OrderTerm,
    Page,
    Path,
    ReadShape,
)
from portero.data.prefer import parse_prefer
from portero.data.request_size import check_size
from portero.data.scanner import Scanner, syntax_error
from portero.errors import DataError
from portero.settings import Settings

READ_METHODS: Final = frozenset({"GET", "HEAD"})
WRITE_METHODS: Final = frozenset({"POST", "PATCH", "DELETE", "PUT"})
SCHEMA: Final = "public"
RESERVED: Final = frozenset({"order", "limit", "offset", "and", "or"})
_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_LONGEST_NAME = 200
_NO_LIMIT: Final = "Limit should be greater than or equal to zero."


def read_request(http: HttpRequest, settings: Settings) -> DataRequest:
    """Parse one request.

    Raises:
        DataError: PGRST100, PGRST106, PGRST107, PGRST117, PGRST122, PGRST125, PGRST103; 22023.
    """
    is_read = http.method in READ_METHODS
    if not is_read and http.method not in WRITE_METHODS:
        raise DataError(405, "PGRST117", f"Unsupported HTTP method: {http.method[:20]}")
    model = model_name(http.path)
    check_profile(http.accept_profile if is_read else http.content_profile)
    preferences = parse_prefer(http.prefer)
    media = choose_media(http.accept)
    query = _Query(settings)
    query.read(http.query)
    if http.method == "GET" and http.range and http.range_unit in ("", "items"):
        query.narrow(http.range)
    return DataRequest(
        method=http.method,
        model=model,
        shape=ReadShape(
            model=model,
            items=query.items,
            filters=tuple(query.filters),
            orders=tuple(Order(path, terms) for path, terms in query.orders.items() if terms),
            pages=query.pages(),
            count=preferences.count if is_read else None,
            zone=preferences.timezone,
            media=media,
        ),
        values=tuple(query.values),
        preferences=preferences,
        columns=query.columns,
        on_conflict=query.on_conflict,
        content_type=http.content_type,
        body=http.body,
        if_match=http.if_match,
    )


def model_name(path: str) -> str:
    """Take the table's name off the path.

    >>> model_name("/films"), model_name("/Film Titles/")
    ('films', 'Film Titles')

    Raises:
        DataError: PGRST126 (404) the root; PGRST202 (404) a function; PGRST125 (404) a deeper path.
    """
    parts = path.strip("/").split("/")
    if parts == [""]:
        raise DataError(404, "PGRST126", "Root endpoint metadata is disabled")
    if parts[0] == "rpc" and len(parts) == 2:
        message = f"Could not find the function {SCHEMA}.{parts[1][:_LONGEST_NAME]} in the schema cache"
        raise DataError(404, "PGRST202", message)
    if len(parts) > 1:
        raise DataError(404, "PGRST125", "Invalid path specified in request URL")
    return parts[0]


def check_profile(name: str) -> None:
    """Accept the one schema there is; supabase-py names it with every request.

    Raises:
        DataError: PGRST106 (406).
    """
    if name not in ("", SCHEMA):
        hint = f"Only the following schemas are exposed: {SCHEMA}"
        raise DataError(406, "PGRST106", f"Invalid schema: {name[:_LONGEST_NAME]}", hint=hint)


def decode(text: str) -> str:
    """Decode percent signs and plus of a query part, strictly.

    >>> decode("Full%20Title+x%2B")
    'Full Title x+'

    Raises:
        DataError: PGRST100: not UTF-8, or a NUL, which no text column can hold.
    """
    if "+" in text:
        text = text.replace("+", " ")
    try:
        decoded = unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8") if "%" in text else text
        decoded.encode("utf-8")
    except UnicodeError:
        raise syntax_error("query string", "", "The query is not valid UTF-8") from None
    if "\0" in decoded:
        raise syntax_error("query string", "", "A NUL character is not text")
    return decoded


class _Query:
    """What the parameters said so far."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.items: tuple[Item, ...] = STAR
        self.filters: list[Filter] = []
        self.orders: dict[Path, tuple[OrderTerm, ...]] = {}
        self.limits: dict[Path, int] = {}
        self.offsets: dict[Path, int] = {}
        self.values: list[str] = []
        self.columns: tuple[str, ...] | None = None
        self.on_conflict: tuple[str, ...] | None = None

    def read(self, query: str) -> None:
        """Read every parameter, in order."""
        for part in query.split("&") if query else ():
            name, equals, value = part.partition("=")
            if equals:
                self.parameter(decode(name), decode(value))
        check_size(self.items, self.filters, tuple(self.orders.values()), self.settings)

    def parameter(self, name: str, value: str) -> None:
        """Read one parameter."""
        if name == "select":
            self.items = parse_select(value, max_depth=self.settings.max_embed_depth)
        elif name == "columns":
            self.columns = _names(value, "columns parameter")
        elif name == "on_conflict":
            self.on_conflict = _names(value, "on_conflict parameter")
        elif name.rpartition(".")[2] in RESERVED:
            self.reserved(name, value)
        elif value:
            path, field = parse_key(name)
            self.filters.append(Filter(path, parse_operation(field, value, self.values)))

    def reserved(self, name: str, value: str) -> None:
        """Read `order`, `limit`, `offset`, `and`, `or`, each with the embeds before it."""
        before, _, word = name.rpartition(".")
        if word in ("and", "or"):
            is_negated = before == "not" or before.endswith(".not")
            path = parse_path(before.removesuffix("not").removesuffix(".") if is_negated else before)
            deepest = self.settings.max_tree_depth
            self.filters.append(Filter(path, parse_tree(word, is_negated, value, self.values, deepest)))
        elif word == "order":
            self.orders[parse_path(before)] = parse_order(value)
        elif value:
            slots = self.limits if word == "limit" else self.offsets
            slots[parse_path(before)] = len(self.values)
            self.values.append(value)

    def narrow(self, text: str) -> None:
        """Cut the page at the top down to a `Range` header; a form that is none is ignored (RFC 9110 §14.2)."""
        found = _RANGE.fullmatch(text.strip().removeprefix("items="))
        if found is None:
            return
        first, last = int(found[1]), None if found[2] is None else int(found[2])
        if last is not None and last < first:
            raise bad_range("The lower boundary must be lower than or equal to the upper boundary in the Range header.")
        offset = max(first, read_offset(self.values[self.offsets[()]]) if () in self.offsets else 0)
        ends = [] if last is None else [last + 1]
        if () in self.limits:
            start = read_offset(self.values[self.offsets[()]]) if () in self.offsets else 0
            limit = read_limit(self.values[self.limits[()]])
            if limit and (start + limit <= offset or (ends and ends[0] <= offset)):
                raise bad_range(_NO_LIMIT)  # the page and the range have no row in common
            ends.append(start + limit)
        self.offsets[()] = len(self.values)
        self.values.append(str(offset))
        if ends:
            self.limits[()] = len(self.values)
            self.values.append(str(max(0, min(ends) - offset)))

    def pages(self) -> tuple[Page, ...]:
        """Give the windows, each path once."""
        paths = dict.fromkeys((*self.limits, *self.offsets))
        return tuple(Page(path, self.limits.get(path), self.offsets.get(path)) for path in paths)


def bad_range(details: str, *, total: int | None = None) -> DataError:
    """Make the PGRST103 refusal (416)."""
    headers = (("Content-Range", f"*/{'*' if total is None else total}"),)
    return DataError(416, "PGRST103", "Requested range not satisfiable", details=details, headers=headers)


def read_limit(text: str) -> int:
    """Read a limit.

    Raises:
        DataError: PGRST100 not a whole number; PGRST103 (416) negative.
    """
    if not _NUMBER.fullmatch(text):
        raise syntax_error("limit", text, "a whole number is wanted")
    if (limit := int(text)) < 0:
        raise bad_range(_NO_LIMIT)
    return limit


def limit_up_to(most: int) -> Callable[[str], int]:
    """Give what reads a limit and takes it for `most` if it is more; it raises what `read_limit` does."""
    return lambda text: min(read_limit(text), most)


def read_offset(text: str) -> int:
    """Read an offset; a negative one is ignored, as PostgREST does.

    Raises:
        DataError: PGRST100 not a whole number.
    """
    if not _NUMBER.fullmatch(text):
        raise syntax_error("offset", text, "a whole number is wanted")
    return max(0, int(text))


def _names(text: str, what: str) -> tuple[str, ...]:
    """Read `columns` or `on_conflict`; blank text is the empty list that supabase-py sends with no rows."""
    if not text.strip():
        return ()
    scanner = Scanner(text, what)
    found: list[str] = []
    while not found or scanner.take(","):
        scanner.skip_blanks()
        found.append(scanner.name())
        scanner.skip_blanks()
    if not scanner.at_end():
        scanner.fail('"," or end of input')
    return tuple(found)
