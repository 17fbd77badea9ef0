"""`/user/sessions`: the sessions of the caller, to be seen and ended one by one; an extension of the contract (§7)."""

from __future__ import annotations

from flask import Response

from portero.identity import sessions
from portero.web.answers import without_body
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import listed_session_json


def get(call: Call) -> Response:
    """Answer with the caller's sessions, newest first; `current` marks the one that asks."""
    found = sessions.of_user(call.identity, call.user.account.user.id, call.now)
    return answer([listed_session_json(session) | {"current": session.id == call.user.session_id} for session in found])


def delete(call: Call) -> Response:
    """End one of the caller's sessions; anybody else's is not there (threats SE-16)."""
    sessions.end_one(call.identity, call.user.account.user.id, call.path_id("session_id"), call.caller, call.now)
    return without_body()
