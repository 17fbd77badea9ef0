"""`portero token inspect` says which check fails, and the rest was not looked at."""

from __future__ import annotations

from typing import Any

import pytest
from tests.crypto.forging import SECRET, hmac_token
from tests.crypto.test_claims import ISSUING, NOW, SESSION

from portero.crypto.claims import Kind
from portero.crypto.inspection import Inspection, Outcome, inspect
from portero.crypto.keyring import KeySet, shared_verification_key

KEYS = KeySet([shared_verification_key(SECRET)])
HEADER = {"alg": "HS256", "typ": "JWT"}
NAMES = ["form", "header", "key", "signature", "payload", "times", "kind", "claims"]


def look(token: str, **options: Any) -> Inspection:
    """Inspect with this test's keys and clock."""
    return inspect(token, KEYS, ISSUING, NOW, **options)


def test_a_good_token_is_shown_and_every_check_is_ok() -> None:
    seen = look(f"  Bearer {hmac_token(HEADER, SESSION)}\n")
    assert NAMES == [check.name for check in seen.checks]
    assert {Outcome.OK} == {check.outcome for check in seen.checks}
    assert (True, Kind.SESSION, HEADER, SESSION) == (seen.is_valid, seen.kind, seen.header, seen.payload)
    assert hmac_token(HEADER, SESSION).split(".")[2] == seen.signature


@pytest.mark.parametrize(
    ("failing", "token"),
    [
        ("form", ""),
        ("form", "not a token"),
        ("form", "a.b"),
        ("form", hmac_token(HEADER, SESSION) + "="),
        ("form", "A" * 5000),
        ("header", hmac_token([], SESSION)),
        ("header", hmac_token({**HEADER, "crit": "x"}, SESSION)),
        ("header", hmac_token({**HEADER, "typ": "x"}, SESSION)),
        ("header", hmac_token({**HEADER, "tenant": "x"}, SESSION)),
        ("key", hmac_token({**HEADER, "kid": "unknown"}, SESSION)),
        ("key", hmac_token({"alg": "none"}, SESSION)),
        ("signature", hmac_token(HEADER, SESSION, "another secret")),
        ("payload", hmac_token(HEADER, '{"a":1,"a":2}')),
        ("times", hmac_token(HEADER, {**SESSION, "exp": NOW - 100})),
        ("kind", hmac_token(HEADER, {"role": "authenticated"})),
        ("claims", hmac_token(HEADER, {**SESSION, "iss": "other"})),
        ("claims", hmac_token(HEADER, {**SESSION, "exp": "soon"})),
    ],
)
def test_the_failing_check_is_named_and_the_later_ones_were_not_reached(failing: str, token: str) -> None:
    seen = look(token)
    place = NAMES.index(failing)
    expected = [Outcome.OK] * place + [Outcome.FAILED] + [Outcome.NOT_REACHED] * (len(NAMES) - place - 1)
    assert expected == [check.outcome for check in seen.checks]
    assert not seen.is_valid
    assert seen.checks[place].sentence.lower().startswith(seen.fault.lower()[:20])


def test_what_can_be_read_of_a_refused_token_is_shown() -> None:
    seen = look(hmac_token(HEADER, SESSION, "another secret"))
    assert (HEADER, SESSION) == (seen.header, seen.payload)
    assert (None, None) == (look("x.y.z").header, look("x.y.z").payload)
    assert look(hmac_token(HEADER, "[1]")).payload is None


def test_hand_made_tokens_pass_where_the_application_takes_them() -> None:
    token = hmac_token(HEADER, {"role": "authenticated"})
    assert Kind.SHARED is look(token, accept_shared_secret_tokens=True).kind
    assert look(token, accept_shared_secret_tokens=True).is_valid


def test_a_developers_own_token_is_known_as_one() -> None:
    assert Kind.APP is look(hmac_token({**HEADER, "tenant": "x"}, {"type": "access", "sub": "5"})).kind


def test_the_payload_is_not_in_the_representation() -> None:
    assert SESSION["sub"] not in repr(look(hmac_token(HEADER, SESSION)))
