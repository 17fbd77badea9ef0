"""`POST /signup` (auth.md §1.2)."""

from __future__ import annotations

from flask import Response

from portero.identity import sign_up
from portero.identity.context import Account
from portero.web.auth import body, captcha
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import session_json, user_json
from portero.web.auth.token import diagnostics


def post(call: Call) -> Response:
    """Make a user from e-mail address and password, or an anonymous one; answer with a session, or with the user
    whose address is to be proven.
    """
    given = body.read(call.request)
    captcha.check(call, given)
    form = sign_up.Form(
        email=given.text("email"),
        phone=given.text("phone"),
        password=given.text("password"),
        data=given.mapping("data"),
        code_challenge=given.text("code_challenge"),
        code_challenge_method=given.text("code_challenge_method"),
        redirect_to=call.redirect_to,
    )
    if not form.email and not form.phone:
        signed_in = sign_up.anonymous(call.identity, form.data, call.caller, call.now)
        return answer(session_json(signed_in), headers=diagnostics(signed_in))
    found = sign_up.with_password(call.identity, form, call.caller, call.now)
    if isinstance(found, Account):
        return answer(user_json(found))
    return answer(session_json(found), headers=diagnostics(found))
