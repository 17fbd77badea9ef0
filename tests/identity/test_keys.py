"""Keys are made once, sealed, seen by every worker, and rotated without signing anybody out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest

from portero.crypto import derived_keys, jwk, jws, refresh_tokens
from portero.errors import ConfigurationError, InvalidToken, TokenFault
from portero.events import Happening
from portero.identity.keys import ACTIVATION_DELAY, OVERLAP, RELOAD_AFTER, KeyRing
from portero.store import audit, signing_keys
from portero.store.engine import Database

NOW = 1_800_000_000.0
DELAY = ACTIVATION_DELAY.total_seconds()
SECRET, NEXT = "kX9vT2mQ7bW4pL8sD1fG6hJ3nR5cY0zA", "Qw7nE3rT9yU1iO5pA2sD4fG6hJ8kL0zX"


@pytest.fixture
def ring(sqlite_database: Database) -> KeyRing:
    return KeyRing.open(sqlite_database, SECRET, now=NOW)


@pytest.fixture
def second_worker(sqlite_database: Database) -> Iterator[KeyRing]:
    """The same application in another process: its own connection, its own memory."""
    other = Database.open(sqlite_database.url)
    yield KeyRing.open(other, SECRET, now=NOW)
    other.close()


def token_of(ring: KeyRing, now: float) -> str:
    """Sign something with the key that signs now."""
    return jws.sign({}, b"{}", ring.signing_key(now))


def kid_of(token: str) -> str | None:
    return jws.parse(token).kid


def fault(ring: KeyRing, token: str, now: float) -> TokenFault:
    with pytest.raises(InvalidToken) as refusal:
        jws.verify(token, ring.verification_keys(now))
    return refusal.value.fault


def test_the_secret_signs_where_there_is_no_key(ring: KeyRing) -> None:
    token = token_of(ring, NOW)
    assert {"alg": "HS256"} == jws.verify(token, ring.verification_keys(NOW)).header
    assert {"keys": []} == ring.jwks(NOW)


@pytest.mark.parametrize("secret", [None, "super-secret", "x" * 31])
def test_an_unfit_secret_opens_no_ring(sqlite_database: Database, secret: str | None) -> None:
    """JV-04."""
    with pytest.raises(ConfigurationError, match="JWT_SECRET_KEY"):
        KeyRing.open(sqlite_database, secret, now=NOW)
    with pytest.raises(ConfigurationError, match="JWT_SECRET_KEY_FALLBACKS"):
        KeyRing.open(sqlite_database, SECRET, ["super-secret"], now=NOW)


def test_a_changed_secret_signs_and_the_former_one_still_verifies(sqlite_database: Database, ring: KeyRing) -> None:
    """JV-34: the newest signs, never a fallback (CVE-2025-47278)."""
    old = token_of(ring, NOW)
    changed = KeyRing.open(sqlite_database, NEXT, [SECRET], now=NOW)
    assert jws.verify(old, changed.verification_keys(NOW))
    assert TokenFault.SIGNATURE is fault(ring, token_of(changed, NOW), NOW)
    assert TokenFault.SIGNATURE is fault(KeyRing.open(sqlite_database, NEXT, now=NOW), old, NOW)


def test_refresh_tokens_outlive_a_change_of_the_secret(sqlite_database: Database, ring: KeyRing) -> None:
    session_id = UUID("11111111-1111-4111-8111-111111111111")
    old = refresh_tokens.encode(session_id, 4, ring.derived(derived_keys.REFRESH_TOKEN_MAC)[0])
    changed = KeyRing.open(sqlite_database, NEXT, [SECRET], now=NOW)
    assert (session_id, 4) == refresh_tokens.decode(old, changed.derived(derived_keys.REFRESH_TOKEN_MAC))


def test_the_first_key_signs_after_the_delay_in_which_every_worker_learns_it(
    ring: KeyRing, second_worker: KeyRing
) -> None:
    created = ring.create("ES256", NOW)
    assert ("active", NOW + DELAY) == (created.status, created.activated_at and created.activated_at.timestamp())
    assert kid_of(token_of(ring, NOW + DELAY - 0.01)) is None
    token = token_of(ring, NOW + DELAY)
    assert created.kid == kid_of(token)
    assert jws.verify(token, second_worker.verification_keys(NOW + DELAY)).key.alg == "ES256"
    assert created.kid == kid_of(token_of(second_worker, NOW + DELAY))


def test_the_reload_comes_before_a_new_key_signs() -> None:
    assert RELOAD_AFTER < DELAY


def test_what_was_signed_with_the_secret_stays_valid_after_turning_to_published_keys(ring: KeyRing) -> None:
    old = token_of(ring, NOW)
    ring.create("ES256", NOW)
    assert jws.verify(old, ring.verification_keys(NOW + 10))


@pytest.mark.parametrize("alg", ["RS256", "EdDSA"])
def test_keys_of_the_other_algorithms_sign_too(ring: KeyRing, alg: str) -> None:
    created = ring.create(alg, NOW)
    verified = jws.verify(token_of(ring, NOW + DELAY), ring.verification_keys(NOW + DELAY))
    assert (alg, created.kid) == (verified.key.alg, verified.key.kid)


@pytest.mark.parametrize("alg", ["HS256", "none", "ES384"])
def test_no_key_is_made_for_another_algorithm(ring: KeyRing, alg: str) -> None:
    with pytest.raises(ConfigurationError, match="Keys can be made for"):
        ring.create(alg, NOW)
    assert () == ring.listing()


def test_the_private_half_is_sealed_in_the_database(ring: KeyRing, sqlite_database: Database) -> None:
    created = ring.create("ES256", NOW)
    assert created.sealed_private_key is not None
    with pytest.raises(ValueError, match=r"."):
        jwk.signing_key(created.kid, "ES256", created.sealed_private_key)
    assert "sealed_private_key" not in repr(created)
    assert "d" not in created.public_jwk


def test_a_second_key_is_published_first_and_signs_after_rotate(ring: KeyRing) -> None:
    """JV-34: publish, wait, sign."""
    first = ring.create("ES256", NOW)
    second = ring.create("ES256", NOW + 10)
    assert "published" == second.status
    assert first.kid == kid_of(token_of(ring, NOW + 100))
    assert [first.kid, second.kid] == [key["kid"] for key in ring.jwks(NOW + 100)["keys"]]
    rotated = ring.rotate(NOW + 200)
    assert (second.kid, "active") == (rotated.kid, rotated.status)
    assert first.kid == kid_of(token_of(ring, NOW + 200))
    assert second.kid == kid_of(token_of(ring, NOW + 200 + DELAY))
    assert ["published", "active"] == [key.status for key in ring.listing()]


def test_rotate_makes_a_key_where_none_waits(ring: KeyRing) -> None:
    first = ring.create("EdDSA", NOW)
    second = ring.rotate(NOW + 10)
    assert first.kid != second.kid
    assert "EdDSA" == second.alg


def test_there_is_nothing_to_rotate_before_the_first_key(ring: KeyRing) -> None:
    with pytest.raises(ConfigurationError, match="portero keys new"):
        ring.rotate(NOW)


def test_a_rotation_signs_nobody_out(ring: KeyRing, second_worker: KeyRing) -> None:
    """JV-34."""
    ring.create("ES256", NOW)
    old = token_of(ring, NOW + 10)
    ring.rotate(NOW + 20)
    for worker in (ring, second_worker):
        assert jws.verify(old, worker.verification_keys(NOW + 3000))


def test_a_retired_keys_tokens_are_refused_by_every_worker_within_a_second(
    ring: KeyRing, second_worker: KeyRing
) -> None:
    """JV-34."""
    first = ring.create("ES256", NOW)
    old = token_of(ring, NOW + 10)
    assert jws.verify(old, second_worker.verification_keys(NOW + 10))
    ring.rotate(NOW + 20)
    at = NOW + 20 + DELAY + OVERLAP.total_seconds()
    ring.retire(first.kid, at)
    for worker in (ring, second_worker):
        assert TokenFault.KEY is fault(worker, old, at + RELOAD_AFTER)
    assert [False] == [key["kid"] == first.kid for key in ring.jwks(at)["keys"]]
    retired = ring.listing()[0]
    assert ("retired", None) == (retired.status, retired.sealed_private_key)


def test_a_key_is_not_retired_while_its_tokens_live(ring: KeyRing) -> None:
    first = ring.create("ES256", NOW)
    with pytest.raises(ConfigurationError, match="portero keys rotate"):
        ring.retire(first.kid, NOW + 10)
    ring.rotate(NOW + 20)
    with pytest.raises(ConfigurationError, match="may live until"):
        ring.retire(first.kid, NOW + 20 + OVERLAP.total_seconds())
    assert first.kid in ring.verification_keys(NOW + 20)


def test_a_leaked_key_is_retired_at_once(ring: KeyRing) -> None:
    first = ring.create("ES256", NOW)
    token = token_of(ring, NOW + 10)
    ring.retire(first.kid, NOW + 20, at_once=True)
    assert TokenFault.KEY is fault(ring, token, NOW + 20)
    assert kid_of(token_of(ring, NOW + 20)) is None


def test_a_key_that_never_signed_is_retired_at_once(ring: KeyRing) -> None:
    ring.create("ES256", NOW)
    waiting = ring.create("ES256", NOW + 1)
    ring.retire(waiting.kid, NOW + 2)
    assert waiting.kid not in ring.verification_keys(NOW + 2)


@pytest.mark.parametrize("kid", ["", "unknown", "x' OR 1=1 --"])
def test_an_unknown_key_cannot_be_retired(ring: KeyRing, kid: str) -> None:
    with pytest.raises(ConfigurationError, match="no such key"):
        ring.retire(kid, NOW, at_once=True)


def test_a_key_is_retired_once(ring: KeyRing) -> None:
    first = ring.create("ES256", NOW)
    ring.retire(first.kid, NOW, at_once=True)
    with pytest.raises(ConfigurationError, match="retired already"):
        ring.retire(first.kid, NOW, at_once=True)


def test_four_workers_that_start_together_make_one_key(database: Database) -> None:
    rings = [KeyRing.open(database, SECRET, now=NOW) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda each: each.ensure("ES256", NOW), rings))
    assert 1 == len(rings[0].listing())
    kid = rings[0].listing()[0].kid
    assert [kid] * 4 == [kid_of(token_of(each, NOW + DELAY)) for each in rings]


def test_a_ring_on_either_database_rotates_and_retires(database: Database) -> None:
    ring = KeyRing.open(database, SECRET, now=NOW)
    first = ring.create("ES256", NOW)
    ring.rotate(NOW + 10)
    ring.retire(first.kid, NOW + 20, at_once=True)
    assert ["retired", "active"] == [key.status for key in ring.listing()]
    changed = KeyRing.open(database, NEXT, [SECRET], now=NOW + 30)
    assert KeyRing.open(database, NEXT, now=NOW + 30).signing_key(NOW + 30).kid == changed.signing_key(NOW + 30).kid


def test_a_changed_secret_seals_the_keys_anew(ring: KeyRing, sqlite_database: Database) -> None:
    created = ring.create("ES256", NOW)
    KeyRing.open(sqlite_database, NEXT, [SECRET], now=NOW)
    with sqlite_database.reading() as connection:
        resealed = signing_keys.every(connection)[0]
    assert created.sealed_private_key != resealed.sealed_private_key
    assert created.kid == kid_of(token_of(KeyRing.open(sqlite_database, NEXT, now=NOW), NOW + DELAY))


def test_a_worker_that_outlives_the_secret_goes_on_signing_and_takes_new_keys(
    ring: KeyRing, sqlite_database: Database
) -> None:
    first = ring.create("ES256", NOW)
    changed = KeyRing.open(sqlite_database, NEXT, [SECRET], now=NOW)
    assert first.kid == kid_of(token_of(ring, NOW + 10))
    second = changed.rotate(NOW + 20)
    token = token_of(changed, NOW + 30)
    assert second.kid == jws.verify(token, ring.verification_keys(NOW + 30)).key.kid
    assert first.kid == kid_of(token_of(ring, NOW + 30))


def test_a_secret_that_opens_no_key_stops_the_start_and_says_what_to_do(
    ring: KeyRing, sqlite_database: Database
) -> None:
    ring.create("ES256", NOW)
    with pytest.raises(ConfigurationError, match="JWT_SECRET_KEY_FALLBACKS"):
        KeyRing.open(sqlite_database, NEXT, now=NOW)


def test_the_same_object_is_given_while_no_key_came_or_went(ring: KeyRing) -> None:
    first = ring.verification_keys(NOW)
    assert first is ring.verification_keys(NOW + 100)
    ring.create("ES256", NOW + 100)
    second = ring.verification_keys(NOW + 100)
    assert first is not second
    assert second is ring.verification_keys(NOW + 200)


def test_the_keys_are_read_at_most_once_a_second(ring: KeyRing, second_worker: KeyRing) -> None:
    """JV-10: an unknown kid asks nobody."""
    second_worker.verification_keys(NOW + 10)
    ring.create("ES256", NOW + 10)
    assert [] == second_worker.jwks(NOW + 10.9)["keys"]
    assert 1 == len(second_worker.jwks(NOW + 11)["keys"])


def test_a_clock_that_is_set_back_does_not_stop_the_reading(ring: KeyRing, second_worker: KeyRing) -> None:
    second_worker.verification_keys(NOW + 1000)
    ring.create("ES256", NOW)
    assert 1 == len(second_worker.jwks(NOW)["keys"])


def test_what_is_published_is_public(ring: KeyRing) -> None:
    """JV-35."""
    for alg in jwk.ISSUED_ALGORITHMS:
        ring.create(alg, NOW)
    published = ring.jwks(NOW)["keys"]
    assert 3 == len(published)
    for key in published:
        assert {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}.isdisjoint(key)
        assert key["kty"] != "oct"
        assert jwk.thumbprint(key) == key["kid"]
    jwk.verification_keys({"keys": published})


def test_every_change_is_in_the_audit(ring: KeyRing, sqlite_database: Database) -> None:
    first = ring.create("ES256", NOW)
    ring.rotate(NOW + 1)
    ring.retire(first.kid, NOW + 2, at_once=True)
    with sqlite_database.reading() as connection:
        happenings = sorted(event.happening for event in audit.latest(connection, 10))
    assert [Happening.KEY_CREATED, Happening.KEY_CREATED, Happening.KEY_RETIRED, Happening.KEY_ROTATED] == happenings


def test_no_representation_shows_a_secret(ring: KeyRing) -> None:
    assert SECRET not in repr(ring)
    assert timedelta(seconds=2) == ACTIVATION_DELAY
