"""Asking whether a new password was in a known breach, without telling it (threats CR-12; NIST SP 800-63B-4 §3.1.1.2).

The range protocol of Have I Been Pwned: the first five hexadecimal digits of the SHA-1 go out, some hundreds of endings
come back, padded so that the length says nothing, and are compared here. Nothing else leaves, the service is asked only
where the setting names one, and only of passwords that are being chosen. It has two seconds; whatever goes wrong then,
the password is taken and a line logged.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Final

from portero.crypto.passwords import normal_form
from portero.identity import outbound, password_rules
from portero.identity.outbound import Unanswered
from portero.settings import Settings

LOG: Final = logging.getLogger("portero.identity")
SECONDS: Final = 2.0
_PREFIX: Final = 5
_HEADERS: Final = {"Add-Padding": "true", "User-Agent": "Portero", "Accept": "text/plain"}


def check(settings: Settings, password: str) -> None:
    """Refuse a password that was in a breach, if the setting names whom to ask.

    Raises:
        AuthError: 422 weak_password, reason `pwned`.
    """
    if settings.breach_check_url and is_breached(settings.breach_check_url, password):
        raise password_rules.weak([("pwned", password_rules.COMMON)])


def is_breached(url: str, password: str, seconds: float = SECONDS) -> bool:
    """Ask whether a password was in a breach; false also if there was no answer in time."""
    digest = hashlib.sha1(normal_form(password).encode(), usedforsecurity=False).hexdigest().upper()
    try:
        answer = outbound.ask(f"{url}/{digest[:_PREFIX]}", seconds, headers=_HEADERS)
    except Unanswered as why:
        LOG.warning("the breach check has no answer (%s): the password was taken without it", why)
        return False
    return _is_listed(answer.decode("ascii", "replace"), digest[_PREFIX:])


def _is_listed(answer: str, ending: str) -> bool:
    """Look for an ending; lines with a count of nothing are padding."""
    counts = dict(line.strip().upper().split(":", 1) for line in answer.splitlines() if ":" in line)
    return counts.get(ending, "0").strip() != "0"
