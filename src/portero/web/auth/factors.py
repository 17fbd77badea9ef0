"""`/factors`: TOTP factors of the caller (auth.md §1.4).

The secret leaves in the answer of the enrolment and never again.
"""

from __future__ import annotations

from uuid import UUID

from flask import Response

from portero.identity import mfa
from portero.identity.assurance import Asking
from portero.web.auth import body
from portero.web.auth.body import Body
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import session_json
from portero.web.auth.token import diagnostics


def enrol(call: Call) -> Response:
    """Enrol a factor, which counts after its first right code."""
    given = body.read(call.request)
    wish = mfa.Wish(
        factor_type=given.text("factor_type") or "",
        friendly_name=given.text("friendly_name") or "",
        issuer=given.text("issuer") or "",
    )
    made = mfa.enrol(call.identity, asking(call), wish)
    shown = {"qr_code": made.qr_code, "secret": made.secret, "uri": made.uri}
    factor = made.factor
    return answer(
        {"id": str(factor.id), "type": factor.factor_type, "friendly_name": factor.friendly_name, "totp": shown}
    )


def challenge(call: Call) -> Response:
    """Ask for a code; nothing of the body matters, it is for telephones."""
    made = mfa.challenge(call.identity, asking(call), call.path_id("factor_id"))
    return answer({"id": str(made.id), "type": "totp", "expires_at": int(made.expires_at.timestamp())})


def verify(call: Call) -> Response:
    """Raise the caller's session to aal2; answer with its new tokens."""
    factor_id, given = call.path_id("factor_id"), body.read(call.request)
    signed_in = mfa.verify(call.identity, asking(call), factor_id, _challenge_id(given), given.text("code") or "")
    return answer(session_json(signed_in), headers=diagnostics(signed_in))


def unenrol(call: Call) -> Response:
    """Remove a factor."""
    factor_id = call.path_id("factor_id")
    mfa.unenrol(call.identity, asking(call), factor_id)
    return answer({"id": str(factor_id)})


def asking(call: Call) -> Asking:
    """Return who asks, as `identity` wants to know it."""
    return Asking(call.user.account.user.id, call.user.session_id, call.caller, call.now)


def _challenge_id(given: Body) -> UUID:
    """Read the challenge's id; without one, that of no challenge."""
    try:
        return UUID(given.text("challenge_id") or str(UUID(int=0)))
    except ValueError:
        raise body.bad_json("challenge_id must be a UUID") from None
