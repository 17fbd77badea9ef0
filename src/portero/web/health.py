"""Whether the process answers (threats OP-13): `/health` touches nothing, so asking it often costs nothing.

Whether mails get out (auth.md §7) is told by a word that the thread which sends them found: never whose, how many, why.
"""

from __future__ import annotations

from typing import Any, Final

from portero.web.runtime import Runtime

#: A load balancer asks here. The application's own route of this name, if there is one, comes first.
PATH: Final = "/health"
_ALIVE: Final = b'{"status":"ok"}'
_WITHOUT_MAIL: Final = b'{"status":"ok","mail":"failing"}'
#: Contract auth.md §1.1. The version is the contract's, not the product's: who asks is anybody.
_CONTRACT: Final = {
    "version": "2024-01-01",
    "name": "GoTrue",
    "description": "Portero, which speaks the contract of Supabase Auth",
}


def body(frozen: Runtime | None) -> bytes:
    """Give the answer for load balancers.

    Args:
        frozen: the application's runtime, if it was built already: to be asked is no reason to build it.
    """
    return _WITHOUT_MAIL if frozen is not None and _is_mail_failing(frozen) else _ALIVE


def contract(held: Runtime) -> dict[str, Any]:
    """Give the answer of `/auth/v1/health`."""
    return {**_CONTRACT, "mail": "failing"} if _is_mail_failing(held) else _CONTRACT


def _is_mail_failing(held: Runtime) -> bool:
    return held.mail_worker is not None and held.mail_worker.is_failing
