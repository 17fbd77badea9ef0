"""What a verified payload says, read strictly, and the rules for each kind of token (RFC 7519 §4, RFC 8725 §3.8–3.12).

Four kinds, told apart by their claims, so that one never passes for another:

* **session**: an access token of a sign-in: iss, aud, sub, session_id, jti, iat, exp, all required, all exact.
* **key**: an `anon` or `service_role` key in the form of a JWT: HS256 without kid; sub, exp, jti optional.
* **app**: what a developer's `create_access_token` mints (it always writes `type`): for their own routes only.
* **shared**: anything else made with the shared secret; refused unless the application asks for it.

Never looks at a signature, never asks whether a session stands. Times are Unix seconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from portero import strict_json
from portero.errors import InvalidToken, TokenFault
from portero.ids import id_of
from portero.principal import ANON, SERVICE_ROLE
from portero.records import dataclass

#: Clocks drift: how far `exp`, `nbf` and `iat` may lie on the wrong side, in seconds.
LEEWAY: Final = 30
#: No access token of a session lives longer, in seconds.
LONGEST_LIFETIME: Final = 3600

_SESSION_CLAIMS = ("iss", "aud", "sub", "session_id", "jti", "iat", "exp")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LATEST = 2**33
_LONGEST_NAME = 64


class Kind(StrEnum):
    """What sort of token it is."""

    SESSION = "session"
    KEY = "key"
    APP = "app"
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Issuing:
    """What this server writes into session tokens and demands of them.

    Attributes:
        issuer: the exact `iss`.
        audience: the exact `aud`; a single text.
        max_lifetime: the longest `exp` − `iat` in seconds.
    """

    issuer: str
    audience: str = "authenticated"
    max_lifetime: int = LONGEST_LIFETIME


def read(payload: bytes) -> dict[str, Any]:
    """Read a payload as one strict JSON object.

    >>> read(b'{"sub": "a", "sub": "b"}')
    Traceback (most recent call last):
    ...
    portero.errors.InvalidToken: the header or the payload is not one strict JSON object (payload)

    Raises:
        InvalidToken: `JSON`.
    """
    try:
        claims = strict_json.parse(payload)
    except ValueError:
        raise InvalidToken(TokenFault.JSON, "payload") from None
    if not isinstance(claims, dict):
        raise InvalidToken(TokenFault.JSON, "payload")
    return claims


def check_times(claims: Mapping[str, Any], now: float) -> None:
    """Check those of exp, nbf and iat that are there.

    >>> check_times({"exp": 1000}, now=1029)
    >>> check_times({"exp": 1000}, now=1030)
    Traceback (most recent call last):
    ...
    portero.errors.InvalidToken: the token has expired

    Raises:
        InvalidToken: `CLAIM` where it is not a number of seconds, `EXPIRED`, `NOT_YET_VALID`, `ISSUED_IN_FUTURE`.
    """
    for name in ("exp", "nbf", "iat"):
        if name in claims and not _is_instant(claims[name]):
            raise InvalidToken(TokenFault.CLAIM, name)
    if now >= claims.get("exp", _LATEST) + LEEWAY:
        raise InvalidToken(TokenFault.EXPIRED)
    if now + LEEWAY < claims.get("nbf", 0):
        raise InvalidToken(TokenFault.NOT_YET_VALID)
    if now + LEEWAY < claims.get("iat", 0):
        raise InvalidToken(TokenFault.ISSUED_IN_FUTURE)


def kind_of(header: Mapping[str, str], claims: Mapping[str, Any]) -> Kind:
    """Tell the kind of a token.

    >>> kind_of({"alg": "HS256"}, {"role": "anon"}).value
    'key'
    >>> kind_of({"alg": "ES256", "kid": "k"}, {"session_id": "…"}).value
    'session'

    Raises:
        InvalidToken: `CLAIM` where it is none: only sessions and the developer's tokens have named keys.
    """
    # `type` first: a developer may let other claims be chosen, and must not thereby make sessions or keys.
    if "type" in claims:
        return Kind.APP
    if "session_id" in claims:
        return Kind.SESSION
    if header["alg"] != "HS256" or "kid" in header:
        raise InvalidToken(TokenFault.CLAIM, "session_id")
    return Kind.KEY if claims.get("role") in (ANON, SERVICE_ROLE) else Kind.SHARED


def check(claims: Mapping[str, Any], kind: Kind, issuing: Issuing) -> None:
    """Check what a kind demands of its claims, apart from the times.

    Raises:
        InvalidToken: `CLAIM`, `LIFETIME`, `ISSUER` or `AUDIENCE`; `detail` names the claim.
    """
    if kind is Kind.SESSION:
        _check_session(claims, issuing)
    elif kind is not Kind.APP:
        _check_texts(claims, ("sub", "role", "iss"))
        if claims.get("aud", issuing.audience) != issuing.audience:
            raise InvalidToken(TokenFault.AUDIENCE)


def uuid_of(claims: Mapping[str, Any], name: str) -> UUID:
    """Read a claim that is a UUID, in its one canonical spelling.

    Raises:
        InvalidToken: `CLAIM`.
    """
    value = claims.get(name)
    # UUID() would also read braces, urn: and other cases: one user must not have several names.
    if not isinstance(value, str) or _UUID.fullmatch(value) is None:
        raise InvalidToken(TokenFault.CLAIM, name)
    return id_of(int(value.replace("-", ""), 16))


def _check_session(claims: Mapping[str, Any], issuing: Issuing) -> None:
    for name in _SESSION_CLAIMS:
        if name not in claims:
            raise InvalidToken(TokenFault.CLAIM, name)
    if claims["exp"] - claims["iat"] > issuing.max_lifetime:
        raise InvalidToken(TokenFault.LIFETIME)
    if claims["iss"] != issuing.issuer:
        raise InvalidToken(TokenFault.ISSUER)
    if claims["aud"] != issuing.audience:
        raise InvalidToken(TokenFault.AUDIENCE)
    uuid_of(claims, "sub")
    uuid_of(claims, "session_id")
    for name in ("jti", "role"):
        if not isinstance(claims.get(name), str) or not 0 < len(claims[name]) <= _LONGEST_NAME:
            raise InvalidToken(TokenFault.CLAIM, name)
    if claims.get("aal", "aal1") not in ("aal1", "aal2"):
        raise InvalidToken(TokenFault.CLAIM, "aal")


def _check_texts(claims: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if name in claims and (not isinstance(claims[name], str) or not claims[name]):
            raise InvalidToken(TokenFault.CLAIM, name)


def _is_instant(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LATEST
