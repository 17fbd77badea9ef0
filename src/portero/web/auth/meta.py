"""What `/auth/v1` says about itself: settings, health, public keys (auth.md §1.1, §4.1). None asks who calls."""

from __future__ import annotations

from typing import Final

from flask import Response

from portero.identity import mail
from portero.web import health as alive
from portero.web import well_known
from portero.web.auth.call import Call, answer

_PROVIDERS: Final = (
    "anonymous_users",
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "snapchat",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "keycloak",
    "kakao",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "spotify",
    "slack",
    "slack_oidc",
    "workos",
    "twitch",
    "twitter",
    "email",
    "phone",
    "zoom",
)


def settings(call: Call) -> Response:
    """Answer with what is on; user interfaces draw their buttons from it."""
    kept = call.runtime.settings
    on = {name for name, is_on in (("email", kept.email_sign_in), ("anonymous_users", kept.anonymous_users)) if is_on}
    return answer(
        {
            "external": {name: name in on for name in _PROVIDERS},
            "disable_signup": kept.disable_signup,
            "mailer_autoconfirm": mail.confirms_itself(kept),
            "phone_autoconfirm": False,
            "sms_provider": "",
            "saml_enabled": False,
            "saml_private_key_next_configured": False,
            "passkeys_enabled": False,
        }
    )


def health(call: Call) -> Response:
    """Answer that the process lives."""
    return answer(alive.contract(call.runtime))


def jwks(call: Call) -> Response:
    """Answer with the public keys."""
    return answer(well_known.jwks(call.runtime, call.now), headers={"Cache-Control": well_known.CACHE_CONTROL})


def openid_configuration(call: Call) -> Response:
    """Answer with what verifiers of our tokens need."""
    found = well_known.openid_configuration(call.runtime, call.now)
    return answer(found, headers={"Cache-Control": well_known.CACHE_CONTROL})
