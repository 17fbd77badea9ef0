"""`POST /recover` (auth.md §1.2): the same answer for every address."""

from __future__ import annotations

from flask import Response

from portero.identity import flow_states, recovery
from portero.identity.one_time_links import Onward
from portero.identity.recovery import Asked
from portero.web.auth import body, captcha
from portero.web.auth.call import Call, answer


def post(call: Call) -> Response:
    """Mail a link that signs in to choose a new password, if the address is somebody's."""
    given = body.read(call.request)
    captcha.check(call, given)
    challenge = flow_states.read_challenge(given.text("code_challenge"), given.text("code_challenge_method"))
    asked = Asked(email=given.text("email") or "", onward=Onward(challenge, call.redirect_to))
    recovery.recover(call.identity, asked, call.caller, call.now)
    return answer({})
