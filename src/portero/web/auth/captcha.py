"""Where a solved captcha may be demanded: sign-up, password sign-in, and what is mailed (auth.md §1.0 "Captcha")."""

from __future__ import annotations

from portero.identity import captcha
from portero.web import guard
from portero.web.auth.body import Body
from portero.web.auth.call import Call


def check(call: Call, given: Body) -> None:
    """Refuse a request without a solved captcha where the settings demand one; administrators need none.

    Raises:
        AuthError: 400 captcha_failed, bad_json; 429 over_request_rate_limit; 503 unexpected_failure.
    """
    if not call.runtime.settings.captcha_secret or guard.is_administrator(call.request.environ, call.runtime, call.now):
        return
    security = Body(given.mapping("gotrue_meta_security") or {})
    captcha.check(call.identity, security.text("captcha_token"), call.caller, call.now)
