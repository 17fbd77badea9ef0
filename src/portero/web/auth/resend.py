"""`POST /resend` (auth.md §1.2): the same answer whether something was pending or not."""

from __future__ import annotations

from typing import Final

from flask import Response

from portero.errors import AuthError
from portero.identity import flow_states, recovery
from portero.identity.one_time_links import Onward
from portero.identity.recovery import Asked
from portero.web.auth import body, captcha
from portero.web.auth.call import Call, answer

_BY_EMAIL: Final = ("signup", "email_change")
_BY_PHONE: Final = ("sms", "phone_change")
_TYPES: Final = "Missing one of these types: signup, email_change, sms, phone_change"


def post(call: Call) -> Response:
    """Mail once more what is pending."""
    given = body.read(call.request)
    captcha.check(call, given)
    kind, email, phone = given.text("type") or "", given.text("email"), given.text("phone")
    challenge = flow_states.read_challenge(given.text("code_challenge"), given.text("code_challenge_method"))
    _check(kind, email, phone)
    if email:
        asked = Asked(email=email, onward=Onward(challenge, call.redirect_to))
        recovery.resend(call.identity, kind, asked, call.caller, call.now)
        return answer({})
    raise AuthError(400, "phone_provider_disabled", "Phone signups are disabled")


def _check(kind: str, email: str | None, phone: str | None) -> None:
    if kind not in _BY_EMAIL + _BY_PHONE:
        raise AuthError(400, "validation_failed", _TYPES)
    if not email and not phone:
        raise AuthError(400, "validation_failed", "Missing email address or phone number")
    if email and phone:
        message = "Only an email address or phone number should be provided."
        raise AuthError(400, "validation_failed", message)
    if kind in _BY_EMAIL and not email:
        raise AuthError(400, "validation_failed", "Type provided requires an email address")
    if kind in _BY_PHONE and not phone:
        raise AuthError(400, "validation_failed", "Type provided requires a phone number")
