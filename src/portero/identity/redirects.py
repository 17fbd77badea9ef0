"""Where a link may lead in the end: the site's own address, this machine, or what the settings list (auth.md §4.5).

An address is taken apart strictly first; what browsers and parsers read differently is never good (threats BR-10).
Pure: nothing is looked up.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode

from portero.errors import AuthError
from portero.figures import kept
from portero.records import dataclass
from portero.settings import LOOPBACK, Settings

LOG: Final = logging.getLogger("portero.redirects")

_LONGEST: Final = 2048
#: No backslash, no blank, no control or foreign character: browsers drop or turn them.
_PARTS: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*)?(?:\?(?P<query>[A-Za-z0-9\-._~!$&'()*+,;=:@%/?\[\]]*))?"
    r"(?:#(?P<fragment>[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*))?",
    re.ASCII,
)
_NEVER: Final = frozenset({"javascript", "data", "vbscript", "file", "blob", "about"})
_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_FLOW_ID: Final = re.compile(r"(?<=[?&])sb_flow_id=[^&#]*&?")


@dataclass(frozen=True, slots=True)
class Address:
    """An absolute URL, taken apart; `origin` is scheme, host and port as a browser compares them."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str
    fragment: str

    @property
    def text(self) -> str:
        """The URL put together again, without its fragment."""
        port = "" if self.port in (None, _PORTS.get(self.scheme)) else f":{self.port}"
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.host}{port}{self.path}{query}"

    @property
    def source(self) -> str:
        """What a Content-Security-Policy calls it: an origin, or the scheme of an app."""
        if self.scheme not in _PORTS:
            return f"{self.scheme}:"
        port = "" if self.port in (None, _PORTS[self.scheme]) else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def parse(url: str) -> Address | None:
    r"""Take an absolute URL apart; None if it is not one that everybody reads alike.

    >>> parse("https://a.example:8443/x?y=1#z").source
    'https://a.example:8443'
    >>> [parse(bad) for bad in ("//evil", "/\\evil", "https:evil", "https://good@evil", "javascript:alert(1)")]
    [None, None, None, None, None]
    """
    found = _PARTS.fullmatch(url) if len(url) <= _LONGEST else None
    if found is None or found["scheme"] in _NEVER:
        return None
    host, port = found["host"].lower(), int(found["port"]) if found["port"] else None
    if found["scheme"] in _PORTS:
        if not host or (port is not None and not 0 < port < 65536):
            return None
        if not host.startswith("[") and (_HOST.fullmatch(host) is None or ".." in host):
            return None
        port = port or _PORTS[found["scheme"]]
    path = found["path"] or ("/" if found["scheme"] in _PORTS else "")
    return Address(found["scheme"], host, port, path, found["query"] or "", found["fragment"] or "")


def is_allowed(url: str, settings: Settings) -> bool:
    """Tell whether a link may lead to a URL.

    >>> settings = Settings(site_url="https://a.example", redirect_urls=("https://*.b.example/**", "com.app://login"))
    >>> [is_allowed(url, settings) for url in ("https://a.example/x", "https://x.b.example/y/z", "com.app://login")]
    [True, True, True]
    >>> [is_allowed(url, settings) for url in ("https://evil.example", "https://x.y.b.example/", "http://a.example/")]
    [False, False, False]
    """
    address = parse(url)
    if address is None:
        return False
    site = parse(site_url(settings))
    if site is not None and (address.scheme, address.host) == (site.scheme, site.host):
        return address.port == site.port or address.host in LOOPBACK
    if address.scheme in _PORTS:
        number = _number_of(address.host)
        if number is not None:
            return number.is_loopback
        if re.fullmatch(r"[0-9.]+|0x[0-9a-f.x]+", address.host) is not None:
            return False
        if settings.dev and address.host == "localhost":
            return True
    plain = _without_flow_id(address.text)
    return any(_glob(pattern).fullmatch(plain) is not None for pattern in settings.redirect_urls)


def site_url(settings: Settings) -> str:
    """Return where links lead if nobody says otherwise."""
    return settings.site_url or settings.url


def choose(asked: Iterable[str | None], referrer: str | None, settings: Settings) -> str:
    """Return where a link leads: the first good one of those asked for, else the page the request came from, else
    the site.

    Raises:
        AuthError: 400 validation_failed, in development only: elsewhere a bad one is dropped, with a line in the log.
    """
    for url in asked:
        if not url:
            continue
        if is_allowed(url, settings):
            return url
        LOG.warning("redirect_to %s is not in the allow list (PORTERO_REDIRECT_URLS)", ascii(url[:200]))
        if settings.dev:
            message = f"redirect_to {url[:200]} is not in the allow list; add it to PORTERO_REDIRECT_URLS"
            raise AuthError(400, "validation_failed", message)
    if referrer and is_allowed(referrer, settings):
        return referrer
    return site_url(settings)


def with_fragment(url: str, values: Mapping[str, str]) -> str:
    """Return a URL with values in the place of its fragment, sorted, and the empty `sb` that marks them as ours."""
    return f"{url.partition('#')[0]}#{urlencode(sorted({**values, 'sb': ''}.items()))}"


def with_query(url: str, values: Mapping[str, str]) -> str:
    """Return a URL with values added to its query.

    >>> with_query("https://a.example/x?y=1#z", {"code": "c"})
    'https://a.example/x?y=1&code=c#z'
    """
    rest, mark, fragment = url.partition("#")
    start, _, query = rest.partition("?")
    together = urlencode([*parse_qsl(query, keep_blank_values=True), *values.items()])
    return f"{start}?{together}{mark}{fragment}"


def link(settings: Settings, token: str, kind: str, redirect_to: str) -> str:
    """Return the link a mail holds; it begins with the configured address, whatever a request's Host says."""
    start = f"{settings.url.rstrip('/')}{settings.auth_path}/verify"
    return f"{start}?token={token}&type={kind}&redirect_to={quote(redirect_to, safe='')}"


def _number_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _without_flow_id(url: str) -> str:
    """Take out the parameter that clients add to tell their own flows apart."""
    return _FLOW_ID.sub("", url).rstrip("?&")


@kept("redirect_patterns", 256)
def _glob(pattern: str) -> re.Pattern[str]:
    """Read a pattern of the list: `*` stops at `.` and `/`, `**` does not, `?` is one character of neither."""
    pieces = re.split(r"(\*\*|\*)", pattern)
    made = {"**": ".*", "*": "[^./]*"}
    text = "".join(made.get(piece) or re.escape(piece) for piece in pieces)
    # A bare origin in the list means its root as well.
    return re.compile(text + ("/?" if not pattern.endswith("*") else ""))
