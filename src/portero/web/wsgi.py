"""The data mount: a WSGI callable in front of Flask that serves the data API.

In order: path prefix, preflight, token, body, pipeline, answer. A bad token never takes a database connection, and
OPTIONS never touches the database. What is not below the prefix goes to the next application untouched. Nothing of an
unexpected fault leaves the process but 500 and a code.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from portero.data.answer import error_answer
from portero.data.nodes import DataAnswer, HttpRequest
from portero.data.request import WRITE_METHODS
from portero.data.scanner import syntax_error
from portero.data.timing import Stopwatch
from portero.errors import AuthError, DatabaseUnavailable, DataError, InvalidToken, TooBusy
from portero.figures import kept
from portero.identity.addresses import network_of
from portero.records import new_tuple
from portero.settings import Settings
from portero.store.types import second_of
from portero.web import try_page
from portero.web.caller import caller_of
from portero.web.cors import answer_headers, preflight_headers
from portero.web.guard import principal_of
from portero.web.headers import security_headers
from portero.web.problems import data_error_of
from portero.web.runtime import Runtime

LOG = logging.getLogger("portero.data")

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_REASONS: Final = {
    200: "200 OK",
    201: "201 Created",
    204: "204 No Content",
    206: "206 Partial Content",
    300: "300 Multiple Choices",
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    406: "406 Not Acceptable",
    409: "409 Conflict",
    411: "411 Length Required",
    412: "412 Precondition Failed",
    413: "413 Content Too Large",
    415: "415 Unsupported Media Type",
    416: "416 Range Not Satisfiable",
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}
_CHUNK: Final = 64 * 1024
#: Of a read: Content-Profile, Content-Type, body, If-Match.
_NOTHING_WRITTEN: Final = ("", "", b"", "")
#: Types of which a part is a whole, too; of JSON none is.
_ENDLESS: Final = frozenset({"text/csv", "application/x-www-form-urlencoded"})
_TRACE: Final = re.compile(r"[!-~]{1,200}")


class DataMount:
    """Serves the data API below `path`; everything else goes to `next_app`.

    Args:
        next_app: the application behind, usually Flask's `wsgi_app`.
        runtime_of: gives the runtime; called per request, so that the first one can freeze the application.
        path: the prefix, such as `/rest/v1`.
    """

    def __init__(self, next_app: Application, runtime_of: Callable[[], Runtime], path: str) -> None:
        self.next_app = next_app
        self.runtime_of = runtime_of
        self.path = path.rstrip("/")
        self._below = self.path + "/"
        self._start = len(self.path)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path: str = environ.get("PATH_INFO", "")
        if not path.startswith(self._below) and path != self.path:
            return self.next_app(environ, start_response)
        answer = respond(environ, self.runtime_of(), path[self._start :])
        status, headers, body = answer.status, answer.headers, answer.body
        if environ["REQUEST_METHOD"] == "HEAD":
            body = b""
        elif status != 204:
            headers.append(("Content-Length", str(len(body))))
        start_response(_REASONS.get(status) or f"{status} Refused", headers)
        # A list, and nothing else that holds it: granian sends that at once, and would ask anything else for its parts.
        return [body]


def respond(environ: Mapping[str, Any], runtime: Runtime, path: str) -> DataAnswer:
    """Answer one request below the mount; refusals and faults are answers too.

    Args:
        environ: the WSGI environ.
        runtime: the application's runtime; it has a data API.
        path: what follows the prefix, as WSGI hands it over (latin-1 text of UTF-8 bytes).
    """
    settings = runtime.settings
    origin = environ.get("HTTP_ORIGIN")
    if environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
        return DataAnswer(204, [*security_headers(settings), *preflight_headers(origin, settings)])
    if settings.dev and try_page.is_wanted(environ.get("HTTP_ACCEPT", ""), environ["REQUEST_METHOD"], path, settings):
        return try_page.answer(settings)
    watch = Stopwatch() if settings.server_timing else None
    try:
        answer = _answer(environ, runtime, path, watch)
    except (DatabaseUnavailable, TooBusy) as refusal:
        LOG.warning("%s %s: %s", environ["REQUEST_METHOD"], ascii(path), refusal)
        answer = error_answer(data_error_of(refusal), settings.errors)
    except (DataError, InvalidToken, AuthError) as refusal:
        answer = error_answer(data_error_of(refusal), settings.errors)
    except Exception as fault:
        # The last resort: what nobody foresaw is logged with its trace, and says nothing to the caller.
        LOG.exception("the data API failed")
        answer = error_answer(data_error_of(fault, dev=settings.dev), settings.errors)
    answer.headers.extend(_security(settings.url))
    if origin is not None or environ["REQUEST_METHOD"] == "OPTIONS":
        answer.headers.extend(answer_headers(origin or "null", settings))
    if settings.trace_header:
        answer.headers.extend(_traced(environ, settings.trace_header))
    if watch is not None:
        watch.mark("response")
        answer.headers.append(("Server-Timing", watch.header()))
    return answer


def _traced(environ: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    """Give a request's own number back, if it is one that may stand in a header."""
    value = str(environ.get("HTTP_" + name.upper().replace("-", "_"), ""))
    return [(name, value)] if _TRACE.fullmatch(value) else []


