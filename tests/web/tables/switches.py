"""What settings switch off: e-mail addresses as a way in, mailed links that sign in, second factors (auth.md §4.2)."""

from __future__ import annotations

from typing import Any

from tests.identity.people import PASSWORD
from tests.web.scenarios import Row, ann
from tests.web.tables.everywhere import SETTINGS
from tests.web.tables.factors import SPEND, enrolled

from portero.web.auth.meta import _PROVIDERS

ANN = {"email": "$ann"}
NO_LOGINS = ("email_provider_disabled", "Email logins are disabled")


def closed(sentence: str, ask: str, body: Any, *refuses: Any) -> Row:
    return Row(sentence, ask, body, world="addressless", refuses=refuses)


TABLE = (
    closed(
        "nobody signs up", "POST /signup", ANN | {"password": PASSWORD}, 400, NO_LOGINS[0], "Email signups are disabled"
    ),
    closed("nor in", "POST /token?grant_type=password", ANN | {"password": PASSWORD}, 422, *NO_LOGINS),
    closed("nor by mail", "POST /otp", ANN, 422, *NO_LOGINS),
    closed("no password is recovered", "POST /recover", ANN, 400, *NO_LOGINS),
    closed("nothing is mailed once more", "POST /resend", ANN | {"type": "signup"}, 400, *NO_LOGINS),
    Row(
        "a user interface draws no form for it",
        "GET /settings",
        world="addressless",
        gives=(200, SETTINGS | {"external": dict.fromkeys(_PROVIDERS, False)}),
    ),
    Row(
        "links that sign in may be off alone",
        "POST /otp",
        ANN,
        world="linkless",
        refuses=(422, "email_provider_disabled", "Login with magic link is disabled"),
    ),
    Row("others go on then", "POST /recover", ANN, world="linkless", gives=(200, {})),
    Row(
        "no code of a factor is asked for",
        "POST /factors/$factor/challenge",
        {},
        given=enrolled,
        world="unverifying",
        who="token",
        refuses=(422, "mfa_totp_verify_not_enabled", "MFA verification is disabled for TOTP"),
    ),
    Row(
        "nor looked at",
        "POST /factors/$factor/verify",
        {"challenge_id": "$factor", "code": "123456"},
        given=enrolled,
        world="unverifying",
        who="token",
        refuses=(422, "mfa_totp_verify_not_enabled", "MFA verification is disabled for TOTP"),
    ),
    Row(
        "nor a recovery code",
        SPEND,
        {"code": "abcdefghijklmnop"},
        given=ann,
        world="unverifying",
        who="token",
        refuses=(422, "mfa_recovery_codes_verify_not_enabled", "MFA verification is disabled for recovery codes"),
    ),
)
