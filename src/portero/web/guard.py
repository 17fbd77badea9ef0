"""Who is asking, from the headers of one request (contract auth.md §1.0 and §5, threats JV-16, JV-17).

`principal_of` serves `/rest/v1`; the others serve `/auth/v1`. Tokens come in headers only. It never reads a query
string, a body or a proxy's identity header, and keeps no refusal and no liveness.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from portero.crypto.api_keys import PREFIX
from portero.errors import AuthError, InvalidToken, TokenFault
from portero.identity.context import Account
from portero.identity.sessions import is_banned, time_is_over
from portero.principal import NOBODY, SERVICE_ROLE, Principal
from portero.records import dataclass
from portero.store import accounts
from portero.store.sessions import SessionRecord
from portero.web.runtime import Runtime

_BEARER_BUT_BROKEN: Final = re.compile(r"bearer(?:[^!-~]|,|$)", re.IGNORECASE | re.ASCII)
#: How the usual request begins its Authorization: every JWT begins so, and no key does.
_USUAL: Final = "Bearer eyJ"
#: Roles that may administer users (the contract's defaults).
ADMIN_ROLES: Final = frozenset({SERVICE_ROLE, "supabase_admin"})
#: Every browser calls itself so, for reasons of 1994; no server-side client does.
_BROWSER: Final = "Mozilla/"

_NO_BEARER: Final = "This endpoint requires a valid Bearer token"
_BAD_KEY: Final = "Invalid API key"
_NO_SUB: Final = "invalid claim: missing sub claim"
_NO_USER: Final = "User from sub claim in JWT does not exist"
_NO_SESSION: Final = "Session from session_id claim in JWT does not exist"


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A caller who passed the `user` gate.

    Attributes:
        account: the user as stored now.
        session: the session as stored now, or None for a hand-made token without one (migration setting).
        claims: the verified claims of the access token.
    """

    account: Account
    session: SessionRecord | None
    claims: Mapping[str, Any]

    @property
    def session_id(self) -> UUID | None:
        """The session's id, if there is a session."""
        return None if self.session is None else self.session.id


def principal_of(environ: Mapping[str, Any], runtime: Runtime, now: float) -> Principal:
    """Tell who asks the data API: a user's or key's Bearer token, else the `apikey`, else nobody (role `anon`).

    Args:
        environ: the WSGI environ; only HTTP_AUTHORIZATION, HTTP_APIKEY, HTTP_USER_AGENT and HTTP_ORIGIN are read.
        runtime: the application's runtime.
        now: Unix seconds.

    Raises:
        InvalidToken: an unreadable or refused token, an unknown key, two different keys, a secret key sent by
            a browser, or no key where one is required.
    """
    authorization: str = environ.get("HTTP_AUTHORIZATION", "")
    key: str | None = environ.get("HTTP_APIKEY")
    if key is None and authorization.startswith(_USUAL) and not runtime.settings.require_api_key:
        return runtime.identity.access_tokens.principal(authorization[7:], now)
    bearer = _bearer_of(environ)
    if bearer is not None and not bearer.startswith(PREFIX):
        # The usual client sends its key twice, or its user's token beside a publishable key.
        if key is None:
            if runtime.settings.require_api_key:
                raise _key_is_missing()
        elif not _is_same(key, bearer):
            _key_principal(key, environ, runtime, now)
        return runtime.identity.access_tokens.principal(bearer, now)
    if bearer is not None and key is not None and not _is_same(key, bearer):
        raise InvalidToken(TokenFault.KEY, "two different keys")
    key = key if key is not None else bearer
    if key is None:
        return _nobody(runtime)
    return _key_principal(key, environ, runtime, now)


def signed_in_user(environ: Mapping[str, Any], runtime: Runtime, now: datetime) -> SignedInUser:
    """Pass the `user` gate: token, user, session, ban; in this order (contract auth.md §1.0).

    Raises:
        AuthError: 401 no_authorization; 403 bad_jwt, user_not_found, session_not_found, user_banned; 400 bad_jwt.
    """
    token = _clean_bearer_of(environ)
    if token is None:
        raise AuthError(401, "no_authorization", _NO_BEARER)
    principal = runtime.identity.access_tokens.principal(token, now.timestamp())
    if principal.user_id is None:
        if "sub" in principal.claims:
            raise AuthError(400, "bad_jwt", "invalid claim: sub claim must be a UUID")
        raise AuthError(403, "bad_jwt", _NO_SUB)
    return _standing(runtime, principal, principal.user_id, now)


def administrator(environ: Mapping[str, Any], runtime: Runtime, now: datetime) -> Principal:
    """Pass the `admin` gate: a token of an administrator's role, or a secret key (contract auth.md §1.0, §5).

    Raises:
        AuthError: 401 no_authorization (nothing, an unknown key, a secret key from a browser); 403 bad_jwt,
            not_admin, user_not_found, session_not_found, session_expired, user_banned, insufficient_aal.
    """
    token = _clean_bearer_of(environ)
    sent = token if token is not None else environ.get("HTTP_APIKEY", "")
    if token is not None and not sent.startswith(PREFIX):
        principal = runtime.identity.access_tokens.principal(sent, now.timestamp())
    elif sent.startswith(PREFIX):
        principal = _admin_key(sent, environ, runtime, now)
    else:
        raise AuthError(401, "no_authorization", _NO_BEARER)
    if principal.role not in ADMIN_ROLES:
        raise AuthError(403, "not_admin", "User not allowed")
    if principal.session_id is not None and principal.user_id is not None:
        signed_in = _standing(runtime, principal, principal.user_id, now)
        if signed_in.session is not None and time_is_over(runtime.identity, signed_in.session, now):
            raise AuthError(403, "session_expired", "Session is no longer valid")
        _check_assurance(signed_in)
    return principal


