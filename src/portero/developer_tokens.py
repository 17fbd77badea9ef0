"""Tokens on the developer's own routes: `@jwt_required()` between Flask-JWT-Extended and Portero's strict verifier.

Three sorts pass: access tokens of sessions (whether the session stands is asked of the database at each request),
tokens of `create_access_token`, and tokens that others made with the application's key. API keys do not. What is
raised is what Flask-JWT-Extended's loaders wait for. Tokens in cookies: a session's CSRF value is an HMAC of the
session's id, so that nobody can make one up. Obeys docs/decisions/0004-developer-tokens.md; threats BR-02…BR-04.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import jwt
from flask import Response, current_app, jsonify
from flask_jwt_extended.config import config
from flask_jwt_extended.exceptions import CSRFError, JWTDecodeError
from flask_jwt_extended.tokens import _decode_jwt

from portero.crypto import claims as rules
from portero.crypto import jwk, jws
from portero.crypto.algorithms import ALGORITHMS
from portero.crypto.claims import Kind
from portero.crypto.derived_keys import CSRF
from portero.crypto.jws import LONGEST_TOKEN, UnverifiedJws
from portero.crypto.keyring import KeySet, VerificationKey, shared_verification_key
from portero.crypto.secret_rules import check_fallbacks
from portero.errors import ConfigurationError, InvalidToken, TokenFault
from portero.figures import kept
from portero.identity.access_tokens import Known
from portero.principal import ANON, SERVICE_ROLE, Principal
from portero.records import dataclass
from portero.store import sessions
from portero.web.runtime import Runtime

#: Seconds after a sign-in during which its tokens count as fresh.
FRESH_FOR: Final = 15 * 60
NO_REFRESH_TOKENS: Final = (
    "create_refresh_token is not served: a JWT cannot be spent once. Sign in with portero.sign_in(login, password), "
    "which opens a session with a refresh token, and refresh at POST /auth/v1/token?grant_type=refresh_token."
)

#: What Flask-JWT-Extended says of its own tokens.
WRONG_CSRF: Final = "CSRF double submit tokens do not match"
#: Python looks a member of an enumeration up at each mention, which takes longer than all else that is done with it.
_SESSION: Final = Kind.SESSION

DecodeKey = Callable[[dict[str, Any], dict[str, Any]], Any]


class Scheme(str):
    """The word before a token, equal to itself in any case of letters.

    >>> "bearer" == Scheme("Bearer")
    True
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


class SessionClaims(dict[str, Any]):
    """The claims of a session's access token; the type tells them from claims that a developer wrote.

    Attributes:
        principal: whom the verified token stands for, whatever a view writes into the claims.
    """

    __slots__ = ("principal",)
    principal: Principal


