"""`POST /invite` and `POST /admin/generate_link` (contract auth.md §6). The gate has judged who asks."""

from __future__ import annotations

from flask import Response

from portero.errors import AuthError
from portero.identity import flow_states, generated_links, invitation, redirects
from portero.identity.generated_links import LinkWish
from portero.web.auth import body
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import user_json


def invite(call: Call) -> Response:
    """Mail an invitation and answer with the user."""
    given = body.read(call.request)
    email, data = given.text("email") or "", given.mapping("data")
    account = invitation.invite(call.identity, email, data, call.redirect_to, call.caller, call.now)
    return answer(user_json(account))


def generate(call: Call) -> Response:
    """Answer with a link and a code instead of mailing them."""
    given = body.read(call.request)
    settings = call.runtime.settings
    asked = (call.request.headers.get("redirect_to"), call.query("redirect_to"), given.text("redirect_to"))
    wish = LinkWish(
        type=given.text("type") or "",
        email=_needed(given.text("email")),
        new_email=given.text("new_email") or "",
        password=given.text("password") or "",
        data=given.mapping("data"),
        redirect_to=redirects.choose(asked, call.request.headers.get("Referer"), settings),
        challenge=flow_states.read_challenge(given.text("code_challenge"), given.text("code_challenge_method")),
    )
    made = generated_links.generate(call.identity, wish, call.caller, call.now)
    link = {
        "action_link": made.issued.url,
        "email_otp": made.issued.code,
        "hashed_token": made.issued.token,
        "verification_type": made.verification_type,
        "redirect_to": wish.redirect_to,
    }
    return answer(user_json(made.account) | link)


def _needed(email: str | None) -> str:
    if not email:
        raise AuthError(400, "validation_failed", "An email address is required")
    return email
