"""Reads that differ in the values of plain comparisons only share one template: read, planned and written once.

`id=eq.1` and `id=eq.2` are one request to everything but the database. The query is cut at such values, and what is
left of it is the key. Whether a value is one is not guessed: the query is read with marks in place of its values, and
has a template only if the parser made each mark one value and nothing else. It asks no database and knows no models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

from portero.data.execute import CompiledRead, FilledRead, fill
from portero.data.nodes import DataRequest, HttpRequest, Media
from portero.data.request import decode, read_request
from portero.errors import DataError
from portero.records import dataclass, new_tuple
from portero.settings import Settings

Headers = tuple[tuple[str, str], ...]
#: A comparison with one value. What else looks like one, the parser refuses or reads as something else.
_COMPARED: Final = re.compile(r"(=(?:not\.)?(?:n?eq|[gl]te?)\.)([^&]*)")
_MARK: Final = "portero-value-{}-"
_MARKS: Final = re.compile(r"portero-value-([0-9]+)-")
#: What may stand in a query as it is (RFC 3986 §3.4), and the percent sign of what is encoded already.
_QUERY_MARKS: Final = "!$&'()*+,;=:@/?%-._~"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRead:
    """One read, ready to run for any caller of its role.

    Attributes:
        headers: those the request alone decides.
        estimate: what PostgreSQL's planner is asked for a count that need not be exact.
        is_row: it may give one whole row, which then has a version.
    """

    filled: FilledRead
    media: Media
    headers: Headers
    estimate: FilledRead | None = None
    is_row: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A read without the values of its comparisons.

    Attributes:
        values: of all slots; those of the comparisons are marks.
        places: the slots of the comparisons, in their order in the query.
        location: the texts of `Content-Location` around the values.
        order: which comparison's value follows each of these texts but the last.
        before, after: the other headers the request alone decides, around `Content-Location`.
    """

    compiled: CompiledRead
    media: Media
    is_row: bool
    values: tuple[str, ...]
    places: tuple[int, ...]
    location: tuple[str, ...]
    order: tuple[int, ...]
    before: Headers
    after: Headers

    def filled(self, compared: Sequence[str]) -> PreparedRead:
        """Put the values in place.

        Args:
            compared: the values as they stand in the query.

        Raises:
            DataError: PGRST100 a value that is not UTF-8; what the codecs refuse.
        """
        values = list(self.values)
        for place, raw in zip(self.places, compared, strict=True):
            values[place] = decode(raw)
        location = self.location[0]
        for number, text in zip(self.order, self.location[1:], strict=True):
            location += quote(compared[number], safe=_QUERY_MARKS) + text
        compiled = self.compiled
        estimate = None if compiled.estimate is None else fill(compiled.estimate, values)
        headers = (*self.before, ("Content-Location", location), *self.after)
        return PreparedRead(fill(compiled, values), self.media, headers, estimate, self.is_row)


def cut(query: str) -> tuple[tuple[str, ...], list[str]]:
    """Cut a query at the values of its comparisons.

    >>> cut("select=id&id=eq.7&age=not.lt.18&order=id")
    (('select=id&id', '=eq.', '&age', '=not.lt.', '&order=id'), ['7', '18'])

    Returns:
        What is left, and the values.
    """
    parts = _COMPARED.split(query)
    compared = parts[2::3]
    del parts[2::3]
    return tuple(parts), compared


def read_marked(head: tuple[Any, ...], texts: Sequence[str], settings: Settings) -> DataRequest | None:
    """Read the request with marks in place of its values; None if it is refused: read with them it says what is wrong.

    Args:
        head: the request without its query.
        texts: what `cut` left of its query.
        settings: the limits.
    """
    with suppress(DataError):
        return read_request(marked(head, texts), settings)
    return None


def has_marks(request: DataRequest, texts: Sequence[str]) -> bool:
    """Say whether each mark was read as one value, and so as nothing else: it stands in the query once."""
    return all(request.values.count(_MARK.format(number)) == 1 for number in range(len(texts) // 2))


def marked(head: tuple[Any, ...], texts: Sequence[str]) -> HttpRequest:
    """Give the request with marks in place of its values."""
    parts = [texts[0]]
    for number in range(len(texts) // 2):
        parts += (texts[2 * number + 1], _MARK.format(number), texts[2 * number + 2])
    return new_tuple(HttpRequest, (*head[:2], "".join(parts), *head[2:]))


def template_of(
    request: DataRequest,
    compiled: CompiledRead,
    location: str,
    before: Headers,
    after: Headers,
    *,
    is_row: bool,
) -> Template:
    """Make the template of a request that was read with marks.

    Args:
        request: one that `has_marks`.
        compiled: its statement.
        location: its `Content-Location`.
        before, after: as of `Template`.
        is_row: as of `PreparedRead`.
    """
    texts = _MARKS.split(location)
    order = tuple(map(int, texts[1::2]))
    return Template(
        compiled=compiled,
        media=request.shape.media,
        is_row=is_row,
        values=tuple(request.values),
        places=tuple(request.values.index(_MARK.format(number)) for number in range(len(order))),
        location=tuple(texts[::2]),
        order=order,
        before=before,
        after=after,
    )


def location_of(http: HttpRequest) -> str:
    """Give the `Content-Location`: the parameters by their names, each with its `=`."""
    path = quote(http.path)
    if not http.query:
        return path
    parts = [part if "=" in part else f"{part}=" for part in http.query.split("&") if part]
    query = "&".join(sorted(parts, key=lambda part: part.partition("=")[0]))
    return f"{path}?{quote(query, safe=_QUERY_MARKS)}"
