"""`/.well-known`: the public keys tokens verify with (none with a shared secret), and where they are (auth.md §1.1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from portero.web.runtime import Runtime

#: Clients keep the answer ten minutes by themselves; a new key signs nothing that an old answer cannot wait for.
CACHE_CONTROL: Final = "public, max-age=600"
#: Of a session's token (auth.md §2.5).
_CLAIMS: Final = (
    *("iss", "sub", "aud", "exp", "iat", "jti", "email", "phone", "role", "aal", "amr", "session_id", "is_anonymous"),
    *("app_metadata", "user_metadata"),
)


def jwks(runtime: Runtime, now: datetime) -> dict[str, Any]:
    """Return the key set to publish."""
    held = runtime.identity.keyring.jwks(now.timestamp())["keys"]
    return {"keys": [{**key, "key_ops": ["verify"]} for key in held]}


def openid_configuration(runtime: Runtime, now: datetime) -> dict[str, Any]:
    """Return where our keys are and what our tokens hold; the endpoints of the OAuth server refuse while it is off."""
    settings = runtime.settings
    issuer = settings.url.rstrip("/") + settings.auth_path
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "scopes_supported": ["openid", "profile", "email", "phone"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [runtime.identity.keyring.signing_key(now.timestamp()).alg],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "claims_supported": list(_CLAIMS),
        "code_challenge_methods_supported": ["S256", "plain"],
    }
