"""`POST /signup` (auth.md §1.2)."""

from __future__ import annotations

from flask import Response

from portero.identity import sign_up
from portero.web.auth import body
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import session_json
from portero.web.auth.token import diagnostics


def post(call: Call) -> Response:
    """Make a user from e-mail address and password; answer with a session."""
    given = body.read(call.request)
    form = sign_up.Form(
        email=given.text("email"),
        phone=given.text("phone"),
        password=given.text("password"),
        data=given.mapping("data"),
        code_challenge=given.text("code_challenge"),
        code_challenge_method=given.text("code_challenge_method"),
    )
    signed_in = sign_up.with_password(call.identity, form, call.caller, call.now)
    return answer(session_json(signed_in), headers=diagnostics(signed_in))
