"""The JSON bodies of `/auth/v1`, read strictly (auth.md §1.0; threats CR-24, CR-25, HT-01, HT-04, HT-09).

Unknown members are ignored, null is absent, a wrong type is 400 `bad_json`. It never reads multipart, and a
form of our own pages only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, UnsupportedMediaType

from portero import strict_json
from portero.errors import AuthError
from portero.records import dataclass

#: Bytes; the longest password and a page of metadata fit.
LARGEST: Final = 16 * 1024
_LENGTH: Final = re.compile(r"[0-9]{1,5}")
_SMALLEST_INTEGER: Final = -(2**63)
_LARGEST_INTEGER: Final = 2**63 - 1
_PREFIX: Final = "Could not parse request body as JSON: "


@dataclass(frozen=True, slots=True)
class Body:
    """A request's JSON object, and typed ways to its members."""

    members: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        """Return a text, or None if it is absent or null.

        Raises:
            AuthError: 400 bad_json.
        """
        value = self.members.get(name)
        if value is None or isinstance(value, str):
            return value
        raise bad_json(f"{name} must be a string")

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a truth value, or the default if it is absent or null.

        Raises:
            AuthError: 400 bad_json.
        """
        value = self.members.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        raise bad_json(f"{name} must be true or false")

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        """Return an object that a database can store, or None if it is absent or null.

        Raises:
            AuthError: 400 bad_json.
        """
        value = self.members.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise bad_json(f"{name} must be an object")
        if not _is_storable(value):
            raise bad_json(f"{name} holds a NUL character or a number of more than 64 bits")
        return value


def read(request: Request) -> Body:
    """Read a request's body.

    Raises:
        AuthError: 400 bad_json.
        RequestEntityTooLarge: over 16 KiB, counted while reading.
        UnsupportedMediaType: a compressed body.
    """
    raw = _raw(request)
    if not raw.strip():
        raise bad_json("the body is empty")
    return _parsed(raw)


def read_optional(request: Request) -> Body:
    """Read a request's body where it may be left out: none is an empty object. It raises what `read` raises."""
    raw = _raw(request)
    return _parsed(raw) if raw.strip() else Body({})


def form(request: Request) -> MultiDict[str, str]:
    """Read the form of one of our own pages.

    Raises:
        RequestEntityTooLarge: over 16 KiB.
    """
    _counted(request)
    return request.form


def bad_json(why: str) -> AuthError:
    """Return 400 `bad_json` with the sentence clients know."""
    return AuthError(400, "bad_json", _PREFIX + why)


def _raw(request: Request) -> bytes:
    environ = request.environ
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise UnsupportedMediaType
    length = environ.get("CONTENT_LENGTH") or ""
    if _LENGTH.fullmatch(length) and int(length) <= LARGEST and _is_untouched(request):
        return _read(environ["wsgi.input"], int(length))
    # What has no plain length, or was looked at by the application: Flask counts, and keeps what it read.
    return _counted(request)


def _counted(request: Request) -> bytes:
    """Read a body of any length; of one that does not tell its own, Werkzeug drops the rest in silence."""
    request.max_content_length = LARGEST + 1
    raw = request.get_data()
    if len(raw) > LARGEST:
        raise RequestEntityTooLarge
    return raw


def _is_untouched(request: Request) -> bool:
    """Whether a body that comes in one piece was read by nobody yet."""
    return "stream" not in vars(request) and "HTTP_TRANSFER_ENCODING" not in request.environ


def _read(stream: Any, length: int) -> bytes:
    parts, left = [], length
    while left:
        part = stream.read(left)
        if not part:
            raise ClientDisconnected
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _parsed(raw: bytes) -> Body:
    try:
        value = strict_json.parse(raw)
    except ValueError as error:
        raise bad_json(str(error)) from None
    if not isinstance(value, dict):
        raise bad_json("an object is wanted")
    return Body(value)


def _is_storable(value: Any) -> bool:
    """Tell whether PostgreSQL's jsonb can hold a value and every reader read it; alike on both databases."""
    if isinstance(value, str):
        return "\0" not in value
    if isinstance(value, int):
        return _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER
    if isinstance(value, dict):
        return all(_is_storable(name) and _is_storable(member) for name, member in value.items())
    if isinstance(value, list):
        return all(_is_storable(member) for member in value)
    return True
