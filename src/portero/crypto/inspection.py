"""A token taken apart for a human: its parts, each check with its outcome, and a sentence for a beginner.

For `portero token inspect`. It runs the same functions as the verifier, so it cannot say anything else than it. Never
prints, never asks the database whether a session stands: that is said as what it cannot see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any, Final

from portero import strict_json
from portero.crypto import base64url, claims, jws
from portero.crypto.claims import Issuing, Kind
from portero.crypto.keyring import KeySet
from portero.errors import InvalidToken, TokenFault
from portero.records import dataclass

NOT_SEEN_HERE: Final = (
    "Not seen here: whether the session still stands and the user is not banned. The server asks its database that, "
    "at every request."
)


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: what is checked, in two or three words.
        outcome: how it ended.
        sentence: what that means, for somebody who has never seen a JWT.
    """

    name: str
    outcome: Outcome
    sentence: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """A token taken apart.

    Attributes:
        header: the first part, or None where it cannot be read.
        payload: the second part, or None where it cannot be read. Not to be believed unless `is_valid`.
        signature: the third part as it stands.
        checks: in the order in which the server makes them.
        kind: what sort of token it is, where that was reached.
        fault: the sentence of the check that failed, or "".
    """

    header: Mapping[str, Any] | None
    payload: Mapping[str, Any] | None = field(repr=False)
    signature: str = field(repr=False)
    checks: tuple[Check, ...]
    kind: Kind | None
    fault: str

    @property
    def is_valid(self) -> bool:
        """Whether every check passed."""
        return not self.fault


@dataclass(frozen=True, slots=True)
class _Stage:
    name: str
    faults: frozenset[TokenFault]
    good: str
    bad: str


_STAGES: Final = (
    _Stage(
        "form",
        frozenset({TokenFault.TOO_LONG, TokenFault.EMPTY, TokenFault.PARTS, TokenFault.ENCODING}),
        "It has three parts (header, payload, signature) in base64url, joined by dots.",
        "A JWT is three parts in base64url, joined by dots, at most 4096 characters. This is not; was it copied whole?",
    ),
    _Stage(
        "header",
        frozenset({TokenFault.JSON, TokenFault.HEADER, TokenFault.TYPE}),
        "The header is plain JSON and asks for nothing unusual.",
        "The header may name alg, kid and typ, nothing else. Keys or links inside a token are an attacker's, not ours.",
    ),
    _Stage(
        "key",
        frozenset({TokenFault.KEY, TokenFault.ALGORITHM}),
        "This server has the key that the header names, and the key is for that algorithm.",
        "This server has no such key for this algorithm: another server made it, the key is retired, or it is forged.",
    ),
    _Stage(
        "signature",
        frozenset({TokenFault.SIGNATURE}),
        "The signature fits: who made this token has the key, and nobody changed a character since.",
        "Another secret made it, or it was changed since. Nothing in it may be believed.",
    ),
    _Stage(
        "payload",
        frozenset(),
        "The payload is one plain JSON object.",
        "The payload is not one plain JSON object (a claim may stand twice in it).",
    ),
    _Stage(
        "times",
        frozenset({TokenFault.EXPIRED, TokenFault.NOT_YET_VALID, TokenFault.ISSUED_IN_FUTURE}),
        "It is valid now: exp lies ahead, iat and nbf do not.",
        "It is not valid now. An expired token is normal: the client gets a new one with its refresh token.",
    ),
    _Stage(
        "kind",
        frozenset({TokenFault.KIND}),
        "It is of a kind that this server makes.",
        "The server did not make this for a session: it has no session_id. Hand-made tokens are off by default.",
    ),
    _Stage(
        "claims",
        frozenset({TokenFault.CLAIM, TokenFault.LIFETIME, TokenFault.ISSUER, TokenFault.AUDIENCE}),
        "The claims that this kind needs are there and say what they must.",
        "A claim is missing or wrong: an access token of this server has iss, aud, sub, session_id, jti, iat and exp.",
    ),
)
_STAGE_NAMES = tuple(stage.name for stage in _STAGES)


def inspect(
    token: str, keys: KeySet, issuing: Issuing, now: float, *, accept_shared_secret_tokens: bool = False
) -> Inspection:
    """Take a token apart and make every check that needs no database.

    Args:
        token: whatever was pasted; surrounding white space and a `Bearer ` are dropped.
        keys: the keys of this server.
        issuing: the issuer and audience of this server.
        now: Unix seconds.
        accept_shared_secret_tokens: as the setting.
    """
    text = token.strip()
    if text[:7].lower() == "bearer ":
        text = text[7:].strip()
    kind: Kind | None = None
    failed, fault = len(_STAGES), ""
    try:
        parsed = jws.parse(text, foreign_headers=True)
        signed = jws.check_signature(parsed, keys)
        members = claims.read(signed.payload)
        claims.check_times(members, now)
        kind = claims.kind_of(signed.header, members)
        _check_kind(kind, signed.header, accept_shared_secret_tokens)
        claims.check(members, kind, issuing)
    except InvalidToken as error:
        failed, fault = _stage_of(error), str(error)
    parts = [*text.split("."), "", ""]
    checks = tuple(_check(place, failed, fault) for place in range(len(_STAGES)))
    return Inspection(_readable(parts[0]), _readable(parts[1]), parts[2], checks, kind, fault)


def _check_kind(kind: Kind, header: Mapping[str, str], accept_shared: bool) -> None:
    if kind is not Kind.APP and jws.has_foreign_header(header):
        raise InvalidToken(TokenFault.HEADER)
    if kind is Kind.SHARED and not accept_shared:
        raise InvalidToken(TokenFault.KIND)


def _stage_of(error: InvalidToken) -> int:
    if error.fault is TokenFault.JSON and error.detail == "payload":
        return _STAGE_NAMES.index("payload")
    return next(place for place, stage in enumerate(_STAGES) if error.fault in stage.faults)


def _check(place: int, failed: int, fault: str) -> Check:
    stage = _STAGES[place]
    if place < failed:
        return Check(stage.name, Outcome.OK, stage.good)
    if place > failed:
        return Check(stage.name, Outcome.NOT_REACHED, "Not looked at, because an earlier check failed.")
    return Check(stage.name, Outcome.FAILED, f"{fault[:1].upper()}{fault[1:]}. {stage.bad}")


def _readable(part: str) -> Mapping[str, Any] | None:
    """Show a part where it can be read at all; what is shown is not believed."""
    try:
        value = strict_json.parse(base64url.decode(part[: jws.LONGEST_TOKEN]))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
