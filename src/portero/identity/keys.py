"""The keys that sign and verify access tokens, for one application in all its workers.

Without more, `JWT_SECRET_KEY` signs (HS256) and `JWT_SECRET_KEY_FALLBACKS` still verify. The first
`portero keys new --alg ES256` turns to published keys: kept in the database, the private half sealed, read again by
every worker within a second. A key signs only when every worker must know it, and verifies until it is retired, so no
rotation ends a session. Never signs with an older key than the newest active one (CVE-2025-47278), never shows a
private half.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from portero.crypto import derived_keys, jwk, sealing
from portero.crypto.claims import LEEWAY, LONGEST_LIFETIME
from portero.crypto.keyring import (
    KeySet,
    SigningKey,
    VerificationKey,
    shared_signing_key,
    shared_verification_key,
)
from portero.crypto.secret_rules import check_fallbacks, check_secret
from portero.errors import ConfigurationError
from portero.events import Event, Happening
from portero.store import audit, signing_keys
from portero.store.engine import Database
from portero.store.signing_keys import SigningKeyRecord

#: Seconds after which what the ring knows is read again, on the next use.
RELOAD_AFTER: Final = 1.0
#: Seconds after which it is read again for a token that names a key which is not known.
RELOAD_FOR_UNKNOWN_AFTER: Final = 0.1
#: A key signs this long after its activation was written: every worker has read it by then.
ACTIVATION_DELAY: Final = timedelta(seconds=2)
#: How long tokens of a key may live on after another has taken over.
OVERLAP: Final = timedelta(seconds=LONGEST_LIFETIME + 2 * LEEWAY)


class KeyRing:
    """The keys of one application; one per process, shared by its threads. Made by `KeyRing.open`."""

    def __init__(self, database: Database, secret: bytes, fallbacks: tuple[bytes, ...]) -> None:
        self._database = database
        self._secrets = (secret, *fallbacks)
        self._derived: dict[str, tuple[bytes, ...]] = {}
        self._sealing_keys = self.derived(derived_keys.SEAL_SIGNING_KEYS)
        self._shared = tuple(shared_verification_key(each) for each in self._secrets)
        self._shared_signing = shared_signing_key(secret)
        self._unsealed: dict[str, SigningKey] = {}
        self._records: tuple[SigningKeyRecord, ...] = ()
        self._set = KeySet(self._shared)
        self._loaded_at = float("-inf")
        self._reading = threading.Lock()

    @classmethod
    def open(cls, database: Database, secret: Any, fallbacks: Any = None, *, now: float) -> KeyRing:
        """Open the ring of an application.

        Private keys that a former secret sealed are sealed anew under the present one.

        Args:
            database: with Portero's tables in it.
            secret: `JWT_SECRET_KEY`.
            fallbacks: `JWT_SECRET_KEY_FALLBACKS`.
            now: Unix seconds.

        Raises:
            ConfigurationError: an unfit secret, or none of them opens the kept keys.
            DatabaseUnavailable: the keys cannot be read.
        """
        ring = cls(database, check_secret(secret), check_fallbacks(fallbacks))
        ring._load(now)
        for record in ring._records:
            ring._reseal(record)
        return ring

    def __repr__(self) -> str:
        return f"<KeyRing {self._set!r}>"

    def derived(self, label: str) -> tuple[bytes, ...]:
        """Give the keys for one purpose: the present secret's first, then those of the former ones."""
        made = self._derived.get(label)
        if made is None:
            made = self._derived[label] = tuple(derived_keys.derive(secret, label) for secret in self._secrets)
        return made

    def verification_keys(self, now: float) -> KeySet:
        """Give the keys that verify; the same object as long as nothing changed, so that it can mark a cache.

        Args:
            now: Unix seconds; what is known for longer than a second is read again.

        Raises:
            DatabaseUnavailable: it had to be read again and could not.
        """
        if not -RELOAD_AFTER < now - self._loaded_at < RELOAD_AFTER:
            self._load(now)
        return self._set

    def finds_more(self, now: float) -> bool:
        """Read the keys again for a token of an unknown one, and tell whether others are known now.

        Another node, whose clock is ahead, may sign with a new key before this one has read it. Who sends tokens of no
        key at all has it read ten times a second, no oftener.

        Args:
            now: Unix seconds.

        Raises:
            DatabaseUnavailable: they could not be read.
        """
        former = self._set
        if not -RELOAD_FOR_UNKNOWN_AFTER < now - self._loaded_at < RELOAD_FOR_UNKNOWN_AFTER:
            self._load(now)
        return self._set is not former

    def signing_key(self, now: float) -> SigningKey:
        """Give the key that signs: the one activated last, or the secret where there is none.

        Args:
            now: Unix seconds.
        """
        self.verification_keys(now)
        active = [
            record
            for record in self._records
            if record.kid in self._unsealed and record.activated_at and record.activated_at.timestamp() <= now
        ]
        if not active:
            return self._shared_signing
        return self._unsealed[max(active, key=lambda record: (record.activated_at, record.kid)).kid]

    def jwks(self, now: float) -> dict[str, list[dict[str, Any]]]:
        """Give the JWK Set to publish: public keys that verify, no others (RFC 7517 §5)."""
        self.verification_keys(now)
        return {"keys": [dict(record.public_jwk) for record in self._records]}

    def listing(self) -> tuple[SigningKeyRecord, ...]:
        """Give every key there ever was, oldest first, for an administrator."""
        with self._database.reading() as connection:
            return signing_keys.every(connection)

    def ensure(self, alg: str, now: float) -> None:
        """See to it that there is a signing key; made once, also when several processes start together.

        Raises:
            ConfigurationError: keys for `alg` cannot be made.
        """
        self._change(alg, now, only_first=True)

    def create(self, alg: str, now: float) -> SigningKeyRecord:
        """Make a key. The first one of an application signs at once; a further one is published, until `rotate`.

        Raises:
            ConfigurationError: keys for `alg` cannot be made.
        """
        created = self._change(alg, now, only_first=False)
        assert created is not None
        return created

    def rotate(self, now: float) -> SigningKeyRecord:
        """Let the newest published key sign, or a new one where none waits; the former ones go on verifying.

        Raises:
            ConfigurationError: there is no key yet.
        """
        at = _instant(now)
        with self._database.writing() as connection:
            signing_keys.lock(connection)
            standing = [key for key in signing_keys.every(connection) if key.status != "retired"]
            if not standing:
                raise ConfigurationError("There is no key to rotate; begin with: portero keys new --alg ES256")
            waiting = [key for key in standing if key.activated_at is None]
            chosen = waiting[-1] if waiting else self._insert(connection, standing[-1].alg, at)
            signing_keys.activate(connection, chosen.kid, at + ACTIVATION_DELAY)
            audit.record(connection, Event(Happening.KEY_ROTATED, at, details={"kid": chosen.kid, "alg": chosen.alg}))
        self._load(now)
        return next(key for key in self._records if key.kid == chosen.kid)

    def retire(self, kid: str, now: float, *, at_once: bool = False) -> None:
        """End a key: tokens that it signed are refused from now on, by every worker within a second.

        Args:
            kid: the key's name.
            now: Unix seconds.
            at_once: also where tokens of it may still live (a key that leaked); their owners refresh and go on.

        Raises:
            ConfigurationError: no such key, it is the one that signs, or tokens of it may still live.
        """
        at = _instant(now)
        with self._database.writing() as connection:
            signing_keys.lock(connection)
            keys = signing_keys.every(connection)
            if not any(key.kid == kid and key.status != "retired" for key in keys):
                raise ConfigurationError("There is no such key, or it is retired already; see: portero keys list")
            if not at_once:
                _check_unused(kid, [key for key in keys if key.status != "retired"], at)
            signing_keys.retire(connection, kid, at)
            audit.record(connection, Event(Happening.KEY_RETIRED, at, details={"kid": kid}))
        self._load(now)

    def _change(self, alg: str, now: float, *, only_first: bool) -> SigningKeyRecord | None:
        at = _instant(now)
        with self._database.writing() as connection:
            signing_keys.lock(connection)
            standing = [key for key in signing_keys.every(connection) if key.status != "retired"]
            if standing and only_first:
                return None
            record = self._insert(connection, alg, at)
            if not any(key.activated_at for key in standing):
                signing_keys.activate(connection, record.kid, at + ACTIVATION_DELAY)
        self._load(now)
        return next(key for key in self._records if key.kid == record.kid)

    def _insert(self, connection: sa.Connection, alg: str, at: datetime) -> SigningKeyRecord:
        pair = jwk.generate(alg)
        sealed = sealing.seal(pair.private_der, self._sealing_keys[0], pair.kid)
        record = SigningKeyRecord(pair.kid, alg, pair.public_jwk, sealed, "published", at, None, None)
        signing_keys.insert(connection, record)
        audit.record(connection, Event(Happening.KEY_CREATED, at, details={"kid": pair.kid, "alg": alg}))
        return record

    def _load(self, now: float) -> None:
        with self._reading:
            with self._database.reading() as connection:
                every = signing_keys.every(connection)
            records = tuple(record for record in every if record.status != "retired")
            if records != self._records:
                self._take(records)
            self._loaded_at = now

    def _take(self, records: tuple[SigningKeyRecord, ...]) -> None:
        """Make the keys of new rows. What was unsealed once is kept: a worker may outlive its secret's replacement."""
        public: list[VerificationKey] = []
        unsealed: dict[str, SigningKey] = {}
        for record in records:
            public.append(jwk.verification_key(record.public_jwk))
            key = self._unsealed.get(record.kid) or self._unseal(record)
            if key:
                unsealed[record.kid] = key
        former = {record.kid for record in self._records}
        self._unsealed, self._records = unsealed, records
        # A new object empties the caches that hang on it; an activation alone changes nothing for a verifier.
        if former != {record.kid for record in records}:
            self._set = KeySet([*public, *self._shared])

    def _unseal(self, record: SigningKeyRecord) -> SigningKey | None:
        try:
            private, _ = sealing.unseal(record.sealed_private_key or b"", self._sealing_keys, record.kid)
        except ValueError:
            return None
        return jwk.signing_key(record.kid, record.alg, private)

    def _reseal(self, record: SigningKeyRecord) -> None:
        former = record.sealed_private_key or b""
        try:
            private, key = sealing.unseal(former, self._sealing_keys, record.kid)
        except ValueError:
            raise ConfigurationError(
                f"JWT_SECRET_KEY does not open the signing key {record.kid}; if it was changed, put the former "
                f"one into JWT_SECRET_KEY_FALLBACKS; if that is lost: portero keys retire --now {record.kid}, and a "
                "new key."
            ) from None
        if key is self._sealing_keys[0]:
            return
        with self._database.writing() as connection:
            sealed = sealing.seal(private, self._sealing_keys[0], record.kid)
            signing_keys.reseal(connection, record.kid, former, sealed)


def _check_unused(kid: str, standing: Sequence[SigningKeyRecord], at: datetime) -> None:
    """Refuse to retire a key that signs, or whose tokens may still live."""
    signed = sorted((key.activated_at, key.kid) for key in standing if key.activated_at is not None)
    later = [activated_at for activated_at, other in signed if other != kid]
    own = next((activated_at for activated_at, other in signed if other == kid), None)
    if own is None:
        return
    successors = [activated_at for activated_at in later if activated_at >= own]
    if not successors:
        raise ConfigurationError("This key signs; let another take over first: portero keys rotate")
    free_at = min(successors) + OVERLAP
    if at < free_at:
        raise ConfigurationError(
            f"Tokens of this key may live until {free_at:%Y-%m-%d %H:%M} UTC; retire it then, or --now if it leaked."
        )


def _instant(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)