class Reader:
    """Reads the tokens of one request.

    Args:
        runtime: the application's.
        decode_key: the developer's `decode_key_loader`, or Flask-JWT-Extended's own.
    """

    def __init__(self, runtime: Runtime, decode_key: DecodeKey) -> None:
        self._runtime = runtime
        self._decode_key = decode_key

    def read(self, token: str, csrf_value: str | None, *, allow_expired: bool) -> dict[str, Any]:
        """Verify a token and give its claims as Flask-JWT-Extended wants them: with `type`, `fresh` and `jti`.

        Raises:
            jwt.InvalidTokenError, flask_jwt_extended.exceptions.JWTExtendedException: it is refused; CSRFError where
                only the CSRF value is wrong.
        """
        if csrf_value is not None and not csrf_value.isascii():
            raise CSRFError(WRONG_CSRF)
        known = self._runtime.identity.access_tokens.remembered(token, time.time())
        if known is not None and known.verified.kind is _SESSION:
            return self._of_session(known, csrf_value)
        try:
            parsed = jws.parse(token, foreign_headers=True)
            claims = rules.read(parsed.payload)
            if _is_session(claims):
                return self._read_session(token, csrf_value, allow_expired)
            return self._read_app(token, parsed, claims, csrf_value, allow_expired)
        except InvalidToken as error:
            raise _refusal(error) from error

    def _read_session(self, token: str, csrf_value: str | None, allow_expired: bool) -> dict[str, Any]:
        access_tokens = self._runtime.identity.access_tokens
        try:
            known = access_tokens.known(token, time.time())
        except InvalidToken as error:
            if error.fault is not TokenFault.EXPIRED:
                raise
            # Only the time is wrong: everything else is checked as of the moment before it expired.
            known = access_tokens.verify_expired(token, time.time())
            if not allow_expired:
                raise _expired(known.verified.header, self._of_session(known, csrf_value)) from error
        return self._of_session(known, csrf_value)

    def _of_session(self, known: Known, csrf_value: str | None) -> SessionClaims:
        """Give the claims that Flask-JWT-Extended reads, and compare the CSRF value where one is asked for."""
        read = _at_routes(self._runtime, known)
        if csrf_value is not None and not any(hmac.compare_digest(value, csrf_value) for value in read.csrf_values):
            raise CSRFError(WRONG_CSRF)
        return read.claims()

    def _read_app(
        self, token: str, parsed: UnverifiedJws, claims: dict[str, Any], csrf_value: str | None, allow_expired: bool
    ) -> dict[str, Any]:
        if _is_api_key(parsed, claims):
            raise JWTDecodeError("An API key is not an access token")
        given = self._decode_key(dict(parsed.header), claims)
        key = _first_that_fits(parsed, given, config.decode_algorithms)
        options: dict[str, Any] = {
            "algorithms": [parsed.alg],
            "audience": config.decode_audience,
            "csrf_value": csrf_value,
            "encoded_token": token,
            "identity_claim_key": config.identity_claim_key,
            "issuer": config.decode_issuer,
            "leeway": config.leeway,
            "secret": key,
            "verify_aud": config.decode_audience is not None,
            "verify_sub": config.verify_sub,
        }
        try:
            decoded: dict[str, Any] = _decode_jwt(**options, allow_expired=allow_expired)
        except jwt.ExpiredSignatureError as error:
            raise _expired(parsed.header, _decode_jwt(**options, allow_expired=True)) from error
        return decoded


@dataclass(frozen=True, slots=True)
class _AtRoutes:
    """A session's token as the developer's routes get it: made once, copied for each request.

    Attributes:
        header: the header.
        whole: the claims of which every request gets a copy.
        copies: what copies those of them that hold others: what a view changes in one is its own affair.
        principal: whom the token stands for.
        csrf_values: what a page may send; the first one is told.
    """

    header: dict[str, Any]
    whole: dict[str, Any]
    copies: tuple[tuple[str, Callable[[], Any]], ...]
    principal: Principal
    csrf_values: tuple[str, ...]

    def claims(self) -> SessionClaims:
        claims = SessionClaims(self.whole)
        claims.principal = self.principal
        for name, copy in self.copies:
            claims[name] = copy()
        return claims


def of_remembered(runtime: Runtime, known: Known) -> tuple[dict[str, Any], SessionClaims] | None:
    """Give header and claims of a session's token that was verified before; None for another kind of token."""
    if known.verified.kind is not _SESSION:
        return None
    read = _at_routes(runtime, known)
    return read.header.copy(), read.claims()


def _at_routes(runtime: Runtime, known: Known) -> _AtRoutes:
    """Make once of a session's token what every request with it gets."""
    made: _AtRoutes | None = known.at_routes
    if made is None:
        principal = known.principal
        assert principal is not None, "a session's token stands for somebody"
        # A session outlives a change of the secret, and so does the value that its page already has.
        keys, session_id = runtime.identity.keyring.derived(CSRF), str(principal.session_id).encode()
        values = tuple(hmac.digest(key, session_id, "sha256").hex() for key in keys)
        whole = _filled(known.verified.claims) | {"csrf": values[0]}
        copies = tuple((name, _copier(value)) for name, value in whole.items() if isinstance(value, dict | list))
        made = known.at_routes = _AtRoutes(dict(known.verified.header), whole, copies, principal, values)
    return made


def _copier(value: Any) -> Callable[[], Any]:
    """Give what copies a claim down to the ground: Python is needed only for what holds something again."""
    inner = enumerate(value) if isinstance(value, list) else value.items()
    copiers = [(place, _copier(each)) for place, each in inner if isinstance(each, dict | list)]
    plain: Callable[[], Any] = value.copy
    if not copiers:
        return plain

    def copy() -> Any:
        made = plain()
        for place, copier in copiers:
            made[place] = copier()
        return made

    return copy


