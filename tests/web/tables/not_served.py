"""What is off: passkeys, providers, the OAuth server, SAML; each with the code clients know (auth.md §1.3–§1.9)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.web.scenarios import Row, ann
from tests.web.tables.administration import key

from portero.web.auth import not_served
from portero.web.routes import NOT_SERVED, Gate

AN_ID = "00000000-0000-4000-8000-000000000000"
OFF: dict[Callable[..., Any], tuple[int, str, str]] = {
    not_served.passkeys: (404, "passkey_disabled", "Passkeys are disabled"),
    not_served.oauth_server: (404, "feature_disabled", "OAuth server is disabled"),
    not_served.custom_providers: (404, "feature_disabled", "Custom OAuth providers are disabled"),
    not_served.saml: (404, "saml_provider_disabled", "SAML 2.0 is disabled"),
    not_served.linking: (404, "manual_linking_disabled", "Manual linking is disabled"),
}
WHO: dict[Gate, dict[str, Any]] = {
    Gate.FREE: {},
    Gate.OPEN: {},
    Gate.USER: {"given": ann, "who": "token"},
    Gate.ADMIN: {"given": key, "who": "key"},
}

TABLE = (
    *(
        Row(
            "is off", f"{route.method} {re.sub('<.*?>', AN_ID, route.path)}", refuses=OFF[route.view], **WHO[route.gate]
        )
        for route in NOT_SERVED
        if route.view in OFF
    ),
    Row(
        "a provider that nobody configured",
        "GET /authorize?provider=google",
        refuses=(400, "validation_failed", "Unsupported provider: Provider google could not be found"),
    ),
    Row(
        "no provider at all",
        "GET /authorize",
        refuses=(400, "validation_failed", "Unsupported provider: Provider  could not be found"),
    ),
    Row(
        "a way back without a state",
        "GET /callback",
        refuses=(400, "bad_oauth_callback", "OAuth state parameter missing"),
    ),
    Row(
        "a way back that nobody went",
        "POST /callback?state=x",
        refuses=(400, "bad_oauth_state", "OAuth callback with invalid state"),
    ),
)
