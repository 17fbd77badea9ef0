"""Reads that differ in the values of plain comparisons only share one template: read, planned and written once.

`id=eq.1` and `id=eq.2` are one request to everything but the database. The query is cut at such values, and what is
left of it is the key. Whether a value is one is not guessed: the query is read with marks in place of its values, and
has a template only if the parser made each mark one value and nothing else. It asks no database and knows no models.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import quote

from portero.data.answer import VARY
from portero.data.execute import CompiledRead, Headers, PreparedRead, fill
from portero.data.nodes import DataRequest, HttpRequest, Media
from portero.data.request import decode, read_request
from portero.errors import DataError
from portero.records import dataclass
from portero.settings import Settings

#: A comparison with one value. What else looks like one, the parser refuses or reads as something else.
_COMPARED: Final = re.compile(r"((?:^|&)[^=&]*=(?:not\.)?(?:n?eq|[gl]te?)\.)([^&]*)")
#: Stands for a value. Nobody can send one: each process has its own.
_MARK: Final = f"v{secrets.token_hex(8)}-{{}}-"
_MARKS: Final = re.compile(_MARK.format("([0-9]+)"))
#: What may stand in a query as it is (RFC 3986 §3.4), and the percent sign of what is encoded already.
_QUERY_MARKS: Final = "!$&'()*+,;=:@/?%-._~"


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A read without the values of its comparisons.

    Attributes:
        values: of all slots; those of the comparisons are marks.
        places: the slots of the comparisons, in their order in the query.
        location: the texts of `Content-Location` around the values.
        order: which comparison's value follows each of these texts but the last.
        headers: the other ones that the request alone decides, but for `Vary`.
    """

    compiled: CompiledRead
    media: Media
    is_row: bool
    values: tuple[str, ...]
    places: tuple[int, ...]
    location: tuple[str, ...]
    order: tuple[int, ...]
    headers: Headers

    def filled(self, compared: Sequence[str], decoded: Sequence[str]) -> PreparedRead:
        """Put the values in place.

        Args:
            compared: the values as they stand in the query.
            decoded: the same, decoded.

        Raises:
            DataError: 22P02, 22003, 22007, 22008 and the like: a value that is none of its column's type.
        """
        values = list(self.values)
        for place, value in zip(self.places, decoded, strict=True):
            values[place] = value
        location = self.location[0]
        for number, text in zip(self.order, self.location[1:], strict=True):
            location += quote(compared[number], safe=_QUERY_MARKS) + text
        compiled = self.compiled
        estimate = None if compiled.estimate is None else fill(compiled.estimate, values)
        headers = (VARY, ("Content-Location", location), *self.headers)
        return PreparedRead(fill(compiled, values), self.media, headers, estimate, self.is_row)


def cut(query: str) -> tuple[tuple[str, ...], list[str]]:
    """Cut a query at the values of its comparisons.

    >>> cut("select=id&id=eq.7&age=not.lt.18&order=id")
    (('select=id', '&id=eq.', '', '&age=not.lt.', '&order=id'), ['7', '18'])

    Returns:
        What is left, and the values.
    """
    parts = _COMPARED.split(query)
    compared = parts[2::3]
    del parts[2::3]
    return tuple(parts), compared


def decoded_all(compared: Sequence[str]) -> list[str] | None:
    """Decode the values; None if one is refused: the request is refused as a whole then."""
    with suppress(DataError):
        return list(map(decode, compared))
    return None


def marked(http: HttpRequest, texts: Sequence[str]) -> HttpRequest:
    """Give the request with marks in place of its values; `texts` is what `cut` left of its query."""
    parts = [texts[0]]
    for number in range(len(texts) // 2):
        parts += (texts[2 * number + 1], _MARK.format(number), texts[2 * number + 2])
    return http._replace(query="".join(parts))


def read_marked(http: HttpRequest, settings: Settings) -> DataRequest | None:
    """Read a request with marks; None if it is refused: read with its values it says what is wrong with it."""
    with suppress(DataError):
        return read_request(http, settings)
    return None


def has_marks(request: DataRequest, count: int) -> bool:
    """Say whether each of so many marks was read as a value, and so, standing in the query once, as nothing else."""
    return all(request.values.count(_MARK.format(number)) == 1 for number in range(count))


def template_of(
    request: DataRequest, compiled: CompiledRead, location: str, headers: Headers, *, is_row: bool
) -> Template:
    """Make the template of a request.

    Args:
        request: one that `has_marks`.
        compiled: its statement.
        location: its `Content-Location`.
        headers: as of `Template`.
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
        headers=headers,
    )


def location_of(http: HttpRequest) -> str:
    """Give the `Content-Location`: the parameters by their names, each with its `=`."""
    path = quote(http.path)
    if not http.query:
        return path
    parts = [part if "=" in part else f"{part}=" for part in http.query.split("&") if part]
    query = "&".join(sorted(parts, key=lambda part: part.partition("=")[0]))
    return f"{path}?{quote(query, safe=_QUERY_MARKS)}"