def is_administrator(environ: Mapping[str, Any], runtime: Runtime, now: datetime) -> bool:
    """Tell whether a request would pass the `admin` gate; without a credential of such a kind nothing is asked."""
    if _clean_bearer_of(environ) is None:
        return False
    try:
        administrator(environ, runtime, now)
    except (AuthError, InvalidToken):
        return False
    return True


def _check_assurance(signed_in: SignedInUser) -> None:
    """Refuse an administrator with a second factor who did not show it: a password could remove the factor here."""
    has_factor = any(factor.is_verified for factor in signed_in.account.factors)
    if has_factor and signed_in.session is not None and signed_in.session.aal != "aal2":
        raise AuthError(403, "insufficient_aal", "AAL2 session is required to administer users when MFA is enabled.")


def _admin_key(key: str, environ: Mapping[str, Any], runtime: Runtime, now: datetime) -> Principal:
    try:
        return _key_principal(key, environ, runtime, now.timestamp())
    except InvalidToken as cause:
        raise AuthError(401, "no_authorization", _BAD_KEY) from cause


def check_api_key(environ: Mapping[str, Any], runtime: Runtime, now: float) -> None:
    """Refuse a request to `/auth/v1` whose `apikey` is unknown, or missing where the setting demands one.

    Raises:
        AuthError: 401 no_authorization.
    """
    key = environ.get("HTTP_APIKEY")
    if key is None and runtime.settings.require_api_key:
        bearer = _clean_bearer_of(environ)
        key = bearer if bearer is not None and bearer.startswith(PREFIX) else None
    try:
        _check_key(key, environ, runtime, now)
    except InvalidToken as cause:
        raise AuthError(401, "no_authorization", _BAD_KEY) from cause


def _clean_bearer_of(environ: Mapping[str, Any]) -> str | None:
    """Return the Bearer token if it is one word of visible ASCII, and nothing else stands beside it."""
    authorization: str = environ.get("HTTP_AUTHORIZATION", "")
    token = authorization[7:]
    # What a pattern would do letter by letter.
    is_clean = token.isascii() and token.isprintable() and " " not in token
    return token if token and is_clean and authorization[:7].lower() == "bearer " else None


def _bearer_of(environ: Mapping[str, Any]) -> str | None:
    """Return the Bearer token; None without one. Other schemes belong to a proxy in front and are not ours."""
    authorization: str | None = environ.get("HTTP_AUTHORIZATION")
    if authorization is None:
        return None
    # Nothing more is checked here: blanks and commas are no token and no key.
    if authorization.startswith("Bearer ") and len(authorization) > 7:
        return authorization[7:]
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer":
        if not token:
            raise InvalidToken(TokenFault.EMPTY)
        return token
    if _BEARER_BUT_BROKEN.match(authorization) is not None:
        raise InvalidToken(TokenFault.PARTS)
    return None


def _check_key(key: str | None, environ: Mapping[str, Any], runtime: Runtime, now: float) -> None:
    if key is None:
        _nobody(runtime)
    else:
        _key_principal(key, environ, runtime, now)


def _nobody(runtime: Runtime) -> Principal:
    if runtime.settings.require_api_key:
        raise _key_is_missing()
    return NOBODY


def _key_is_missing() -> InvalidToken:
    return InvalidToken(TokenFault.KEY, "apikey is missing")


def _key_principal(key: str, environ: Mapping[str, Any], runtime: Runtime, now: float) -> Principal:
    """Return who an API key is: opaque, or a JWT that is no user's token."""
    if not key.startswith(PREFIX):
        principal = runtime.identity.access_tokens.principal(key, now)
        if principal.user_id is not None:
            raise InvalidToken(TokenFault.KIND, "a user's token as apikey")
        return principal
    principal = runtime.identity.api_keys.principal(key, now)
    if principal.role == SERVICE_ROLE and _is_browser(environ):
        raise InvalidToken(TokenFault.KIND, "a secret key from a browser")
    return principal


def _is_browser(environ: Mapping[str, Any]) -> bool:
    return "HTTP_ORIGIN" in environ or str(environ.get("HTTP_USER_AGENT", "")).startswith(_BROWSER)


def _is_same(one: str, other: str) -> bool:
    # WSGI hands headers over as latin-1 text, which compare_digest does not take.
    return hmac.compare_digest(one.encode("latin-1", "replace"), other.encode("latin-1", "replace"))


def _standing(runtime: Runtime, principal: Principal, user_id: UUID, now: datetime) -> SignedInUser:
    """Ask the database once, and judge in the contract's order: the user first, then the session, then the ban."""
    found = accounts.fetch(runtime.database, user_id, principal.session_id)
    if found is None or found.user.deleted_at is not None:
        raise AuthError(403, "user_not_found", _NO_USER)
    if principal.session_id is not None and found.session is None:
        raise AuthError(403, "session_not_found", _NO_SESSION)
    if is_banned(found.user, now):
        raise AuthError(403, "user_banned", "User is banned")
    return SignedInUser(Account(found.user, found.identities, found.factors), found.session, principal.claims)
