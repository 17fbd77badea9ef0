"""One verifier for all: sessions, keys, developers' tokens; what is remembered, and what never is."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.crypto.forging import hmac_token

from portero.crypto import jws
from portero.crypto.claims import Issuing, Kind
from portero.errors import InvalidToken, TokenFault
from portero.identity import access_tokens
from portero.identity.access_tokens import AccessTokens
from portero.identity.keys import KeyRing
from portero.principal import Principal
from portero.store.engine import Database
from portero.store.sessions import SessionRecord
from portero.store.users import UserRecord

AT = datetime(2027, 1, 15, 8, 0, 0, 250_000, tzinfo=UTC)
NOW = AT.timestamp()
SECRET, NEXT = "kX9vT2mQ7bW4pL8sD1fG6hJ3nR5cY0zA", "Qw7nE3rT9yU1iO5pA2sD4fG6hJ8kL0zX"
ISSUING = Issuing("https://app.example/auth/v1")
USER = UserRecord(
    id=UUID("11111111-1111-4111-8111-111111111111"),
    email="ana@example.org",
    app_metadata={"provider": "email", "providers": ["email"]},
    user_metadata={"name": "Ana"},
    created_at=AT,
    updated_at=AT,
)
SESSION = SessionRecord(
    id=UUID("22222222-2222-4222-8222-222222222222"),
    user_id=USER.id,
    created_at=AT,
    amr=[{"method": "password", "timestamp": int(NOW)}],
)
HEADER = {"alg": "HS256", "typ": "JWT"}


def test_a_key_that_another_node_signs_with_already_is_read_when_its_first_token_comes(
    sqlite_database: Database,
) -> None:
    """The other node's clock is five seconds ahead: for it the key signs, and this one has just read the keys."""
    here, there = (KeyRing.open(sqlite_database, SECRET, now=NOW - 10) for _ in range(2))
    AccessTokens(here, ISSUING).verify(AccessTokens(here, ISSUING).mint(USER, SESSION, AT)[0], NOW)
    there.create("ES256", NOW)
    token, _ = AccessTokens(there, ISSUING).mint(USER, SESSION, AT + timedelta(seconds=5))
    assert Kind.SESSION is AccessTokens(here, ISSUING).verify(token, NOW + 0.5).kind


def test_tokens_of_no_key_have_the_keys_read_ten_times_a_second_at_most(sqlite_database: Database) -> None:
    here = KeyRing.open(sqlite_database, SECRET, now=NOW)
    assert not here.finds_more(NOW + 0.05)
    KeyRing.open(sqlite_database, SECRET, now=NOW).create("ES256", NOW)
    assert not here.finds_more(NOW + 0.05)
    assert here.finds_more(NOW + 0.15)


@pytest.fixture
def ring(sqlite_database: Database) -> KeyRing:
    return KeyRing.open(sqlite_database, SECRET, now=NOW)


@pytest.fixture
def tokens(ring: KeyRing) -> AccessTokens:
    return AccessTokens(ring, ISSUING)


def claims_of(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(jws.parse(token).payload)
    return found


def refusal(ask: Callable[[], object]) -> TokenFault:
    with pytest.raises(InvalidToken) as caught:
        ask()
    return caught.value.fault


def test_a_session_token_has_the_contracts_claims(tokens: AccessTokens) -> None:
    token, expires_at = tokens.mint(USER, SESSION, AT)
    claims = claims_of(token)
    assert len(claims.pop("jti")) == 36
    assert {
        "iss": "https://app.example/auth/v1",
        "sub": str(USER.id),
        "aud": "authenticated",
        "exp": int(NOW) + 3600,
        "iat": int(NOW),
        "email": "ana@example.org",
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"name": "Ana"},
        "role": "authenticated",
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": int(NOW)}],
        "session_id": str(SESSION.id),
        "is_anonymous": False,
    } == claims
    assert claims["exp"] == expires_at.timestamp()
    assert {"alg": "HS256", "typ": "JWT"} == jws.parse(token).header


def test_a_session_token_stands_for_its_user(tokens: AccessTokens) -> None:
    token, _ = tokens.mint(USER, SESSION, AT)
    expected = Principal("authenticated", USER.id, SESSION.id, "aal1", claims_of(token))
    assert expected == tokens.principal(token, NOW)
    assert Kind.SESSION is tokens.verify(token, NOW).kind


def test_a_published_key_signs_with_its_kid(tokens: AccessTokens, ring: KeyRing) -> None:
    created = ring.create("ES256", NOW)
    token, _ = tokens.mint(USER, SESSION, AT + timedelta(seconds=5))
    assert {"alg": "ES256", "kid": created.kid, "typ": "JWT"} == jws.parse(token).header
    assert USER.id == tokens.principal(token, NOW + 5).user_id


