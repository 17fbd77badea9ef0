"""`POST /token?grant_type=…` (auth.md §1.2): one function a grant, and what is said of grants that are off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from flask import Response

from portero.errors import AuthError
from portero.identity import flow_states, sessions, sign_in
from portero.identity.context import SignedIn
from portero.web.auth import body, captcha
from portero.web.auth.body import Body
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import session_json

_BOTH: Final = "Only an email address or phone number should be provided on login."


def post(call: Call) -> Response:
    """Exchange a proof for a session; which one is said by `grant_type` in the query."""
    grant = _GRANTS.get(call.query("grant_type") or "")
    if grant is None:
        raise AuthError(400, "invalid_credentials", "unsupported_grant_type")
    signed_in = grant(call, body.read(call.request))
    headers = diagnostics(signed_in)
    if grant is _refresh_token:
        headers |= _reuse(signed_in, call.now)
    return answer(session_json(signed_in), headers=headers)


def diagnostics(signed_in: SignedIn) -> dict[str, str]:
    """Return the headers a sign-in or refresh carries; no client reads them."""
    return {
        "sb-auth-user-id": str(signed_in.user.id),
        "sb-auth-session-id": str(signed_in.session.id),
        "sb-auth-refresh-token-counter": str(signed_in.session.refresh_counter),
    }


def _reuse(signed_in: SignedIn, now: datetime) -> dict[str, str]:
    """Tell whether the token was asked for once more: then this request did not advance the session."""
    if signed_in.session.refreshed_at == now:
        return {"sb-auth-refresh-token-reuse": "false"}
    return {"sb-auth-refresh-token-reuse": "true", "sb-auth-refresh-token-reuse-cause": "fail-to-save"}


def _password(call: Call, given: Body) -> SignedIn:
    captcha.check(call, given)
    email, phone, password = given.text("email"), given.text("phone"), given.text("password")
    if email and phone:
        raise AuthError(400, "validation_failed", _BOTH)
    if phone:
        raise AuthError(422, "phone_provider_disabled", "Phone logins are disabled")
    if email and not call.runtime.settings.email_sign_in:
        raise AuthError(422, "email_provider_disabled", "Email logins are disabled")
    if not email:
        raise AuthError(400, "validation_failed", "missing email or phone")
    # Only an address signs in here: user names are the Python API's (`portero.sign_in`).
    login = email if "@" in email else f"{email}@"
    return sign_in.with_password(call.identity, login, password or "", call.caller, call.now)


def _refresh_token(call: Call, given: Body) -> SignedIn:
    token = given.text("refresh_token")
    if not token:
        raise AuthError(400, "validation_failed", "refresh_token required")
    return sessions.refresh(call.identity, token, call.caller, call.now)


def _pkce(call: Call, given: Body) -> SignedIn:
    code, verifier = given.text("auth_code") or "", given.text("code_verifier") or ""
    return flow_states.exchange(call.identity, code, verifier, call.caller, call.now)


def _id_token(_: Call, given: Body) -> SignedIn:
    issuer = given.text("issuer") or ""
    raise AuthError(400, "provider_disabled", f'Provider (issuer "{issuer[:100]}") is not enabled')


def _web3(_: Call, __: Body) -> SignedIn:
    raise AuthError(422, "web3_provider_disabled", "Web3 provider is disabled")


_GRANTS: Final[Mapping[str, Callable[[Call, Body], SignedIn]]] = {
    "password": _password,
    "refresh_token": _refresh_token,
    "pkce": _pkce,
    "id_token": _id_token,
    "web3": _web3,
}
