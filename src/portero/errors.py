"""Every refusal the product can give; imports nothing, never formats HTTP, never holds a secret.

::

    PorteroError
    ├── ConfigurationError      the process refuses to start; the sentence says what to do
    ├── InvalidToken            a token was refused (`fault` is one of `TokenFault`); nothing of it may be believed
    ├── AuthError               a refusal in the words of Supabase Auth (contract auth.md §3)
    ├── Refused                 a developer's hook refuses the operation; its sentence is for the caller
    ├── DataError               a refusal in the words of PostgREST (contract data.md §4.10)
    ├── DatabaseUnavailable     the database cannot be asked now; the edge answers 503 with Retry-After
    ├── TooBusy                 more is being done already than this machine should do; likewise 503
    └── DeadlinePassed          the request took longer than one may; 504

The public words (`message`, `details`, `hint`) go to the caller. The private cause is the exception's `__cause__`:
it is logged, and never sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any


class PorteroError(Exception):
    """The root of every refusal; never raised itself."""


class ConfigurationError(PorteroError):
    """The application is configured in a way that Portero refuses to start with."""


class DatabaseUnavailable(PorteroError):
    """The database could not be reached or is too busy; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooBusy(PorteroError):
    """More is being done already than this machine should do at one time; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlinePassed(PorteroError):
    """A request took longer than one may; what it had not begun by then is not done."""

    def __init__(self) -> None:
        super().__init__("the request took too long")


class TokenFault(StrEnum):
    """Why a token was refused. The value is a sentence for `portero token inspect` and the log, not for the wire."""

    TOO_LONG = "the token is longer than 4096 characters"
    EMPTY = "the token is empty"
    PARTS = "a JWT has three parts separated by dots"
    ENCODING = "a part is not strict base64url (RFC 7515 §2)"
    JSON = "the header or the payload is not one strict JSON object"
    HEADER = "the header holds a parameter that is not understood or has the wrong type"
    TYPE = "typ is none of JWT, at+jwt"
    ALGORITHM = "the algorithm is not the one of the key"
    KEY = "no key with this kid and algorithm is known"
    SIGNATURE = "the signature does not fit"
    EXPIRED = "the token has expired"
    NOT_YET_VALID = "the token is not valid yet"
    ISSUED_IN_FUTURE = "the token was issued in the future"
    LIFETIME = "the token lives longer than this server issues them"
    ISSUER = "iss is not this server's address (PORTERO_URL)"
    AUDIENCE = "aud is not this server's"
    CLAIM = "a claim is missing or has the wrong type"
    KIND = "a token of this kind is not valid here"


class InvalidToken(PorteroError):
    """A token was refused.

    Args:
        fault: which check failed.
        detail: more for the log (a claim's name); never a piece of the token.
    """

    def __init__(self, fault: TokenFault, detail: str = "") -> None:
        super().__init__(f"{fault.value}{f' ({detail})' if detail else ''}")
        self.fault = fault
        self.detail = detail


class AuthError(PorteroError):
    """A refusal at `/auth/v1`.

    Args:
        status: HTTP status.
        code: an error code of contract auth.md §3.5.
        message: the public sentence; client suites pin some of them.
        retry_after: seconds, sent as `Retry-After` with 429 and 503.
        extra: further members of the body (`weak_password`).
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.extra = dict(extra or {})


class Refused(PorteroError):
    """What a developer's hook raises to refuse an operation.

    Args:
        message: the sentence for the caller.
        status: HTTP status, 400 to 499, where the point leaves it open.
        end_sessions: of a tried password: end all sessions of the user.
    """

    def __init__(self, message: str, *, status: int = 403, end_sessions: bool = False) -> None:
        if not 400 <= status < 500:
            raise ValueError("a refusal has a status from 400 to 499")
        super().__init__(message)
        self.message = message
        self.status = status
        self.end_sessions = end_sessions


class DataError(PorteroError):
    """A refusal at `/rest/v1`: always the four keys code, message, details, hint (contract data.md §4.10).

    Args:
        status: HTTP status.
        code: `PGRSTnnn` or an SQLSTATE.
        message: the public sentence.
        details: text, or a list for PGRST201.
        hint: what to do, if there is something.
        headers: further answer headers (`Content-Range: */3` with PGRST103, `WWW-Authenticate` with 401).
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: str | Sequence[Mapping[str, str]] | None = None,
        hint: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = tuple(headers)
