"""Where a request came from, behind as many proxies as the setting says and not one more (threats CR-08, HT-12)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from portero.identity.addresses import LONGEST_ADDRESS
from portero.identity.context import Caller

_LONGEST_AGENT: Final = 255


def caller_of(environ: Mapping[str, Any], trusted_proxies: int) -> Caller:
    """Tell who called; `X-Forwarded-For` counts from its right end, where the trusted proxies wrote.

    >>> environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 192.0.2.7"}
    >>> caller_of(environ, 0).address, caller_of(environ, 1).address, caller_of(environ, 3).address
    ('10.0.0.1', '192.0.2.7', '10.0.0.1')
    """
    agent = str(environ.get("HTTP_USER_AGENT", ""))[:_LONGEST_AGENT]
    address = str(environ.get("REMOTE_ADDR", ""))
    if trusted_proxies:
        told = str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")
        if len(told) >= trusted_proxies:
            address = _plain(told[-trusted_proxies]) or address
    languages = str(environ.get("HTTP_ACCEPT_LANGUAGE", ""))[:_LONGEST_AGENT]
    if not agent.isprintable():
        agent = "".join(letter for letter in agent if letter.isprintable())
    return Caller(address, agent, languages)


def _plain(told: str) -> str:
    """Return an address without brackets and port; "" if it is none."""
    text = told.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        # What names the interface behind a `%` may be of any length.
        return str(ipaddress.ip_address(text)) if len(text) <= LONGEST_ADDRESS else ""
    except ValueError:
        return ""
