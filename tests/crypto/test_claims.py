"""What a payload must say, and what it must not."""

from __future__ import annotations

from typing import Any

import pytest

from portero.crypto import claims
from portero.crypto.claims import Issuing, Kind
from portero.errors import InvalidToken, TokenFault

NOW = 1_800_000_000.0
ISSUING = Issuing("https://app.example/auth/v1")
SESSION: dict[str, Any] = {
    "iss": ISSUING.issuer,
    "aud": "authenticated",
    "sub": "11111111-1111-4111-8111-111111111111",
    "session_id": "22222222-2222-4222-8222-222222222222",
    "jti": "33333333-3333-4333-8333-333333333333",
    "role": "authenticated",
    "iat": int(NOW),
    "exp": int(NOW) + 3600,
    "aal": "aal1",
}


def refusal(members: dict[str, Any], kind: Kind = Kind.SESSION) -> InvalidToken:
    """Give the refusal of a set of claims; acceptance fails the test."""
    with pytest.raises(InvalidToken) as caught:
        claims.check_times(members, NOW)
        claims.check(members, kind, ISSUING)
    return caught.value


def accept(members: dict[str, Any], kind: Kind = Kind.SESSION) -> None:
    """Let a set of claims through both checks."""
    claims.check_times(members, NOW)
    claims.check(members, kind, ISSUING)


def test_the_claims_that_are_issued_are_taken() -> None:
    accept(SESSION)


@pytest.mark.parametrize("payload", [b"[]", b"null", b'"x"', b"1", b"", b"{", b'{"a":NaN}', b"\xff", b'{"a":1}x'])
def test_a_payload_that_is_no_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(InvalidToken) as caught:
        claims.read(payload)
    assert TokenFault.JSON is caught.value.fault


@pytest.mark.parametrize("name", ["sub", "exp", "role"])
def test_a_claim_that_stands_twice_is_refused(name: str) -> None:
    """JV-13."""
    with pytest.raises(InvalidToken):
        claims.read(f'{{"{name}":"a","x":1,"{name}":"b"}}'.encode())


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "session_id", "jti", "iat", "exp", "role"])
def test_a_session_token_without_a_required_claim_is_refused(name: str) -> None:
    """JV-24."""
    members = {key: value for key, value in SESSION.items() if key != name}
    assert (TokenFault.CLAIM, name) == (refusal(members).fault, refusal(members).detail)


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"exp": NOW - 31}, TokenFault.EXPIRED),
        ({"exp": NOW - 30}, TokenFault.EXPIRED),
        ({"nbf": NOW + 31}, TokenFault.NOT_YET_VALID),
        ({"iat": NOW + 3600}, TokenFault.ISSUED_IN_FUTURE),
        ({"iat": NOW + 31}, TokenFault.ISSUED_IN_FUTURE),
    ],
)
def test_a_token_outside_its_time_is_refused(members: dict[str, Any], fault: TokenFault) -> None:
    """JV-22, JV-23."""
    assert fault is refusal({**SESSION, **members}).fault


@pytest.mark.parametrize(
    "members",
    [{"exp": NOW - 1, "iat": NOW - 100}, {"exp": NOW - 29.5, "iat": NOW - 100}, {"nbf": NOW + 10}, {"iat": NOW + 10}],
)
def test_clocks_may_differ_by_thirty_seconds(members: dict[str, Any]) -> None:
    """JV-22, JV-23."""
    accept({**SESSION, **members})


NO_INSTANTS = ["1999999999", True, False, [1999999999], None, {}, -1, 0, 1e308, 10**60, 2**33, ""]


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", NO_INSTANTS)
def test_an_instant_is_a_number_of_seconds_in_reach(name: str, value: object) -> None:
    """JV-25."""
    assert (TokenFault.CLAIM, name) == (
        refusal({**SESSION, name: value}).fault,
        refusal({**SESSION, name: value}).detail,
    )


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 4000])
def test_a_number_that_is_none_is_refused_when_it_is_read(text: str) -> None:
    """JV-25."""
    with pytest.raises(InvalidToken):
        claims.read(f'{{"exp":{text}}}'.encode())


def test_a_token_that_lives_longer_than_this_server_issues_is_refused() -> None:
    """JV-26."""
    assert TokenFault.LIFETIME is refusal({**SESSION, "exp": NOW + 3601}).fault
    assert TokenFault.LIFETIME is refusal({**SESSION, "exp": NOW + 315_360_000}).fault


