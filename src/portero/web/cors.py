"""Cross-origin answers (contract auth.md §1.0): any origin or a list, never with credentials."""

from __future__ import annotations

from typing import Final

from portero.settings import Settings

METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
ALLOWED_HEADERS: Final = ", ".join(
    (
        "Accept",
        "Accept-Profile",
        "apikey",
        "Authorization",
        "baggage",
        "Content-Profile",
        "Content-Type",
        "If-Match",
        "Prefer",
        "Range",
        "Range-Unit",
        "traceparent",
        "tracestate",
        "X-Client-Info",
        "X-Client-IP",
        "X-JWT-AUD",
        "x-retry-count",
        "X-Supabase-Api-Version",
        "x-use-cookie",
    )
)
#: Browsers hide all other headers from a script. Without X-Supabase-Api-Version supabase-js loses every error code.
EXPOSED_HEADERS: Final = ", ".join(
    (
        "Content-Location",
        "Content-Profile",
        "Content-Range",
        "ETag",
        "Link",
        "Location",
        "Preference-Applied",
        "Range-Unit",
        "Retry-After",
        "Server-Timing",
        "WWW-Authenticate",
        "X-Supabase-Api-Version",
        "x-sb-error-code",
        "X-Total-Count",
    )
)
_PREFLIGHT_AGE: Final = "7200"


def answer_headers(origin: str | None, settings: Settings) -> list[tuple[str, str]]:
    """Return the headers an ordinary answer to a page of `origin` carries; none for a foreign one.

    >>> answer_headers("https://a.example", Settings())[0]
    ('Access-Control-Allow-Origin', '*')
    >>> answer_headers("https://evil.example", Settings(cors_origins=("https://a.example",)))
    []
    """
    if origin is None:
        return []
    if "*" in settings.cors_origins:
        allowed = "*"
    elif origin in settings.cors_origins and origin != "null":
        allowed = origin
    else:
        return []
    return [("Access-Control-Allow-Origin", allowed), ("Access-Control-Expose-Headers", EXPOSED_HEADERS)]


def preflight_headers(origin: str | None, settings: Settings) -> list[tuple[str, str]]:
    """Return the headers of the answer to an OPTIONS request; it is answered 204 without asking the database."""
    allowed = answer_headers(origin, settings)
    if not allowed:
        return []
    return [
        allowed[0],
        ("Access-Control-Allow-Methods", METHODS),
        ("Access-Control-Allow-Headers", ALLOWED_HEADERS),
        ("Access-Control-Max-Age", _PREFLIGHT_AGE),
    ]