def test_no_two_tokens_have_one_jti(tokens: AccessTokens) -> None:
    """SE-21."""
    assert 100 == len({claims_of(tokens.mint(USER, SESSION, AT)[0])["jti"] for _ in range(100)})


@pytest.mark.parametrize(("lifetime", "seconds"), [(timedelta(minutes=10), 600), (timedelta(days=5), 3600)])
def test_no_session_token_lives_longer_than_an_hour(ring: KeyRing, lifetime: timedelta, seconds: int) -> None:
    """JV-26."""
    token, expires_at = AccessTokens(ring, ISSUING, lifetime).mint(USER, SESSION, AT)
    assert int(NOW) + seconds == claims_of(token)["exp"] == int(expires_at.timestamp())


@pytest.mark.parametrize("size", [2500, 100_000])
def test_who_keeps_much_about_himself_is_not_locked_out_by_his_own_token(tokens: AccessTokens, size: int) -> None:
    user = dataclasses.replace(USER, user_metadata={"x": "y" * size})
    token, _ = tokens.mint(user, SESSION, AT)
    assert len(token) <= jws.LONGEST_TOKEN
    assert USER.id == tokens.principal(token, NOW).user_id
    assert USER.app_metadata == claims_of(token)["app_metadata"]
    both = dataclasses.replace(user, app_metadata={"x": "y" * size})
    short, _ = tokens.mint(both, SESSION, AT)
    assert len(short) <= jws.LONGEST_TOKEN
    assert USER.id == tokens.principal(short, NOW).user_id


def test_text_of_any_script_goes_through(tokens: AccessTokens) -> None:
    user = dataclasses.replace(USER, user_metadata={"名前": "áéí \u0000 😀", "n": 10**40, "f": 1.5})
    assert user.user_metadata == tokens.verify(tokens.mint(user, SESSION, AT)[0], NOW).claims["user_metadata"]


# --- kinds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["anon", "service_role"])
def test_a_key_in_the_form_of_a_jwt_gives_its_role_and_nobody(tokens: AccessTokens, role: str) -> None:
    token = hmac_token(HEADER, {"role": role, "iss": "supabase-demo", "exp": 1983812996, "sub": str(USER.id)}, SECRET)
    principal = tokens.principal(token, NOW)
    assert (role, None, None) == (principal.role, principal.user_id, principal.session_id)
    assert Kind.KEY is tokens.verify(token, NOW).kind


def test_hand_made_tokens_are_refused_unless_the_application_takes_them(tokens: AccessTokens, ring: KeyRing) -> None:
    token = hmac_token(HEADER, {"role": "editor", "sub": str(USER.id)}, SECRET)
    assert TokenFault.KIND is refusal(lambda: tokens.principal(token, NOW))
    taking = AccessTokens(ring, ISSUING, accept_shared_secret_tokens=True)
    assert ("editor", USER.id, None) == (
        taking.principal(token, NOW).role,
        taking.principal(token, NOW).user_id,
        taking.principal(token, NOW).session_id,
    )
    nobody = taking.principal(hmac_token(HEADER, {"sub": "jdoe"}, SECRET), NOW)
    assert ("anon", None) == (nobody.role, nobody.user_id)


def test_a_developers_token_is_for_the_developers_routes_only(tokens: AccessTokens) -> None:
    """JV-30."""
    token = tokens.mint_app({"type": "access", "sub": "5", "role": "service_role"}, NOW)
    assert Kind.APP is tokens.verify(token, NOW).kind
    for _ in range(2):
        assert TokenFault.KIND is refusal(lambda: tokens.principal(token, NOW))


def test_a_developers_own_header_names_pass_for_their_tokens_only(tokens: AccessTokens) -> None:
    token = tokens.mint_app({"type": "access", "sub": "5"}, NOW, {"tenant": "blue"})
    assert "blue" == tokens.verify(token, NOW).header["tenant"]
    session = claims_of(tokens.mint(USER, SESSION, AT)[0])
    assert TokenFault.HEADER is refusal(lambda: tokens.verify(hmac_token({**HEADER, "x": "y"}, session, SECRET), NOW))


# --- what is refused ---------------------------------------------------------------------------------------------


