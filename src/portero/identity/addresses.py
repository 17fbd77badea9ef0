"""The names people sign in with: e-mail addresses, user names, network addresses; pure, nothing is looked up.

Grammar of e-mail addresses: the HTML standard's, without quotes, comments or a second @ (threats CR-23); at most 254
characters. What is stored and compared is lower case (contract auth.md §1.2).
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from portero.errors import AuthError
from portero.figures import kept

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
#: Without `=?`: it begins an encoded word (RFC 2047), which who writes or reads a mail's header may turn into another
#: address.
_EMAIL: Final = re.compile(rf"(?![^@]*=\?)[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*")
_USERNAME: Final = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,62}[a-z0-9_])?")
_PHONE: Final = re.compile(r"[1-9][0-9]{1,14}")
_LONGEST_EMAIL: Final = 254
#: An IPv6 address with the name of an interface behind it; a longer one is none, and is not remembered.
LONGEST_ADDRESS: Final = 64


def canonical_email(text: str) -> str:
    """Return an e-mail address in the form it is stored in.

    >>> canonical_email("Ann.Lee@Example.ORG")
    'ann.lee@example.org'

    Raises:
        AuthError: 400 validation_failed.
    """
    email = text.lower()
    # `lower` can fold other characters into ASCII (the Kelvin sign): only what came as ASCII is an address.
    if not text.isascii() or len(email) > _LONGEST_EMAIL or _EMAIL.fullmatch(email) is None:
        raise AuthError(400, "validation_failed", "Unable to validate email address: invalid format")
    return email


def canonical_username(text: str) -> str:
    """Return a user name in the form it is stored in: letters, digits, `.`, `_`, `-`; never an @.

    >>> canonical_username("Ann")
    'ann'

    Raises:
        AuthError: 400 validation_failed.
    """
    username = text.lower()
    if not text.isascii() or _USERNAME.fullmatch(username) is None:
        raise AuthError(400, "validation_failed", "Unable to validate user name: invalid format")
    return username


def canonical_phone(text: str) -> str:
    """Return a phone number in the form it is stored in: E.164 without the plus.

    >>> canonical_phone("+34 600 000 000")
    '34600000000'

    Raises:
        AuthError: 400 validation_failed.
    """
    digits = text.replace(" ", "").removeprefix("+")
    if _PHONE.fullmatch(digits) is None:
        raise AuthError(400, "validation_failed", "Invalid phone number format (E.164 required)")
    return digits


def taken() -> AuthError:
    """Make the refusal of an address that another user has."""
    return AuthError(422, "email_exists", "A user with this email address has already been registered")


def network_of(address: str) -> str:
    """Return what one caller can be told by: an IPv4 address, or the /64 an IPv6 address is in (threats CR-07).

    >>> network_of("192.0.2.7"), network_of("2001:db8:1:2:3:4:5:6"), network_of("::ffff:192.0.2.7"), network_of("?")
    ('192.0.2.7', '2001:db8:1:2::/64', '192.0.2.7', '')
    """
    return _network_of(address) if len(address) <= LONGEST_ADDRESS else ""


@kept("networks", 1024)
def _network_of(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
