"""The JSON answers of `/auth/v1`: what is in them is known to be fit, so nothing of it is looked at twice.

Flask copies the headers of an answer, checks each of them twice and wraps the body; here they are handed over as they
are. What every answer carries joins at the very end, unless the application has said the same header itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from flask import Response
from werkzeug.datastructures import Headers as WerkzeugHeaders

_JSON: Final = "application/json; charset=utf-8"
Headers = tuple[tuple[str, str], ...]


class _Pairs(WerkzeugHeaders):
    """Headers that are looked at once, all together: nothing in one of them begins another."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._list = list(pairs)
        text = "".join([part for pair in self._list for part in pair])
        if "\n" in text or "\r" in text:
            raise ValueError("a header has one line")


class OwnAnswer(Response):
    """An answer whose body is JSON, or that has none.

    Attributes:
        carried: the headers that every answer carries.
    """

    default_mimetype = None
    carried: Headers = ()

    def as_made(self, carried: Headers) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Give body, status and headers of an answer that nobody has seen yet, which says none of those it carries."""
        body: Any = self.response
        return body, self.status, [*self.headers, *carried]

    def get_wsgi_response(self, environ: Any) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Give body, status and headers for the server."""
        body, headers = self.response, [*self.headers]
        if (
            self._on_close
            or type(body) is not list
            or not self.status.startswith("200 " if body else "204 ")
            or environ["REQUEST_METHOD"] == "HEAD"
        ):
            # Somebody changed it, or it goes without its body: as Flask does it.
            body, _, headers = super().get_wsgi_response(environ)
        there = {name.lower() for name, _ in headers}
        headers += [pair for pair in self.carried if pair[0].lower() not in there]
        return body, self.status, headers


def as_json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> OwnAnswer:
    """Make an answer; instants become UTC with Z, ids their canonical form.

    >>> from datetime import UTC, datetime
    >>> as_json({"at": datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)}).data
    b'{"at":"2026-01-02T03:04:05.000600Z"}'
    """
    data = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    fixed = [("Content-Type", _JSON), ("Content-Length", str(len(data)))]
    return OwnAnswer([data], status, _Pairs([*fixed, *headers.items()] if headers else fixed))


def without_body(status: int = 204, headers: Mapping[str, str] | None = None) -> OwnAnswer:
    """Make an answer that has no body, and so no media type."""
    return OwnAnswer([], status, _Pairs(headers.items() if headers else ()))
