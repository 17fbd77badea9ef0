"""Access tokens: minted for sessions, verified for everybody (contract auth.md §2.5).

The one verifier of the product. A good token is remembered, so that the next request with it costs a look-up; only
that its signature and claims were right is remembered, never that its session stands: that is asked of the database
each time. Refusals are not remembered. Never reads a request.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson

from portero.crypto import claims as rules
from portero.crypto import jws
from portero.crypto.algorithms import ALGORITHMS
from portero.crypto.claims import Issuing, Kind
from portero.crypto.keyring import KeySet
from portero.errors import ConfigurationError, InvalidToken, TokenFault
from portero.figures import CacheFigures
from portero.identity.hooks import Hooks, Point
from portero.identity.keys import KeyRing
from portero.ids import random_id
from portero.principal import ANON, Principal
from portero.records import dataclass
from portero.store.sessions import SessionRecord
from portero.store.users import UserRecord
from portero.weights import weight_of

#: Verified tokens remembered in one process, and about how many bytes they hold; when it is full, the oldest quarter
#: goes. Users write their own metadata, and those of a token are fifty times its length where they are empty lists.
MOST_REMEMBERED: Final = 20_000
MOST_HELD: Final = 128 * 1024 * 1024
#: What is made of a token later, while it is remembered: forms of its facts for statements, claims for routes.
_MADE_LATER: Final = 3072
_HEADER: Final = {"typ": "JWT"}
#: Claims that are written as they are, and are texts for everybody else.
_IDS: Final = ("sub", "session_id", "jti")
#: A token is remembered under its last letters, and then compared as a whole: to hash all of it for each request takes
#: longer. The time of that tells nothing: who has these letters of a signature, 192 bits, has the token.
_TAIL: Final = 32
NO_HOOKS: Final = Hooks()
_encode: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that was verified.

    Attributes:
        kind: what sort of token it is; the caller decides which it takes.
        header: the verified header.
        claims: the verified claims.
    """

    kind: Kind
    header: Mapping[str, str]
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(slots=True, eq=False)
class Known:
    """What a process knows of a token that it has verified.

    Attributes:
        token: the compact JWT.
        deadline: Unix seconds; from then on it has to be looked at again.
        verified: what it says.
        principal: whom it stands for; None for a developer's own token.
        at_routes: what the edge made of the claims for the developer's routes; None until it has.
        weight: about how many bytes all of it holds.
    """

    token: str = field(repr=False)
    deadline: float
    verified: Verified
    principal: Principal | None
    at_routes: Any = field(default=None, repr=False)
    weight: int = 0


