"""Asking a foreign server something, with an end: seconds, bytes and questions at one time are bounded.

Used for what the settings name, never for an address that a caller sent. It follows no redirect, and is never called
inside a transaction: no writer waits for a foreign server.
"""

from __future__ import annotations

import threading
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, Final

from portero import deadline

_LARGEST: Final = 1024 * 1024
_PIECE: Final = 64 * 1024
#: Questions under way at one time in one process; one more goes unasked.
MOST: Final = 16
_SLOTS: Final = threading.BoundedSemaphore(MOST)


class Unanswered(Exception):
    """There was no answer in time, or none that can be one; the text says why, and names no server."""


def ask(url: str, seconds: float, *, headers: Mapping[str, str], form: bytes | None = None) -> bytes:
    """Ask, and return the body of a good answer.

    Args:
        url: from the settings, https but on this machine.
        seconds: for everything, the look-up of the host's name included.
        headers: of the request.
        form: sent by POST, in the form of HTML's forms; without it the question is a GET.

    Raises:
        DeadlinePassed: the time of the request that wants to know is over.
        Unanswered: another status than 2xx, too long, too late, not reached, or too many questions under way.
    """
    seconds = deadline.bounded(seconds)
    if not _SLOTS.acquire(blocking=False):
        raise Unanswered("too many questions are under way")
    question = _Question(urllib.request.Request(url, form, dict(headers)), time.monotonic() + seconds)  # noqa: S310
    # A thread, because nothing else bounds the time that looking up a host's name takes.
    thread = threading.Thread(target=question.ask, name="portero-outbound", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        _SLOTS.release()
        raise Unanswered("no thread is left to ask") from None
    thread.join(seconds)
    if question.answer is None:
        deadline.check()
        raise Unanswered(question.fault or "no answer in time")
    return question.answer


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Who is asked is the setting's affair, not the answer's."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER: Final = urllib.request.build_opener(_NoRedirect)


class _Question:
    """One question, answered in a thread of its own; who asked may have gone by then."""

    def __init__(self, request: urllib.request.Request, deadline: float) -> None:
        self._request = request
        self._deadline = deadline
        self.answer: bytes | None = None
        self.fault = ""

    def ask(self) -> None:
        try:
            self.answer = self._read()
        except (OSError, HTTPException, ValueError) as error:
            is_late = isinstance(getattr(error, "reason", error), TimeoutError)
            self.fault = "" if is_late else type(error).__name__
        finally:
            _SLOTS.release()

    def _read(self) -> bytes:
        received = b""
        with _OPENER.open(self._request, timeout=self._left()) as response:
            while piece := response.read1(_PIECE):
                received += piece
                if len(received) > _LARGEST:
                    raise ValueError("a longer answer than there can be")
                self._left()
        return received

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
