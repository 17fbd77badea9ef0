"""Asking hCaptcha or Turnstile whether a person solved what a page showed them (auth.md §1.0 "Captcha").

It is off unless the setting holds the secret. Then sign-ups, sign-ins and requests for mails need a solved captcha;
what cannot be verified is refused: who could make the service silent would else be let in. A try counts for its
network before the service is asked.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from portero.errors import AuthError
from portero.identity import outbound, throttle
from portero.identity.context import Caller, IdentityContext
from portero.identity.outbound import Unanswered

LOG: Final = logging.getLogger("portero.identity")
SECONDS: Final = 5.0
_URLS: Final = {
    "hcaptcha": "https://api.hcaptcha.com/siteverify",
    "turnstile": "https://challenges.cloudflare.com/turnstile/v0/siteverify",
}
_HEADERS: Final = {"User-Agent": "Portero", "Accept": "application/json"}
_MISSING: Final = "captcha protection: request disallowed (no captcha_token found)"
_LONGEST: Final = 8192


def check(context: IdentityContext, token: str | None, caller: Caller, now: datetime) -> None:
    """Refuse a request whose captcha was not solved; without the setting nothing is looked at.

    Raises:
        AuthError: 400 captcha_failed; 429 over_request_rate_limit; 503 unexpected_failure: the service has no answer.
    """
    if not context.settings.captcha_secret:
        return
    if not token or not token.strip():
        raise AuthError(400, "captcha_failed", _MISSING)
    limit = throttle.Limit("captcha", context.settings.throttle_sign_in, throttle.MINUTE)
    with context.changing(durable=False) as change:
        found = throttle.check_address(context, change.connection, limit, caller, now)
    if found is not None:
        raise found.refusal
    why = _refusal(context, token.strip(), caller)
    if why:
        raise AuthError(400, "captcha_failed", f"captcha protection: request disallowed ({why})")


def _refusal(context: IdentityContext, token: str, caller: Caller) -> str:
    """Ask the service, and return why it says no; "" if it says yes."""
    if len(token) > _LONGEST:
        return "invalid-input-response"
    settings = context.settings
    form = {"secret": settings.captcha_secret, "response": token, "remoteip": caller.address}
    url = settings.captcha_url or _URLS[settings.captcha_provider]
    try:
        answer: Any = json.loads(outbound.ask(url, SECONDS, headers=_HEADERS, form=urlencode(form).encode()))
        is_solved, codes = answer["success"], answer.get("error-codes") or []
        told = ", ".join(str(code)[:64] for code in codes[:8]) if isinstance(codes, list) else ""
    except (Unanswered, ValueError, KeyError, TypeError, AttributeError) as cause:
        LOG.error("the captcha service has no answer that can be read: %s", cause)
        raise AuthError(503, "unexpected_failure", "captcha verification process failed", retry_after=1) from cause
    return "" if is_solved is True else told or "not solved"
