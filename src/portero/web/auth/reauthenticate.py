"""`GET /reauthenticate` (auth.md §1.3)."""

from __future__ import annotations

from flask import Response

from portero.identity import reauthentication
from portero.web.auth.call import Call, answer


def get(call: Call) -> Response:
    """Mail a code that a change of password asks for. HEAD asks for nothing, so it mails nothing."""
    if call.request.method != "HEAD":
        reauthentication.ask(call.identity, call.user.account.user, call.caller, call.now)
    return answer({})
