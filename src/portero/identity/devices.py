"""From which devices an account was signed in to; a new one is told its user by mail.

A server without cookies cannot tell two devices of one kind in one network apart. So a device is a kind of browser and
system (of a closed list, without versions) in a network: an IPv4 address, or the /64 an IPv6 address is in. It is known
for ninety days from its last sign-in. Kept are MACs; never an address, never a `User-Agent`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from portero.identity import throttle
from portero.identity.addresses import network_of
from portero.identity.context import Caller, Change, IdentityContext
from portero.store import attempts
from portero.store.users import UserRecord

KNOWN_FOR: Final = timedelta(days=90)
#: Marks of a `User-Agent`, the special ones before those they also carry.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
    ("Dart/", "Dart"),
    ("okhttp/", "okhttp"),
    ("CFNetwork/", "CFNetwork"),
    ("node", "Node.js"),
    ("python", "Python"),
    ("curl/", "curl"),
)
_SYSTEMS: Final = (
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Darwin", "macOS"),
    ("Linux", "Linux"),
)


def device_of(user_agent: str) -> str:
    """Name the kind of browser and system that a `User-Agent` speaks of, in words of ours; "" for none of them.

    >>> device_of("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    'Firefox, Linux'
    >>> device_of("Go to https://evil.example")
    ''
    """
    found = (_first(user_agent, _BROWSERS), _first(user_agent, _SYSTEMS))
    return ", ".join(name for name in found if name)


def note(context: IdentityContext, change: Change, user: UserRecord, caller: Caller, now: datetime) -> bool:
    """Know the device of a sign-in from now on, and tell whether it was not known before.

    The caller without an address, which is the application itself, has no device.
    """
    network = network_of(caller.address)
    if not network:
        return False
    subject = f"{user.id}|{network}|{device_of(caller.user_agent)}"
    name = throttle.counter_name(context, "device", subject)
    return attempts.know(change.connection, name, now + KNOWN_FOR, now)


def _first(user_agent: str, marks: tuple[tuple[str, str], ...]) -> str:
    return next((name for mark, name in marks if mark in user_agent), "")