def _forged(tokens: AccessTokens, **changes: Any) -> str:
    members = claims_of(tokens.mint(USER, SESSION, AT)[0]) | changes
    kept = {name: value for name, value in members.items() if value is not ...}
    return hmac_token(HEADER, kept, SECRET)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"exp": int(NOW) - 31, "iat": int(NOW) - 3000}, TokenFault.EXPIRED),
        ({"nbf": int(NOW) + 40}, TokenFault.NOT_YET_VALID),
        ({"iat": int(NOW) + 3600}, TokenFault.ISSUED_IN_FUTURE),
        ({"exp": ...}, TokenFault.CLAIM),
        ({"jti": ...}, TokenFault.CLAIM),
        ({"exp": "1999999999"}, TokenFault.CLAIM),
        ({"exp": int(NOW) + 315_360_000}, TokenFault.LIFETIME),
        ({"aud": ["authenticated"]}, TokenFault.AUDIENCE),
        ({"iss": "https://app.example/auth/v1/"}, TokenFault.ISSUER),
        ({"sub": "\ud800"}, TokenFault.JSON),
        ({"sub": ""}, TokenFault.CLAIM),
        ({"session_id": 5}, TokenFault.CLAIM),
    ],
)
def test_a_well_signed_token_with_a_wrong_claim_is_refused(
    tokens: AccessTokens, changes: dict[str, Any], fault: TokenFault
) -> None:
    """JV-22 to JV-29, signed with the right secret."""
    assert fault is refusal(lambda: tokens.principal(_forged(tokens, **changes), NOW))


def test_a_duplicate_claim_is_refused(tokens: AccessTokens) -> None:
    """JV-13."""
    text = json.dumps(claims_of(tokens.mint(USER, SESSION, AT)[0]))
    twice = text[:-1] + ', "sub": "99999999-1111-4111-8111-111111111111"}'
    assert TokenFault.JSON is refusal(lambda: tokens.principal(hmac_token(HEADER, twice, SECRET), NOW))


def test_two_thousand_unknown_kids_cost_no_memory_and_no_look_up(tokens: AccessTokens, ring: KeyRing) -> None:
    """JV-10."""
    ring.verification_keys(NOW)
    begun = time.thread_time()
    for number in range(2000):
        token = hmac_token({"alg": "ES256", "kid": f"k{number}"}, {"exp": int(NOW) + 60}, SECRET)
        assert TokenFault.KEY is refusal(lambda token=token: tokens.principal(token, NOW))  # type: ignore[misc]
    assert time.thread_time() - begun < 2
    assert {} == tokens._memory[1]