@pytest.mark.parametrize(
    "audience",
    [
        "other",
        "",
        [],
        ["authenticated"],
        ["x"],
        {"a": 1},
        [["authenticated"]],
        None,
        "Authenticated",
        "authenticated ",
        5,
    ],
)
def test_the_audience_is_one_exact_text(audience: object) -> None:
    """JV-27."""
    assert TokenFault.AUDIENCE is refusal({**SESSION, "aud": audience}).fault
    assert TokenFault.AUDIENCE is refusal({"role": "anon", "aud": audience}, Kind.KEY).fault


@pytest.mark.parametrize(
    "issuer",
    [
        "https://app.example/auth/v",
        "https://app.example/auth/v1/",
        "https://app.example/auth/v1x",
        "https://APP.example/auth/v1",
        ["https://app.example/auth/v1"],
        "",
        None,
        5,
    ],
)
def test_the_issuer_is_one_exact_text(issuer: object) -> None:
    """JV-28."""
    assert TokenFault.ISSUER is refusal({**SESSION, "iss": issuer}).fault


ODD_NAMES = [
    1,
    "",
    None,
    ["u"],
    {},
    "u\u0000",
    "\ud800",
    "unknown",
    True,
    "{11111111-1111-4111-8111-111111111111}",
    "urn:uuid:11111111-1111-4111-8111-111111111111",
    "11111111111141118111111111111111",
    "ABCDEFAB-1111-4111-8111-111111111111",
    " 11111111-1111-4111-8111-111111111111",
    "1" * 4000,
]


@pytest.mark.parametrize("name", ["sub", "session_id"])
@pytest.mark.parametrize("value", ODD_NAMES)
def test_a_name_is_a_uuid_in_its_one_spelling(name: str, value: object) -> None:
    """JV-29."""
    assert (TokenFault.CLAIM, name) == (
        refusal({**SESSION, name: value}).fault,
        refusal({**SESSION, name: value}).detail,
    )


@pytest.mark.parametrize(
    "members",
    [
        {"jti": ""},
        {"jti": 1},
        {"jti": "j" * 65},
        {"role": ["admin"]},
        {"role": ""},
        {"role": None},
        {"aal": "aal3"},
        {"aal": 1},
    ],
)
def test_the_other_claims_have_their_types(members: dict[str, Any]) -> None:
    assert TokenFault.CLAIM is refusal({**SESSION, **members}).fault


HS: dict[str, str] = {"alg": "HS256"}
ES: dict[str, str] = {"alg": "ES256", "kid": "k"}


@pytest.mark.parametrize(
    ("kind", "header", "members"),
    [
        (Kind.SESSION, HS, SESSION),
        (Kind.SESSION, ES, SESSION),
        (Kind.KEY, HS, {"role": "anon"}),
        (Kind.KEY, HS, {"role": "service_role", "iss": "supabase-demo", "exp": 1983812996}),
        (Kind.APP, HS, {"type": "access", "sub": "5"}),
        (Kind.APP, ES, {**SESSION, "type": "access"}),
        (Kind.APP, HS, {"type": "refresh", "role": "service_role"}),
        (Kind.SHARED, HS, {"role": "authenticated", "sub": "x"}),
        (Kind.SHARED, HS, {"role": ["anon"]}),
        (Kind.SHARED, HS, {}),
    ],
)
def test_kinds_are_told_apart_by_their_claims(kind: Kind, header: dict[str, str], members: dict[str, Any]) -> None:
    """JV-30: what a developer lets others choose makes neither a session nor a key."""
    assert kind is claims.kind_of(header, members)


@pytest.mark.parametrize("header", [ES, {"alg": "HS256", "kid": "k"}, {"alg": "HS512"}])
def test_a_named_key_makes_no_api_key_and_no_hand_made_token(header: dict[str, str]) -> None:
    for members in ({"role": "service_role"}, {"role": "authenticated"}):
        with pytest.raises(InvalidToken) as caught:
            claims.kind_of(header, members)
        assert TokenFault.CLAIM is caught.value.fault


def test_a_key_needs_nothing_but_its_role() -> None:
    accept({"role": "anon"}, Kind.KEY)
    accept({"role": "service_role", "iss": "supabase-demo", "exp": 1_983_812_996, "sub": "x"}, Kind.KEY)


@pytest.mark.parametrize("kind", [Kind.KEY, Kind.SHARED])
@pytest.mark.parametrize("members", [{"sub": 1}, {"sub": ""}, {"iss": []}, {"role": 5}, {"exp": "1"}])
def test_what_a_key_or_hand_made_token_says_has_its_type(kind: Kind, members: dict[str, Any]) -> None:
    assert TokenFault.CLAIM is refusal(members, kind).fault


def test_a_developers_token_says_what_the_developer_likes_within_its_time() -> None:
    accept({"type": "access", "sub": 5, "aud": ["x"]}, Kind.APP)
    assert TokenFault.EXPIRED is refusal({"type": "access", "exp": NOW - 100}, Kind.APP).fault
