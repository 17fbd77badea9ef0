"""`POST /otp` and its older name `POST /magiclink` (auth.md §1.2): a link and a code that sign in."""

from __future__ import annotations

from flask import Response

from portero.errors import AuthError
from portero.identity import flow_states, recovery
from portero.identity.one_time_links import Onward
from portero.identity.recovery import Asked
from portero.web.auth import body, captcha
from portero.web.auth.call import Call, answer


def post(call: Call) -> Response:
    """Mail a link and a code."""
    given = body.read(call.request)
    captcha.check(call, given)
    email, phone = given.text("email"), given.text("phone")
    challenge = flow_states.read_challenge(given.text("code_challenge"), given.text("code_challenge_method"))
    if bool(email) == bool(phone):
        raise AuthError(400, "validation_failed", "One of email or phone must be set")
    if email and given.text("channel"):
        raise AuthError(400, "validation_failed", "Channel should only be specified with Phone OTP")
    if not email:
        raise AuthError(400, "phone_provider_disabled", "Unsupported phone provider")
    asked = Asked(
        email=email,
        onward=Onward(challenge, call.redirect_to),
        create_user=given.flag("create_user", default=True),
        data=given.mapping("data"),
    )
    recovery.magic_link(call.identity, asked, call.caller, call.now)
    return answer({})