def test_an_es256_token_that_expired_is_refused_before_its_signature_is_computed(
    tokens: AccessTokens, ring: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring.create("ES256", NOW)
    token, _ = tokens.mint(USER, SESSION, AT + timedelta(seconds=5))
    monkeypatch.setattr(jws, "check_signature", lambda *_: pytest.fail("the signature was computed"))
    assert TokenFault.EXPIRED is refusal(lambda: tokens.principal(token, NOW + 3700))


def test_a_refresh_token_or_api_key_is_no_access_token(tokens: AccessTokens) -> None:
    """JV-30."""
    for text in ("AJ97LH5KU00MilINTHwPaqe", "sb_secret_abc", "sb_publishable_abc", ""):
        assert TokenFault.PARTS is refusal(lambda text=text: tokens.principal(text, NOW))  # type: ignore[misc]


# --- what is remembered ------------------------------------------------------------------------------------------


def test_a_good_token_is_verified_once(tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    token, _ = tokens.mint(USER, SESSION, AT)
    first = tokens.principal(token, NOW)
    monkeypatch.setattr(jws, "parse", lambda *_: pytest.fail("it was verified again"))
    assert first is tokens.principal(token, NOW + 3000)


def test_a_token_is_remembered_as_it_was_verified_until_its_time_is_over_or_its_keys_change(
    tokens: AccessTokens, ring: KeyRing
) -> None:
    token, _ = tokens.mint(USER, SESSION, AT)
    assert tokens.remembered(token, NOW) is None
    verified = tokens.verify(token, NOW)
    assert verified is tokens.remembered(token, NOW).verified
    assert tokens.remembered(token, int(NOW) + 3630) is None
    ring.create("ES256", NOW)
    assert tokens.remembered(token, NOW) is None


def test_a_remembered_token_expires(tokens: AccessTokens) -> None:
    """JV-22."""
    token, _ = tokens.mint(USER, SESSION, AT)
    tokens.principal(token, NOW)
    assert USER.id == tokens.principal(token, int(NOW) + 3629).user_id
    assert TokenFault.EXPIRED is refusal(lambda: tokens.principal(token, int(NOW) + 3630))


def test_an_expired_token_can_be_told_from_a_forged_one(tokens: AccessTokens) -> None:
    token, _ = tokens.mint(USER, SESSION, AT)
    later = NOW + 100_000
    assert str(USER.id) == tokens.verify_expired(token, later).verified.claims["sub"]
    assert str(USER.id) == tokens.verify_expired(token, NOW).verified.claims["sub"]
    assert TokenFault.EXPIRED is refusal(lambda: tokens.verify(token, later))
    assert TokenFault.ISSUER is refusal(lambda: tokens.verify_expired(_forged(tokens, iss="other"), later))
    assert TokenFault.CLAIM is refusal(lambda: tokens.verify_expired(_forged(tokens, exp="soon"), later))
    assert TokenFault.CLAIM is refusal(lambda: tokens.verify_expired(_forged(tokens, exp=...), later))


def test_a_key_without_exp_is_remembered_and_stays_good(tokens: AccessTokens) -> None:
    token = hmac_token(HEADER, {"role": "anon"}, SECRET)
    assert tokens.principal(token, NOW) is tokens.principal(token, NOW + 10**8)


def test_refusals_are_not_remembered(tokens: AccessTokens) -> None:
    token = _forged(tokens, nbf=int(NOW) + 40)
    assert TokenFault.NOT_YET_VALID is refusal(lambda: tokens.principal(token, NOW))
    assert USER.id == tokens.principal(token, NOW + 20).user_id


def test_a_remembered_token_is_refused_when_its_key_is_retired(tokens: AccessTokens, ring: KeyRing) -> None:
    """JV-34."""
    created = ring.create("ES256", NOW)
    token, _ = tokens.mint(USER, SESSION, AT + timedelta(seconds=5))
    assert USER.id == tokens.principal(token, NOW + 5).user_id
    ring.retire(created.kid, NOW + 6, at_once=True)
    assert TokenFault.KEY is refusal(lambda: tokens.principal(token, NOW + 6))


def test_a_token_of_the_former_secret_stays_good_while_it_is_a_fallback(
    sqlite_database: Database, tokens: AccessTokens
) -> None:
    token, _ = tokens.mint(USER, SESSION, AT)
    changed = AccessTokens(KeyRing.open(sqlite_database, NEXT, [SECRET], now=NOW), ISSUING)
    dropped = AccessTokens(KeyRing.open(sqlite_database, NEXT, now=NOW), ISSUING)
    assert USER.id == changed.principal(token, NOW).user_id
    assert TokenFault.SIGNATURE is refusal(lambda: dropped.principal(token, NOW))


def test_the_memory_is_bounded_and_the_oldest_quarter_goes(
    tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_tokens, "MOST_REMEMBERED", 8)
    made = [tokens.mint(USER, SESSION, AT)[0] for _ in range(9)]
    for token in made:
        tokens.principal(token, NOW)
    assert made[2:] == [known.token for known in tokens._memory[1].values()]


def test_what_remembered_tokens_hold_is_bounded_however_much_users_keep_about_themselves(
    tokens: AccessTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand empty lists are 3 kB of a token, and 60 kB of memory."""
    monkeypatch.setattr(access_tokens, "MOST_HELD", 400_000)
    much = dataclasses.replace(USER, user_metadata={"lists": [[] for _ in range(700)]})
    made = [tokens.mint(much, SESSION, AT)[0] for _ in range(20)]
    for token in made:
        tokens.principal(token, NOW)
        assert 400_000 >= tokens._memory[1].weight
        assert tokens._memory[1].weight == sum(known.weight for known in tokens._memory[1].values())
    held = [known.token for known in tokens._memory[1].values()]
    assert made[-len(held) :] == held
    assert 1 < len(held) < 20


def test_everything_can_be_forgotten(tokens: AccessTokens) -> None:
    token, _ = tokens.mint(USER, SESSION, AT)
    tokens.principal(token, NOW)
    tokens.forget()
    assert {} == tokens._memory[1]
    assert USER.id == tokens.principal(token, NOW).user_id


def test_no_spelling_of_a_remembered_token_passes(tokens: AccessTokens) -> None:
    """JV-14, JV-15."""
    token, _ = tokens.mint(USER, SESSION, AT)
    tokens.principal(token, NOW)
    for variant in (token + "=", token + "\n", " " + token, token[:-1], token.replace(".", "..", 1)):
        assert refusal(lambda v=variant: tokens.principal(v, NOW)) in (  # type: ignore[misc]
            TokenFault.ENCODING,
            TokenFault.PARTS,
            TokenFault.SIGNATURE,
        )


def test_claims_cannot_be_changed_by_who_reads_them(tokens: AccessTokens) -> None:
    claims: Any = tokens.verify(tokens.mint(USER, SESSION, AT)[0], NOW).claims
    with pytest.raises(TypeError):
        claims["role"] = "service_role"


def test_a_token_can_be_minted_inside_a_transaction(tokens: AccessTokens, sqlite_database: Database) -> None:
    with sqlite_database.writing():
        token, _ = tokens.mint(USER, SESSION, AT + timedelta(hours=1))
    assert USER.id == tokens.principal(token, NOW + 3600).user_id


def test_what_is_issued_can_be_asked(tokens: AccessTokens) -> None:
    assert ISSUING == tokens.issuing
