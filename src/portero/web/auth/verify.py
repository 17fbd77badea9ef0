"""`/verify`: a client spends a code or a token (POST, JSON); a person follows a link (GET), and presses its button.

Following the link changes nothing: mail scanners, previews and HEAD see a page with one button, which posts the token
back as a form and is sent on to the application (auth.md §4.4, §7; threats BR-08, MF-17). The page asks the database
nothing, so it says nothing about the token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Response
from werkzeug.datastructures import MultiDict

from portero.crypto.one_time_codes import PKCE_PREFIX
from portero.errors import AuthError, PorteroError
from portero.identity import addresses, redirects, verification
from portero.identity.context import SignedIn
from portero.identity.verification import CodeIssued, HalfDone
from portero.web import problems
from portero.web.answers import without_body
from portero.web.auth import body, verify_page
from portero.web.auth.body import Body
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import session_json
from portero.web.auth.token import diagnostics

_FORM: Final = "application/x-www-form-urlencoded"
_ONE: Final = "Only an email address or phone number should be provided on verify"
#: The names of RFC 6749 §4.1.2.1, by status; others have none.
_ERRORS: Final[Mapping[int, str]] = {
    400: "invalid_request",
    401: "unauthorized_client",
    403: "access_denied",
    500: "server_error",
    503: "temporarily_unavailable",
}


def get(call: Call) -> Response:
    """Show the page with the button."""
    token, kind = _needed(call.request.args)
    return verify_page.show(call, token, kind, _redirect_to(call, call.request.args))


def post(call: Call) -> Response:
    """Spend what a client sent as JSON, or what the page's button sent as a form."""
    if call.request.mimetype == _FORM:
        return _follow(call)
    given = body.read(call.request)
    kind = given.text("type")
    if not kind:
        raise AuthError(400, "validation_failed", "Verify requires a verification type")
    code, token = given.text("token"), given.text("token_hash")
    if bool(code) == bool(token):
        raise AuthError(400, "validation_failed", "Verify requires either a token or a token hash")
    outcome = _by_code(call, given, kind, code) if code else _by_link(call, given, kind, token or "")
    if isinstance(outcome, SignedIn):
        return answer(session_json(outcome), headers=diagnostics(outcome))
    # The clients test for exactly this, "200" being a text.
    return answer({"msg": verification.HALF, "code": "200"})


def _by_link(call: Call, given: Body, kind: str, token: str) -> SignedIn | HalfDone | CodeIssued:
    if given.text("email") or given.text("phone") or given.text("redirect_to"):
        raise AuthError(400, "validation_failed", "Only the token_hash and type should be provided")
    return verification.by_link(call.identity, kind, token, call.caller, call.now)


def _by_code(call: Call, given: Body, kind: str, code: str) -> SignedIn | HalfDone | CodeIssued:
    email, phone = given.text("email"), given.text("phone")
    if bool(email) == bool(phone):
        raise AuthError(400, "validation_failed", _ONE)
    if phone:
        if kind not in verification.PHONE_TYPES:
            raise AuthError(400, "validation_failed", "Invalid sms verification type")
        raise AuthError(403, "otp_expired", "Token has expired or is invalid")
    try:
        address = addresses.canonical_email(email or "")
    except AuthError:
        raise AuthError(422, "validation_failed", "Invalid email format") from None
    return verification.by_code(call.identity, kind, address, code, call.caller, call.now)


def _follow(call: Call) -> Response:
    """Spend a link whose button was pressed, and send the browser on; refusals travel along."""
    if call.request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        # Another site's form would sign its visitor in as somebody else.
        raise AuthError(403, "validation_failed", "This form is posted from its own page only")
    form = body.form(call.request)
    token, kind = _needed(form)
    target = _redirect_to(call, form)
    is_pkce = token.startswith(PKCE_PREFIX)
    try:
        outcome = verification.by_link(call.identity, kind, token, call.caller, call.now, in_browser=True)
    except PorteroError as error:
        return _sent_on(_with_error(target, problems.auth_error_of(error), is_pkce))
    if isinstance(outcome, CodeIssued):
        return _sent_on(redirects.with_query(target, {"code": outcome.code}))
    if isinstance(outcome, HalfDone):
        said = {"message": verification.HALF}
        return _sent_on(redirects.with_fragment(redirects.with_query(target, said) if is_pkce else target, said))
    return _sent_on(redirects.with_fragment(target, _session_values(outcome, kind)))


def _session_values(signed_in: SignedIn, kind: str) -> dict[str, str]:
    return {
        "access_token": signed_in.access_token,
        "expires_at": str(int(signed_in.expires_at.timestamp())),
        "expires_in": str(signed_in.expires_in),
        "refresh_token": signed_in.refresh_token,
        "token_type": "bearer",
        "type": kind,
    }


def _with_error(target: str, refusal: AuthError, is_pkce: bool) -> str:
    values = {"error_code": refusal.code, "error_description": refusal.message}
    name = _ERRORS.get(refusal.status)
    if name is not None:
        values["error"] = name
    return redirects.with_fragment(redirects.with_query(target, values) if is_pkce else target, values)


def _needed(given: MultiDict[str, str]) -> tuple[str, str]:
    token, kind = given.get("token", ""), given.get("type", "")
    if not kind:
        raise AuthError(400, "validation_failed", "Verify requires a verification type")
    if not token:
        raise AuthError(400, "validation_failed", "Verify requires a token or a token hash")
    return token, kind


def _redirect_to(call: Call, given: MultiDict[str, str]) -> str:
    return redirects.choose((given.get("redirect_to"),), None, call.runtime.settings)


def _sent_on(target: str) -> Response:
    return without_body(303, {"Location": target})
