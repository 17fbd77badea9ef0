"""What holds for every path: keys, unknown paths and methods; and what anybody may know (auth.md §1.0, §1.1)."""

from __future__ import annotations

from tests.identity.people import PASSWORD
from tests.web.scenarios import ANY, Row

ISSUER = "http://127.0.0.1:8000/auth/v1"
BAD_KEY = (401, "no_authorization", "Invalid API key")
SETTINGS = {
    "external": ANY,
    "disable_signup": False,
    "mailer_autoconfirm": True,
    "phone_autoconfirm": False,
    "sms_provider": "",
    "saml_enabled": False,
    "saml_private_key_next_configured": False,
    "passkeys_enabled": False,
}

TABLE = (
    Row("what is on", "GET /settings", gives=(200, SETTINGS)),
    Row("an unknown key", "GET /settings", headers={"apikey": "sb_publishable_nonsense"}, refuses=BAD_KEY),
    Row("no key where one is demanded", "GET /settings", world="keyed", refuses=BAD_KEY),
    Row("that the process lives", "GET /health", gives=(200, {"version": ANY, "name": "GoTrue", "description": ANY})),
    Row(
        "what verifiers of tokens need",
        "GET /.well-known/openid-configuration",
        gives=(
            200,
            {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/oauth/authorize",
                "token_endpoint": f"{ISSUER}/oauth/token",
                "jwks_uri": f"{ISSUER}/.well-known/jwks.json",
                "userinfo_endpoint": f"{ISSUER}/oauth/userinfo",
                "scopes_supported": ["openid", "profile", "email", "phone"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["HS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
                "claims_supported": ANY,
                "code_challenge_methods_supported": ["S256", "plain"],
            },
        ),
    ),
    Row("which keys sign", "GET /.well-known/jwks.json", gives=(200, {"keys": []})),
    Row("the mails of a development server", "GET /mail-box", gives=(200, ANY), address="127.0.0.1"),
    Row("for nobody elsewhere", "GET /mail-box", refuses=(404, "unknown", "404: page not found")),
    Row("no such path", "GET /nothing", refuses=(404, "unknown", "404: page not found")),
    Row(
        "no captcha where one is demanded",
        "POST /signup",
        {"email": "$ann"},
        world="guarded",
        refuses=(400, "captcha_failed", "captcha protection: request disallowed (no captcha_token found)"),
    ),
    Row(
        "a captcha that cannot be verified",
        "POST /recover",
        {"email": "$ann", "gotrue_meta_security": {"captcha_token": "solved"}},
        world="guarded",
        refuses=(503, "unexpected_failure", "captcha verification process failed"),
    ),
    Row(
        "what takes longer than a request may",
        "POST /signup",
        {"email": "slow$number@example.org", "password": PASSWORD},
        world="hasty",
        refuses=(504, "request_timeout", "Processing this request timed out, please retry after a moment."),
    ),
    Row("no such method", "PATCH /user", refuses=(405, "unknown", "405: method not allowed")),
)
