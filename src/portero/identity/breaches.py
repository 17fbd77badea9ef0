"""Asking whether a new password was in a known breach, without telling it (threats CR-12; NIST SP 800-63B-4 §3.1.1.2).

The range protocol of Have I Been Pwned: the first five hexadecimal digits of the SHA-1 go out, some hundreds of endings
come back, padded so that the length says nothing, and are compared here. Nothing else leaves, the service is asked only
where the setting names one, and only of passwords that are being chosen. It has two seconds; whatever goes wrong then,
the password is taken and a line logged. Never called inside a transaction: no writer waits for a foreign server.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import urllib.request
from http.client import HTTPException
from typing import Any, Final

from portero.crypto.passwords import normal_form
from portero.identity import password_rules
from portero.settings import Settings

LOG: Final = logging.getLogger("portero.identity")
SECONDS: Final = 2.0
_PREFIX: Final = 5
#: The longest answers, with their padding, are below a hundred KiB.
_LARGEST: Final = 1024 * 1024
_PIECE: Final = 64 * 1024
#: Questions under way at one time; one more goes unasked.
_SLOTS: Final = threading.BoundedSemaphore(16)
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
    question = _Question(f"{url}/{digest[:_PREFIX]}", time.monotonic() + seconds)
    if not _SLOTS.acquire(blocking=False):
        _note_silence("too many questions are under way")
        return False
    # A thread, because nothing else bounds the time that looking up a host's name takes.
    thread = threading.Thread(target=question.ask, name="portero-breaches", daemon=True)
    thread.start()
    thread.join(seconds)
    if question.answer is None:
        _note_silence(question.fault or "no answer in time")
        return False
    return _is_listed(question.answer, digest[_PREFIX:])


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Who is asked is the setting's affair, not the answer's."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER: Final = urllib.request.build_opener(_NoRedirect)


class _Question:
    """One question, answered in a thread of its own; who asked may have gone by then."""

    def __init__(self, url: str, deadline: float) -> None:
        self._url = url
        self._deadline = deadline
        self.answer: str | None = None
        self.fault = ""

    def ask(self) -> None:
        try:
            self.answer = self._read()
        except (OSError, HTTPException, ValueError) as error:
            self.fault = type(error).__name__
        finally:
            _SLOTS.release()

    def _read(self) -> str:
        request = urllib.request.Request(self._url, headers=_HEADERS)  # noqa: S310 - the setting is https
        received = b""
        with _OPENER.open(request, timeout=self._left()) as response:
            while piece := response.read1(_PIECE):
                received += piece
                if len(received) > _LARGEST:
                    raise ValueError("a longer answer than there can be")
                self._left()
        return received.decode("ascii")

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _is_listed(answer: str, ending: str) -> bool:
    """Look for an ending; lines with a count of nothing are padding."""
    counts = dict(line.strip().upper().split(":", 1) for line in answer.splitlines() if ":" in line)
    return counts.get(ending, "0").strip() != "0"


def _note_silence(why: str) -> None:
    LOG.warning("the breach check has no answer (%s): the password was taken without it", why)
