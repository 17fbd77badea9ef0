"""`POST /logout?scope=global|local|others` (auth.md §1.3)."""

from __future__ import annotations

from typing import Final

from flask import Response

from portero.errors import AuthError
from portero.identity import sessions
from portero.identity.sessions import Scope
from portero.web.answers import without_body
from portero.web.auth.call import Call

_SCOPES: Final[dict[str, Scope]] = {"": "global", "global": "global", "local": "local", "others": "others"}


def post(call: Call) -> Response:
    """End the caller's sessions; their access tokens are refused from the next request on."""
    asked = call.query("scope") or ""
    scope = _SCOPES.get(asked)
    if scope is None:
        raise AuthError(400, "validation_failed", f'Unsupported logout scope "{asked[:64]}"')
    signed_in = call.user
    sessions.end(call.identity, signed_in.account.user.id, signed_in.session_id, scope, call.now)
    return without_body()
