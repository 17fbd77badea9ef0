"""Sends an answer of a developer's view that is there as a whole at once, in the form that the server sends fastest.

Werkzeug copies the headers of every answer, checks each again, and wraps the body in an iterator. granian sends a list
at once; it asks anything else for its parts one after the other, from a thread of its own that waits for the
interpreter each time. What is sent is the same. An answer that is streamed, whose end somebody waits for
(`call_on_close`), that says an address, or that goes without its body, is left to Werkzeug; so is one of a class of the
developer's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from flask import Response

_BYTES: Final = {bytes}
_NO_BODY: Final = frozenset({204, 304})
#: Werkzeug makes an address of what they say.
_ADDRESSES: Final = frozenset({"location", "content-location"})


class WholeAnswer(Response):
    """Flask's own answer, which is sent at once if it can be."""

    def get_wsgi_response(self, environ: Any) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Give body, status and headers for the server."""
        body, headers, status = self.response, [*self.headers], self.status_code
        names = {name.lower() for name, _ in headers}
        if (
            type(body) is not list
            or self._on_close
            or self.direct_passthrough
            or status < 200
            or status in _NO_BODY
            or environ["REQUEST_METHOD"] == "HEAD"
            or not names.isdisjoint(_ADDRESSES)
            or set(map(type, body)) != _BYTES
        ):
            return super().get_wsgi_response(environ)
        if "content-length" not in names and self.automatically_set_content_length:
            headers.append(("Content-Length", str(sum(map(len, body)))))
        return body.copy(), self.status, headers


def sent_at_once(response: Response) -> Response:
    """Let an answer of Flask's own class be sent at once, if it can be when it is sent."""
    if type(response) is Response:
        # As Werkzeug makes one class of answer another: it may still be changed by whoever sees it next.
        response.__class__ = WholeAnswer
    return response