@kept("security_headers", 8)
def _security(url: str) -> tuple[tuple[str, str], ...]:
    return tuple(security_headers(Settings(url=url)))


def _answer(environ: Mapping[str, Any], runtime: Runtime, path: str, watch: Stopwatch | None) -> DataAnswer:
    data = runtime.data
    now = time.time()
    principal = principal_of(environ, runtime, now)
    if watch is not None:
        watch.mark("jwt")
    method = environ["REQUEST_METHOD"]
    if not path.isascii():
        path = _text_of(path)
    if method == "OPTIONS":
        answer = data.describe(path, principal.role)
        if watch is not None:
            watch.mark("parse")
        return answer
    http = _request_of(environ, method, path, runtime.settings.max_body)

    def payer() -> str:
        if principal.user_id is not None:
            return str(principal.user_id)
        return network_of(caller_of(environ, runtime.settings.trusted_proxies).address)

    # Whether a session stands is asked to the second, which lets the parameter be kept.
    return data.answer(http, principal, second_of(int(now)), watch, payer)


def _request_of(environ: Mapping[str, Any], method: str, path: str, most: int) -> HttpRequest:
    get = environ.get
    query: str = get("QUERY_STRING", "")
    if not query.isascii():
        query = _query_of(query)
    written = _NOTHING_WRITTEN
    if method in WRITE_METHODS:
        body = read_body(environ, most)
        written = get("HTTP_CONTENT_PROFILE", ""), get("CONTENT_TYPE", ""), body, get("HTTP_IF_MATCH", "")
    values = (
        method,
        path,
        query,
        get("HTTP_ACCEPT", ""),
        get("HTTP_PREFER", ""),
        get("HTTP_RANGE", ""),
        get("HTTP_RANGE_UNIT", ""),
        get("HTTP_ACCEPT_PROFILE", ""),
    )
    return new_tuple(HttpRequest, values + written)


def _text_of(path: str) -> str:
    try:
        return path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise DataError(404, "PGRST125", "Invalid path specified in request URL") from None


def _query_of(query: str) -> str:
    """Read what a client did not percent-encode; as latin-1 a filter would look for another text, and find none."""
    try:
        return query.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise syntax_error("query string", "", "The query is not valid UTF-8") from None


def read_body(environ: Mapping[str, Any], most: int) -> bytes:
    """Read a request's body, counting while reading; `most` is in bytes.

    Raises:
        DataError: PGRST102: 413 too large; 415 it is compressed; 400 a length that is none, or less came than it says;
            411 none where a part could not be told from the whole.
    """
    encoding = environ.get("HTTP_CONTENT_ENCODING")
    if encoding and encoding.lower() != "identity":
        raise DataError(415, "PGRST102", "Content-Encoding is not supported")
    length = environ.get("CONTENT_LENGTH")
    if not length:
        return _read_to_the_end(environ, most)
    wanted = _size(length)
    if wanted > most:
        raise _too_large(most)
    body = _read(environ["wsgi.input"], wanted)
    if len(body) < wanted:
        # Half a CSV is a CSV: what was cut off on the way is not written.
        raise DataError(400, "PGRST102", "The request body is shorter than its Content-Length")
    return body


def _size(length: str) -> int:
    if not (length.isascii() and length.isdigit()):
        raise DataError(400, "PGRST102", "Content-Length is not a number")
    # More digits than these are too many for a size, and Python refuses to read thousands of them.
    return int(length.lstrip("0")[:18] or "0")


def _read_to_the_end(environ: Mapping[str, Any], most: int) -> bytes:
    """A body that does not say its length; without one of them there is none."""
    chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() or environ.get("wsgi.input_terminated")
    body = _read(environ["wsgi.input"], most + 1) if chunked else b""
    if len(body) > most:
        raise _too_large(most)
    if body and environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() in _ENDLESS:
        # Servers give what came before a connection broke as if it were all: half a CSV would be written.
        raise DataError(411, "PGRST102", "A body of this type has to tell its length", hint="Send Content-Length.")
    return body


def _read(stream: Any, wanted: int) -> bytes:
    part: bytes = stream.read(min(_CHUNK, wanted))
    held = len(part)
    if held == wanted:
        return part
    parts = [part]
    while part and held < wanted:
        part = stream.read(min(_CHUNK, wanted - held))
        parts.append(part)
        held += len(part)
    return b"".join(parts)


def _too_large(most: int) -> DataError:
    return DataError(413, "PGRST102", f"The request body is larger than {most} bytes")
