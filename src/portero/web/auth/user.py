"""`GET /user` and `PUT /user` (auth.md §1.3)."""

from __future__ import annotations

from flask import Response

from portero.errors import AuthError
from portero.identity import flow_states, user
from portero.identity.one_time_links import Onward
from portero.web.auth import body
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import user_json


def get(call: Call) -> Response:
    """Answer with the caller as stored now."""
    _check_audience(call)
    return answer(user_json(call.user.account))


def put(call: Call) -> Response:
    """Change the caller's own record."""
    given = body.read(call.request)
    wishes = user.Wishes(
        email=given.text("email"),
        phone=given.text("phone"),
        password=given.text("password"),
        current_password=given.text("current_password"),
        data=given.mapping("data"),
        app_metadata=given.mapping("app_metadata"),
        nonce=given.text("nonce"),
        onward=Onward(
            flow_states.read_challenge(given.text("code_challenge"), given.text("code_challenge_method")),
            call.redirect_to,
        ),
    )
    signed_in = call.user
    account = user.update(call.identity, signed_in.account.user, signed_in.session_id, wishes, call.caller, call.now)
    return answer(user_json(account))


def _check_audience(call: Call) -> None:
    asked = call.request.environ.get("HTTP_X_JWT_AUD")
    if asked and asked != call.user.account.user.aud:
        raise AuthError(400, "validation_failed", "Token audience doesn't match request audience")