def is_ended(runtime: Runtime, claims: Mapping[str, Any]) -> bool:
    """Tell whether these are the claims of a session that does not stand any more; asked of the database each time."""
    if not isinstance(claims, SessionClaims):
        return False
    return not sessions.stands(runtime.database, claims.principal, time.time())


def refuse_invalid(error_string: str) -> tuple[Response, int]:
    """Answer an unreadable or forged token: 401 with Flask-JWT-Extended's body; `invalid_token_loader` replaces it."""
    return jsonify({config.error_msg_key: error_string}), 401


def not_too_long(token: str) -> str:
    """Give the token back, unless no verifier would read it.

    Raises:
        ConfigurationError: it is longer than 4096 characters.
    """
    if len(token) > LONGEST_TOKEN:
        raise ConfigurationError(
            f"The token would be longer than {LONGEST_TOKEN} characters, which is never read: put less into its claims."
        )
    return token


def _is_session(claims: Mapping[str, Any]) -> bool:
    return "session_id" in claims and "type" not in claims


def _is_api_key(parsed: UnverifiedJws, claims: Mapping[str, Any]) -> bool:
    return "type" not in claims and parsed.kid is None and claims.get("role") in (ANON, SERVICE_ROLE)


def _filled(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Add the type, and until when the newest sign-in counts as fresh."""
    signed_in_at = max((entry.get("timestamp", 0) for entry in claims.get("amr", ())), default=0)
    return {**claims, "type": "access", "fresh": float(signed_in_at + FRESH_FOR)}


def _first_that_fits(parsed: UnverifiedJws, given: Any, algorithms: Iterable[str]) -> Any:
    """Check the signature strictly, with the key given and, for a shared secret, with the former ones.

    Returns:
        The key in the form that it was given in.

    Raises:
        InvalidToken: none fits, or the algorithm is not the application's.
    """
    if parsed.alg not in algorithms:
        raise InvalidToken(TokenFault.ALGORITHM)
    candidates = [given]
    if ALGORITHMS[parsed.alg].hash_name:
        candidates += check_fallbacks(current_app.config.get("JWT_SECRET_KEY_FALLBACKS"))
    for candidate in candidates:
        try:
            jws.check_signature(parsed, KeySet([replace(_typed(candidate, parsed.alg), kid=parsed.kid)]))
        except InvalidToken:
            continue
        return candidate
    raise InvalidToken(TokenFault.SIGNATURE)


@kept("developer_keys", 64)
def _typed(key: Any, alg: str) -> VerificationKey:
    """Give a key its one algorithm; a public key's text never becomes a shared secret (CVE-2022-29217)."""
    algorithm = ALGORITHMS[alg]
    try:
        prepared: Any = algorithm.primitive.prepare_key(key)
    except (jwt.InvalidKeyError, TypeError, ValueError) as error:
        raise InvalidToken(TokenFault.KEY) from error
    if algorithm.hash_name:
        return shared_verification_key(prepared, alg)
    public = prepared.public_key() if hasattr(prepared, "public_key") else prepared
    members: Any = algorithm.primitive.to_jwk(public, as_dict=True)
    return jwk.verification_key({**members, "alg": alg, "key_ops": ["verify"]})


def _refusal(error: InvalidToken) -> Exception:
    kinds: dict[TokenFault, type[jwt.InvalidTokenError]] = {
        TokenFault.AUDIENCE: jwt.InvalidAudienceError,
        TokenFault.ISSUER: jwt.InvalidIssuerError,
        TokenFault.SIGNATURE: jwt.InvalidSignatureError,
    }
    sentence = error.fault.value
    return kinds.get(error.fault, jwt.DecodeError)(sentence[0].upper() + sentence[1:])


def _expired(header: Mapping[str, Any], claims: Mapping[str, Any]) -> jwt.ExpiredSignatureError:
    """Make the exception that Flask-JWT-Extended's expired_token_loader is given header and claims of."""
    refusal: Any = jwt.ExpiredSignatureError("Signature has expired")
    refusal.jwt_header, refusal.jwt_data = dict(header), claims
    return refusal  # type: ignore[no-any-return]
