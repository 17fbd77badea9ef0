"""What the contract has and Portero does not serve yet: each is refused with the code clients know (auth.md §1.3–§1.9).

Passkeys, external providers, the OAuth server and SAML are off everywhere, so nothing of a request is looked at but
what the refusal names.
"""

from __future__ import annotations

from typing import Final, NoReturn

from portero.errors import AuthError
from portero.web.auth.call import Call

_LONGEST_NAME: Final = 64


def passkeys(_: Call) -> NoReturn:
    """Refuse what is about passkeys."""
    raise AuthError(404, "passkey_disabled", "Passkeys are disabled")


def oauth_server(_: Call) -> NoReturn:
    """Refuse what would sign in to other applications from here."""
    raise AuthError(404, "feature_disabled", "OAuth server is disabled")


def custom_providers(_: Call) -> NoReturn:
    """Refuse what would define providers."""
    raise AuthError(404, "feature_disabled", "Custom OAuth providers are disabled")


def saml(_: Call) -> NoReturn:
    """Refuse single sign-on."""
    raise AuthError(404, "saml_provider_disabled", "SAML 2.0 is disabled")


def linking(_: Call) -> NoReturn:
    """Refuse to link identities by hand, and to take them apart."""
    raise AuthError(404, "manual_linking_disabled", "Manual linking is disabled")


def authorize(call: Call) -> NoReturn:
    """Refuse a sign-in with a provider: none is configured."""
    name = (call.query("provider") or "")[:_LONGEST_NAME]
    raise AuthError(400, "validation_failed", f"Unsupported provider: Provider {name} could not be found")


def callback(call: Call) -> NoReturn:
    """Refuse what a provider would send back: nobody was sent there."""
    if not call.query("state"):
        raise AuthError(400, "bad_oauth_callback", "OAuth state parameter missing")
    raise AuthError(400, "bad_oauth_state", "OAuth callback with invalid state")
