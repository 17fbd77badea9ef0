"""`/user/sessions`: the sessions of the caller, to be seen and ended one by one; an extension of the contract (§7)."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from portero.errors import AuthError
from portero.identity import sessions
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import listed_session_json


def get(call: Call) -> Response:
    """Answer with the caller's sessions, newest first; `current` marks the one that asks."""
    found = sessions.of_user(call.identity, call.user.account.user.id, call.now)
    return answer([listed_session_json(session) | {"current": session.id == call.user.session_id} for session in found])


def delete(call: Call) -> Response:
    """End one of the caller's sessions; anybody else's is not there (threats SE-16)."""
    try:
        session_id = UUID(call.path("session_id"))
    except ValueError:
        raise AuthError(404, "validation_failed", "session_id must be an UUID") from None
    sessions.end_one(call.identity, call.user.account.user.id, session_id, call.caller, call.now)
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response
