"""Headers every answer of Portero carries, refusals included (threats BR-11, BR-12, BR-13)."""

from __future__ import annotations

from typing import Final

from portero.settings import Settings

#: For answers that hold nothing a page could run: JSON.
SECURITY: Final[tuple[tuple[str, str], ...]] = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
VARY: Final = "Authorization, Cookie, Origin, apikey"
_ONE_YEAR: Final = "max-age=31536000; includeSubDomains"


def security_headers(settings: Settings, *, cache_control: str = "no-store") -> list[tuple[str, str]]:
    """Return the headers for one answer; HSTS only where the public address is https.

    >>> dict(security_headers(Settings(url="https://a.example")))["Strict-Transport-Security"]
    'max-age=31536000; includeSubDomains'
    """
    headers = [*SECURITY, ("Cache-Control", cache_control), ("Vary", VARY)]
    if settings.url.startswith("https://"):
        headers.append(("Strict-Transport-Security", _ONE_YEAR))
    return headers
