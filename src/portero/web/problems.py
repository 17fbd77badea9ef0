"""The one table from a refusal to status and body, for `/auth/v1` (auth.md §3) and `/rest/v1` (data.md §4.10).

It never formats an exception's own text for a caller, except the public words of `AuthError` and `DataError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from uuid import uuid4

import orjson
from werkzeug.exceptions import HTTPException

from portero.errors import (
    AuthError,
    DatabaseUnavailable,
    DataError,
    DeadlinePassed,
    InvalidToken,
    TokenFault,
    TooBusy,
)
from portero.records import dataclass
from portero.store.driver_calls import Again

VERSION_HEADER: Final = "X-Supabase-Api-Version"
_VERSION: Final = "2024-01-01"
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_JSON: Final = ("Content-Type", "application/json; charset=utf-8")

_UNEXPECTED: Final = "Unexpected failure, please check server logs for more information"
_BUSY: Final = "The server is busy, please try again"
_ANEW: Final = "Nothing was written. Send the request again."
_LATE: Final = "Processing this request timed out, please retry after a moment."
_AHEAD: Final = "The models differ from the database: portero db revision -m …, then portero db upgrade"
#: How SQLite and PostgreSQL say it.
_MISSING: Final = re.compile(r"no such (?:column|table)|has no column named|(?:column|relation) \S+ does not exist")
_BAD_JWT: Final = "invalid JWT: unable to parse or verify signature, "

#: What an HTTP refusal of the framework is called at `/auth/v1`.
_HTTP_CODES: Final[Mapping[int, tuple[str, str]]] = {
    404: ("unknown", "404: page not found"),
    405: ("unknown", "405: method not allowed"),
    413: ("request_entity_too_large", "Request body too large"),
    415: ("validation_failed", "Content-Encoding is not supported"),
}

#: What PostgREST's protocol calls a refused token.
_DATA_TOKENS: Final[Mapping[TokenFault, tuple[str, str]]] = {
    TokenFault.EMPTY: ("PGRST301", "Empty JWT is sent in Authorization header"),
    TokenFault.PARTS: ("PGRST301", "Expected 3 parts in JWT"),
    TokenFault.KEY: ("PGRST301", "No suitable key or wrong key type"),
    TokenFault.ALGORITHM: ("PGRST301", "Wrong or unsupported encoding algorithm"),
    TokenFault.EXPIRED: ("PGRST303", "JWT expired"),
    TokenFault.NOT_YET_VALID: ("PGRST303", "JWT not yet valid"),
    TokenFault.ISSUED_IN_FUTURE: ("PGRST303", "JWT issued at future"),
    TokenFault.AUDIENCE: ("PGRST303", "JWT not in audience"),
    TokenFault.ISSUER: ("PGRST303", "JWT not issued by this server"),
    TokenFault.LIFETIME: ("PGRST303", "JWT lives too long"),
    TokenFault.CLAIM: ("PGRST303", "JWT claims are missing or of the wrong type"),
    TokenFault.KIND: ("PGRST303", "JWT of this kind is not valid here"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal ready to be sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def auth_problem(error: Exception, asked_version: str | None) -> Problem:
    """Turn any exception into the answer of `/auth/v1`.

    Args:
        error: what was raised.
        asked_version: the request's `X-Supabase-Api-Version`, which picks one of the two body forms.
    """
    refusal = auth_error_of(error)
    headers = [_JSON, ("x-sb-error-code", refusal.code), (VERSION_HEADER, _VERSION)]
    if refusal.retry_after is not None:
        headers.append(("Retry-After", str(refusal.retry_after)))
    if refusal.status == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    if refusal.code == "refresh_token_already_used":
        headers.append(("sb-auth-refresh-token-rotated", "true"))
    if isinstance(error, HTTPException):
        headers += [(name, value) for name, value in error.get_headers() if name == "Allow"]
    return Problem(refusal.status, tuple(headers), orjson.dumps(_auth_body(refusal, speaks_codes(asked_version))))


def auth_error_of(error: Exception) -> AuthError:
    """Name any exception in the words of Supabase Auth; what is not ours becomes 500 `unexpected_failure`."""
    match error:
        case AuthError():
            return error
        case InvalidToken():
            return AuthError(403, "bad_jwt", _BAD_JWT + error.fault.value)
        case DatabaseUnavailable() | TooBusy():
            return AuthError(503, "unexpected_failure", _BUSY, retry_after=error.retry_after)
        case DeadlinePassed():
            return AuthError(504, "request_timeout", _LATE)
        case HTTPException(code=int() as status) if status in _HTTP_CODES:
            code, message = _HTTP_CODES[status]
            return AuthError(status, code, message)
        case HTTPException(code=int() as status) if status < 500:
            return AuthError(status, "unknown", error.name)
        case _:
            return AuthError(500, "unexpected_failure", _UNEXPECTED)


def data_error_of(error: Exception, *, dev: bool = False) -> DataError:
    """Name any exception in the words of PostgREST; what is not ours becomes 500 with no detail.

    In development there is a hint where the database lacks a column or a table that the models have.
    """
    match error:
        case DataError():
            return error
        case InvalidToken():
            code, message = _DATA_TOKENS.get(error.fault, ("PGRST301", "JWT cryptographic operation failed"))
            challenge = f'Bearer error="invalid_token", error_description="{message}"'
            return DataError(401, code, message, headers=[("WWW-Authenticate", challenge)])
        case AuthError():
            return DataError(error.status, "PGRST301", error.message, headers=_retry(error.retry_after))
        case DatabaseUnavailable() | TooBusy():
            hint = _ANEW if isinstance(error, Again) else None
            return DataError(503, "PGRST000", _BUSY, hint=hint, headers=_retry(error.retry_after))
        case _:
            hint = _AHEAD if dev and _MISSING.search(str(error)) else None
            return DataError(500, "XX000", "Internal error", hint=hint)


def speaks_codes(asked_version: str | None) -> bool:
    """Tell whether a client asked for the body form of 2024-01-01 (auth.md §3.1).

    >>> speaks_codes("2024-01-01"), speaks_codes("2023-12-31"), speaks_codes("soon"), speaks_codes(None)
    (True, False, False, False)
    """
    if asked_version is None or _DATE.fullmatch(asked_version) is None:
        return False
    try:
        date.fromisoformat(asked_version)
    except ValueError:
        return False
    return asked_version >= _VERSION


def _auth_body(refusal: AuthError, by_code: bool) -> dict[str, Any]:
    if by_code:
        return {"code": refusal.code, "message": refusal.message, **refusal.extra}
    body = {"code": refusal.status, "error_code": refusal.code, "msg": refusal.message, **refusal.extra}
    return {**body, "error_id": str(uuid4())} if refusal.status >= 500 else body


def _retry(seconds: int | None) -> list[tuple[str, str]]:
    return [] if seconds is None else [("Retry-After", str(seconds))]