class _Remembered(dict[str, Known]):
    """Tokens by their last letters, and what they weigh together; who changes it has the lock."""

    weight = 0

    def add(self, tail: str, known: Known) -> None:
        self._remove(tail)
        while self and (len(self) >= MOST_REMEMBERED or self.weight + known.weight > MOST_HELD):
            for oldest in list(self)[: max(1, len(self) // 4)]:
                self._remove(oldest)
        self[tail] = known
        self.weight += known.weight

    def _remove(self, tail: str) -> None:
        former = self.pop(tail, None)
        if former is not None:
            self.weight -= former.weight


class AccessTokens:
    """Mints and verifies the access tokens of one application; shared by threads.

    Args:
        keyring: the keys.
        issuing: the exact `iss` and `aud` of session tokens.
        lifetime: of session tokens; more than an hour is cut to an hour.
        accept_shared_secret_tokens: take tokens that others made with the shared secret (migration only).
    """

    def __init__(
        self,
        keyring: KeyRing,
        issuing: Issuing,
        lifetime: timedelta = timedelta(hours=1),
        *,
        accept_shared_secret_tokens: bool = False,
    ) -> None:
        self._keyring = keyring
        self._issuing = issuing
        self._lifetime = min(int(lifetime.total_seconds()), issuing.max_lifetime)
        self._accepts_shared = accept_shared_secret_tokens
        self._lock = threading.Lock()
        self._memory: tuple[KeySet | None, _Remembered] = (None, _Remembered())
        self._asked = self._verified = 0

    @property
    def issuing(self) -> Issuing:
        """What session tokens carry as issuer and audience."""
        return self._issuing

    def mint(
        self,
        user: UserRecord,
        session: SessionRecord,
        now: datetime,
        hooks: Hooks = NO_HOOKS,
        ends_at: datetime | None = None,
    ) -> tuple[str, datetime]:
        """Make the access token of a session.

        Args:
            user: whose.
            session: of which session.
            now: the current time.
            hooks: asked for its claims.
            ends_at: when the session is over: the token lives no longer, and at least a second.

        Returns:
            The token, and when it expires.

        Raises:
            ConfigurationError: a hook made claims of it that no verifier takes.
        """
        at = now.timestamp()
        issued = int(at)
        left = self._lifetime if ends_at is None else int((ends_at - now).total_seconds())
        expires = issued + max(1, min(self._lifetime, left))
        members: dict[str, Any] = {
            "iss": self._issuing.issuer,
            "sub": user.id,
            "aud": self._issuing.audience,
            "exp": expires,
            "iat": issued,
            "email": user.email or "",
            "phone": user.phone or "",
            "app_metadata": dict(user.app_metadata),
            "user_metadata": dict(user.user_metadata),
            "role": user.role,
            "aal": session.aal,
            "amr": list(session.amr),
            "session_id": session.id,
            "is_anonymous": user.is_anonymous,
            "jti": random_id(),
        }
        write = _written_quickly
        if hooks.has(Point.CUSTOM_ACCESS_TOKEN):
            members |= {name: str(members[name]) for name in _IDS}
            members, write = self._checked(hooks.claims(user, session, members)), _written
        token = self._sign(write(members), at)
        for name in ("user_metadata", "app_metadata"):
            # Who keeps much about himself must not be locked out by his own token; policies read the row anyway.
            if len(token) > jws.LONGEST_TOKEN:
                token = self._sign(write(members | {name: {}}), at)
                members[name] = {}
        return token, datetime.fromtimestamp(expires, UTC)

    def _checked(self, members: dict[str, Any]) -> dict[str, Any]:
        try:
            rules.check(members, Kind.SESSION, self._issuing)
        except InvalidToken as cause:
            raise ConfigurationError(f"A custom_access_token hook made claims that are refused: {cause}") from cause
        return members

    def mint_app(self, members: Mapping[str, Any], now: float, header: Mapping[str, str] | None = None) -> str:
        """Sign the claims of a developer's own token; `type` must be among them, it tells the kind.

        Args:
            members: the claims, complete.
            now: Unix seconds; picks the key.
            header: further header members; only `typ` can be verified again.
        """
        assert "type" in members
        return self._sign(_written(members), now, header)

    def verify(self, token: str, now: float) -> Verified:
        """Verify a token of any kind.

        Args:
            token: the compact JWT, without scheme.
            now: Unix seconds.

        Raises:
            InvalidToken: whatever is wrong with it.
            DatabaseUnavailable: the keys had to be read again and could not be.
        """
        return self.known(token, now).verified

    def remembered(self, token: str, now: float) -> Known | None:
        """Give what `known` would, if the token was verified before and nothing has to be done for it; else None.

        Raises:
            DatabaseUnavailable: the keys had to be read again and could not be.
        """
        keys = self._keyring.verification_keys(now)
        known_by, held = self._memory
        known = held.get(token[-_TAIL:]) if known_by is keys else None
        if known is None or known.token != token or now >= known.deadline:
            return None
        self._asked += 1
        return known

    def verify_expired(self, token: str, now: float) -> Known:
        """Verify a token as of the moment before it expired: everything but that its time is over.

        Args:
            token: the compact JWT, without scheme.
            now: Unix seconds; the keys are today's.

        Raises:
            InvalidToken: whatever else is wrong with it.
            DatabaseUnavailable: the keys had to be read again and could not be.
        """
        expires_at = rules.read(jws.parse(token, foreign_headers=True).payload).get("exp")
        at = min(now, expires_at - 1) if isinstance(expires_at, int | float) else now
        return _known_of(token, self._verify(token, self._keyring.verification_keys(now), at))

    def principal(self, token: str, now: float) -> Principal:
        """Give the caller that a token stands for. Whether the session stands is still to be asked.

        Args:
            token: the compact JWT, without scheme.
            now: Unix seconds.

        Raises:
            InvalidToken: whatever is wrong with it; `KIND` for a developer's own token.
            DatabaseUnavailable: the keys had to be read again and could not be.
        """
        found = self.known(token, now).principal
        if found is None:
            raise InvalidToken(TokenFault.KIND)
        return found

    def forget(self) -> None:
        """Forget every remembered token."""
        self._memory = (None, _Remembered())

    def figures(self) -> CacheFigures:
        """Give how often a token was remembered."""
        return CacheFigures(self._asked - self._verified, self._verified, len(self._memory[1]), MOST_REMEMBERED)

    def known(self, token: str, now: float) -> Known:
        """Verify a token of any kind, and remember it.

        Args:
            token: the compact JWT, without scheme.
            now: Unix seconds.

        Raises:
            InvalidToken: whatever is wrong with it.
            DatabaseUnavailable: the keys had to be read again and could not be.
        """
        keys = self._keyring.verification_keys(now)
        known_by, remembered = self._memory
        if known_by is not keys:
            # A key came or went: what it signed is looked at again. Both are swapped as one, so that a thread that is
            # still verifying with the former keys cannot remember its answer among the new ones.
            remembered = _Remembered()
            self._memory = (keys, remembered)
        known = remembered.get(token[-_TAIL:])
        self._asked += 1
        if known is not None and known.token == token and now < known.deadline:
            return known
        self._verified += 1
        try:
            known = _known_of(token, self._verify(token, keys, now))
        except InvalidToken as refused:
            if refused.fault is not TokenFault.KEY or not self._keyring.finds_more(now):
                raise
            return self.known(token, now)
        with self._lock:
            remembered.add(token[-_TAIL:], known)
        return known

    def _verify(self, token: str, keys: KeySet, now: float) -> Verified:
        parsed = jws.parse(token, foreign_headers=True)
        if parsed.kid is not None and parsed.kid not in keys:
            raise InvalidToken(TokenFault.KEY)
        if ALGORITHMS[parsed.alg].hash_name:
            signed = jws.check_signature(parsed, keys)
            members = rules.read(signed.payload)
            rules.check_times(members, now)
        else:
            # A public-key signature costs far more than the rest: what is refusable without it is refused first.
            keys.find(parsed.kid, parsed.alg)
            members = rules.read(parsed.payload)
            rules.check_times(members, now)
            signed = jws.check_signature(parsed, keys)
        kind = rules.kind_of(signed.header, members)
        if kind is not Kind.APP and jws.has_foreign_header(signed.header):
            raise InvalidToken(TokenFault.HEADER)
        if kind is Kind.SHARED and not self._accepts_shared:
            raise InvalidToken(TokenFault.KIND)
        rules.check(members, kind, self._issuing)
        return Verified(kind, signed.header, MappingProxyType(members))

    def _sign(self, payload: bytes, now: float, header: Mapping[str, str] | None = None) -> str:
        return jws.sign({**_HEADER, **header} if header else _HEADER, payload, self._keyring.signing_key(now))


def _written(members: Claims) -> bytes:
    """Write claims that somebody else made; what JSON has no word for is refused."""
    return _encode(members).encode()


def _written_quickly(members: dict[str, Any]) -> bytes:
    """Write claims of ours: JSON as it was stored, and ids."""
    try:
        return orjson.dumps(members)
    except TypeError:  # a number of more than 64 bits
        return _written(members | {name: str(members[name]) for name in _IDS})


def _known_of(token: str, verified: Verified) -> Known:
    deadline = verified.claims.get("exp", float("inf")) + rules.LEEWAY
    weight = weight_of((token, verified)) + _MADE_LATER
    return Known(token, deadline, verified, _principal_of(verified), weight=weight)


def _principal_of(verified: Verified) -> Principal | None:
    members = verified.claims
    if verified.kind is Kind.APP:
        return None
    if verified.kind is Kind.SESSION:
        return Principal(
            role=members["role"],
            user_id=rules.uuid_of(members, "sub"),
            session_id=rules.uuid_of(members, "session_id"),
            assurance_level=members.get("aal", "aal1"),
            claims=members,
        )
    return Principal(role=members.get("role", ANON), user_id=_user_of(verified), claims=members)


def _user_of(verified: Verified) -> UUID | None:
    """Read who a hand-made token speaks for; a key speaks for nobody."""
    if verified.kind is Kind.KEY:
        return None
    try:
        return rules.uuid_of(verified.claims, "sub")
    except InvalidToken:
        return None
