"""The JWS layer: what RFCs sign is verified, everything an attacker writes is refused with the one exception."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.crypto import vectors
from tests.crypto.forging import SECRET, b64, hmac_token, part

from portero.crypto import base64url, jwk, jws
from portero.crypto.keyring import KeySet, shared_signing_key, shared_verification_key
from portero.errors import InvalidToken, TokenFault

PAIR = jwk.generate("ES256")
OTHER = jwk.generate("ES256")
EC_KEY = jwk.verification_key(PAIR.public_jwk)
EC_SIGNER = jwk.signing_key(PAIR.kid, "ES256", PAIR.private_der)
KEYS = KeySet([EC_KEY, shared_verification_key(SECRET)])
PAYLOAD = b'{"sub":"somebody"}'
HS_TOKEN = jws.sign({"typ": "JWT"}, PAYLOAD, shared_signing_key(SECRET))
ES_TOKEN = jws.sign({"typ": "JWT"}, PAYLOAD, EC_SIGNER)


def fault(token: str, keys: KeySet = KEYS) -> TokenFault:
    """Give the fault for which a token is refused; any other outcome fails the test."""
    with pytest.raises(InvalidToken) as refusal:
        jws.verify(token, keys)
    return refusal.value.fault


def es_token(header: Any, payload: Any = PAYLOAD) -> str:
    """Sign whatever is given with the right key."""
    signing_input = f"{part(header)}.{part(payload)}"
    return f"{signing_input}.{b64(EC_SIGNER.sign(signing_input.encode()))}"


def _key(members: Mapping[str, str], alg: str) -> KeySet:
    return KeySet([jwk.verification_key({**members, "alg": alg})])


@pytest.mark.parametrize(
    ("token", "keys", "payload"),
    [
        (vectors.RFC7515_A1_TOKEN, _key(vectors.RFC7515_A1_KEY, "HS256"), vectors.RFC7515_CLAIMS),
        (vectors.RFC7515_A3_TOKEN, _key(vectors.RFC7515_A3_KEY, "ES256"), vectors.RFC7515_CLAIMS),
        (vectors.RFC8037_TOKEN, _key(vectors.RFC8037_KEY, "EdDSA"), b"Example of Ed25519 signing"),
    ],
    ids=["RFC 7515 A.1", "RFC 7515 A.3", "RFC 8037 A.4"],
)
def test_the_rfcs_own_tokens_are_verified(token: str, keys: KeySet, payload: bytes) -> None:
    assert payload == jws.verify(token, keys).payload


@pytest.mark.parametrize(
    ("token", "alg", "kid"), [(HS_TOKEN, "HS256", None), (ES_TOKEN, "ES256", PAIR.kid)], ids=["HS256", "ES256"]
)
def test_what_is_signed_is_verified(token: str, alg: str, kid: str | None) -> None:
    verified = jws.verify(token, KEYS)
    assert (PAYLOAD, alg, kid) == (verified.payload, verified.header["alg"], verified.header.get("kid"))
    assert (alg, kid) == (verified.key.alg, verified.key.kid)


def test_another_library_reads_what_is_signed() -> None:
    assert {"sub": "somebody"} == jwt.decode(HS_TOKEN, SECRET, algorithms=["HS256"])
    public = jwt.PyJWK(dict(PAIR.public_jwk))
    assert {"sub": "somebody"} == jwt.decode(ES_TOKEN, public, algorithms=["ES256"])


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_every_hmac_algorithm_is_for_its_own_key_only(alg: str) -> None:
    secret = b"k" * 64
    token = jws.sign({}, PAYLOAD, shared_signing_key(secret, alg, "k"))
    assert PAYLOAD == jws.verify(token, KeySet([shared_verification_key(secret, alg, "k")])).payload
    for other in {"HS256", "HS384", "HS512"} - {alg}:
        assert TokenFault.ALGORITHM is fault(token, KeySet([shared_verification_key(secret, other, "k")]))


# --- the header --------------------------------------------------------------------------------------------------

NONE_SPELLINGS = ["none", "None", "NONE", "nOnE", "noNE", "none ", "", "HS256 ", "hs256", "es256"]


@pytest.mark.parametrize("alg", NONE_SPELLINGS)
@pytest.mark.parametrize("signature", ["", "AA"])
def test_no_spelling_of_none_is_an_algorithm(alg: str, signature: str) -> None:
    """JV-01."""
    assert TokenFault.ALGORITHM is fault(f"{part({'alg': alg})}.{b64(PAYLOAD)}.{signature}")


def test_none_written_with_escapes_is_none() -> None:
    """JV-01."""
    header = b64(r'{"alg":"\u006eone"}')
    assert TokenFault.ALGORITHM is fault(f"{header}.{b64(PAYLOAD)}.")


@pytest.mark.parametrize(
    "header",
    [
        {"alg": None},
        {"alg": []},
        {"alg": {}},
        {"alg": ["HS256"]},
        {"alg": True},
        {"alg": 1},
        {"alg": "HS256", "kid": 1},
        {"alg": "HS256", "kid": ["a"]},
        {"alg": "HS256", "kid": None},
        {"alg": "HS256", "kid": ""},
        {"alg": "HS256", "kid": "k" * 65},
        {"alg": "HS256", "typ": {}},
        {"alg": "HS256", "typ": []},
        {"alg": "HS256", "typ": 5},
    ],
)
def test_a_header_member_of_the_wrong_type_is_refused_before_the_signature(header: object) -> None:
    """JV-32, JV-30; JV-08 for the empty and the long kid."""
    assert fault(hmac_token(header, PAYLOAD)) in (TokenFault.HEADER, TokenFault.JSON)


def test_a_header_without_alg_is_refused() -> None:
    """JV-01."""
    assert TokenFault.ALGORITHM is fault(hmac_token({"typ": "JWT"}, PAYLOAD))


@pytest.mark.parametrize(
    "header", ["[]", "null", '"x"', "1", "", "{", '{"alg":"HS256"}x', "\ufeff{}", "{'alg':'HS256'}"]
)
def test_a_header_that_is_no_json_object_is_refused(header: str) -> None:
    """JV-32."""
    assert TokenFault.JSON is fault(hmac_token(header, PAYLOAD))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_a_header_in_another_encoding_is_refused(encoding: str) -> None:
    header = '{"alg":"HS256","typ":"ÿ"}'.encode(encoding)
    assert TokenFault.JSON is fault(hmac_token(header, PAYLOAD))


@pytest.mark.parametrize(
    "header",
    ['{"alg":"none","alg":"HS256"}', '{"alg":"HS256","alg":"HS256"}', '{"alg":"HS256","\\u0061lg":"none"}'],
)
def test_a_duplicate_header_member_is_refused(header: str) -> None:
    """JV-13."""
    assert TokenFault.JSON is fault(hmac_token(header, PAYLOAD))


ATTACKER_JWKS: list[object] = [dict(OTHER.public_jwk), {"kty": "oct", "k": b64(SECRET)}, {"kty": "RSA", "n": "AQ"}]


@pytest.mark.parametrize("embedded", ATTACKER_JWKS)
def test_a_key_in_the_header_is_refused(embedded: object) -> None:
    """JV-06: refused even where the signature is by the right key."""
    header = {"alg": "ES256", "kid": PAIR.kid, "jwk": embedded}
    signing_input = f"{part(header)}.{b64(PAYLOAD)}"
    foreign = jwk.signing_key(OTHER.kid, "ES256", OTHER.private_der).sign(signing_input.encode())
    assert TokenFault.HEADER is fault(f"{signing_input}.{b64(foreign)}")
    assert TokenFault.HEADER is fault(es_token(header))


@pytest.mark.parametrize("name", ["jku", "x5u", "x5c", "x5t", "x5t#S256"])
@pytest.mark.parametrize("value", ["http://127.0.0.1:1/keys", "file:///etc/hostname", "data:,x"])
def test_a_link_to_a_key_is_refused_and_not_followed(name: str, value: str) -> None:
    """JV-07."""
    assert TokenFault.HEADER is fault(es_token({"alg": "ES256", "kid": PAIR.kid, name: value}))


@pytest.mark.parametrize("value", [["exp"], ["x"], [], "exp", ["b64"], None])
def test_crit_is_refused_whatever_it_holds(value: object) -> None:
    """JV-11."""
    assert fault(es_token({"alg": "ES256", "kid": PAIR.kid, "crit": value})) in (TokenFault.HEADER, TokenFault.JSON)


@pytest.mark.parametrize("more", [{"b64": False}, {"b64": False, "crit": ["b64"]}, {"b64": True}])
def test_unencoded_payloads_are_refused(more: dict[str, object]) -> None:
    """JV-12."""
    assert TokenFault.HEADER is fault(es_token({"alg": "ES256", "kid": PAIR.kid, **more}))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"])
def test_the_types_of_access_tokens_are_taken(typ: str) -> None:
    """JV-30."""
    assert PAYLOAD == jws.verify(es_token({"alg": "ES256", "kid": PAIR.kid, "typ": typ}), KEYS).payload


@pytest.mark.parametrize(
    "typ", ["", "JOSE", "dpop+jwt", "logout+jwt", "id+jwt", "rt+jwt", "JWT ", "application/", "x/jwt"]
)
def test_other_types_are_refused(typ: str) -> None:
    """JV-30."""
    assert TokenFault.TYPE is fault(es_token({"alg": "ES256", "kid": PAIR.kid, "typ": typ}))


def test_a_developers_own_header_names_pass_only_where_asked_for_and_never_the_dangerous_ones() -> None:
    token = es_token({"alg": "ES256", "kid": PAIR.kid, "tenant": "blue"})
    assert TokenFault.HEADER is fault(token)
    assert "blue" == jws.parse(token, foreign_headers=True).header["tenant"]
    for name in ("crit", "jku", "jwk", "x5u", "x5c", "b64", "zip"):
        with pytest.raises(InvalidToken):
            jws.parse(es_token({"alg": "ES256", "kid": PAIR.kid, name: "x"}), foreign_headers=True)


# --- keys --------------------------------------------------------------------------------------------------------


def _public_forms() -> list[bytes]:
    public = ec.EllipticCurvePublicNumbers(
        int.from_bytes(base64url.decode(PAIR.public_jwk["x"])),
        int.from_bytes(base64url.decode(PAIR.public_jwk["y"])),
        ec.SECP256R1(),
    ).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return [
        pem,
        pem.rstrip(),
        b"\n" + pem,
        b" " + pem,
        pem.replace(b"\n", b"\r\n"),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
        public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(dict(PAIR.public_jwk)).encode(),
        json.dumps(dict(PAIR.public_jwk), separators=(",", ":")).encode(),
        json.dumps({"keys": [dict(PAIR.public_jwk)]}).encode(),
        PAIR.public_jwk["x"].encode(),
        base64url.decode(PAIR.public_jwk["x"]),
        PAIR.kid.encode(),
    ]


PUBLIC_FORMS = _public_forms()


@pytest.mark.parametrize("form", PUBLIC_FORMS, ids=range(len(PUBLIC_FORMS)))
@pytest.mark.parametrize(("alg", "hash_name"), [("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")])
def test_a_public_key_is_no_hmac_secret(form: bytes, alg: str, hash_name: str) -> None:
    """JV-02: in no form, under no HMAC, with and without its kid."""
    assert TokenFault.ALGORITHM is fault(hmac_token({"alg": alg, "kid": PAIR.kid}, PAYLOAD, form, hash_name))
    nameless = TokenFault.SIGNATURE if alg == "HS256" else TokenFault.ALGORITHM
    assert nameless is fault(hmac_token({"alg": alg}, PAYLOAD, form, hash_name))


@pytest.mark.parametrize("alg", ["ES384", "ES512", "RS256", "PS256", "EdDSA", "HS256", "ES256K", "Ed25519"])
def test_a_sibling_algorithm_is_refused_with_the_right_key(alg: str) -> None:
    """JV-03."""
    assert TokenFault.ALGORITHM is fault(es_token({"alg": alg, "kid": PAIR.kid}))


@pytest.mark.parametrize("secret", ["", "secret", "super-secret", "your-256-bit-secret", "password", "\0", SECRET[:-1]])
def test_a_guessed_secret_does_not_sign(secret: str | bytes) -> None:
    """JV-04."""
    assert TokenFault.SIGNATURE is fault(hmac_token({"alg": "HS256"}, PAYLOAD, secret))


KIDS = [
    "/dev/null",
    "../../../../../../dev/null",
    "/proc/sys/kernel/ostype",
    "..%2f",
    "x' UNION SELECT '1';--",
    "|sleep 10",
    "*)(uid=*",
    "none",
    "\u0000",
    "http://127.0.0.1:1/",
]


@pytest.mark.parametrize("kid", KIDS)
@pytest.mark.parametrize("secret", ["", "1", "Linux\n", SECRET])
def test_a_kid_is_a_name_in_memory_and_nothing_else(kid: str, secret: str | bytes) -> None:
    """JV-08, JV-09: not a path, a query or a command; not even with the right secret."""
    assert TokenFault.KEY is fault(hmac_token({"alg": "HS256", "kid": kid}, PAYLOAD, secret))


def test_a_public_key_token_without_kid_is_refused() -> None:
    assert TokenFault.ALGORITHM is fault(es_token({"alg": "ES256"}))


# --- signature and encoding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [HS_TOKEN, ES_TOKEN])
def test_a_missing_cut_or_foreign_signature_is_refused(token: str) -> None:
    """JV-05."""
    head, body, signature = token.split(".")
    raw = base64url.decode(signature)
    foreign = (ES_TOKEN if token == HS_TOKEN else HS_TOKEN).split(".")[2]
    for wrong in (b"", raw[:-1], raw + b"\0", bytes(len(raw)), raw[::-1], base64url.decode(foreign), b"A"):
        assert TokenFault.SIGNATURE is fault(f"{head}.{body}.{base64url.encode(wrong)}")
    for form in (f"{head}.{body}", f"{head}.{body}..", f"{head}.", head, "", ".", "..", "...", f".{body}.{signature}"):
        assert fault(form) in (TokenFault.PARTS, TokenFault.JSON)


@pytest.mark.parametrize("token", [HS_TOKEN, ES_TOKEN])
def test_every_changed_byte_of_the_signature_is_noticed(token: str) -> None:
    head, body, signature = token.split(".")
    raw = base64url.decode(signature)
    for place in range(0, len(raw), 5):
        wrong = raw[:place] + bytes([raw[place] ^ 0x40]) + raw[place + 1 :]
        assert TokenFault.SIGNATURE is fault(f"{head}.{body}.{base64url.encode(wrong)}")


_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize("r", [0, 1, _ORDER - 1, _ORDER, 2**256 - 1])
@pytest.mark.parametrize("s", [0, 1, _ORDER - 1, _ORDER, 2**256 - 1])
def test_the_edges_of_an_ecdsa_signature_are_refused(r: int, s: int) -> None:
    """Wycheproof SpecialCaseEs256 (CVE-2022-21449, the psychic signatures)."""
    head, body, _ = ES_TOKEN.split(".")
    assert TokenFault.SIGNATURE is fault(f"{head}.{body}.{base64url.encode(r.to_bytes(32) + s.to_bytes(32))}")


def test_an_ecdsa_signature_has_one_length_and_form() -> None:
    """Wycheproof: DER instead of r and s, trailing zeros, numbers above 32 bytes."""
    head, body, signature = ES_TOKEN.split(".")
    raw = base64url.decode(signature)
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    der = encode_dss_signature(r, s)
    assert (r, s) == decode_dss_signature(der)
    for wrong in (der, raw + bytes(2), bytes(1) + raw[:32] + bytes(1) + raw[32:], raw[:32], raw * 8):
        assert TokenFault.SIGNATURE is fault(f"{head}.{body}.{base64url.encode(wrong)}")


@pytest.mark.parametrize("token", [HS_TOKEN, ES_TOKEN])
def test_a_token_has_one_spelling(token: str) -> None:
    """JV-14: padding, blanks, other alphabets, spare bits, in each part."""
    parts = token.split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place, text in enumerate(parts):
        variants = [
            text + "=",
            text + "==",
            text + "\n",
            " " + text,
            text[:5] + "!" + text[5:],
            text[:5] + "\n" + text[5:],
        ]
        variants += [text.replace("-", "+").replace("_", "/")] if set("-_") & set(text) else []
        if len(text) % 4:
            variants += [text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]]
        for variant in variants:
            changed = ".".join([*parts[:place], variant, *parts[place + 1 :]])
            assert fault(changed) is TokenFault.ENCODING, changed


def test_a_changed_payload_or_header_is_noticed() -> None:
    head, body, signature = ES_TOKEN.split(".")
    assert TokenFault.SIGNATURE is fault(f"{head}.{b64('{}')}.{signature}")
    assert TokenFault.SIGNATURE is fault(f"{part({'alg': 'ES256', 'kid': PAIR.kid})}.{body}.{signature}")


# --- form and size -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8 * 1024, 64 * 1024, 1024 * 1024, 16 * 1024 * 1024])
def test_a_token_of_any_size_above_the_cap_is_refused_unread(size: int) -> None:
    """JV-18."""
    for token in ("A" * size, "." * size, f"{b64('{')}.{'A' * size}.AA"):
        assert TokenFault.TOO_LONG is fault(token)


def test_a_header_above_512_characters_is_refused() -> None:
    """JV-18."""
    assert TokenFault.TOO_LONG is fault(hmac_token({"alg": "HS256", "kid": "k" * 500}, PAYLOAD))


def test_the_longest_token_is_taken() -> None:
    room = (jws.LONGEST_TOKEN - len(hmac_token({"alg": "HS256"}, b""))) * 3 // 4
    payload = b"x" * room
    token = hmac_token({"alg": "HS256"}, payload)
    assert jws.LONGEST_TOKEN - 3 <= len(token) <= jws.LONGEST_TOKEN
    assert payload == jws.verify(token, KEYS).payload


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"HS256","x":' + "[" * 100_000,
        '{"alg":"HS256","x":' + "9" * 5000 + "}",
        '{"alg":"HS256","x":' + "[" * 300,
        '{"alg":"HS256","x":' + "[" * 150 + "]" * 150 + "}",
        '{"alg":"HS256","x":' + "9" * 300 + "}",
        '{"alg":"HS256","x":1e999}',
        '{"alg":"HS256","x":NaN}',
    ],
)
def test_a_deep_or_giant_header_is_refused_before_it_costs_anything(header: str) -> None:
    """JV-19."""
    assert fault(f"{b64(header)}.{b64(PAYLOAD)}.AA") in (TokenFault.TOO_LONG, TokenFault.JSON)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "dir", "enc": "A256GCM", "zip": "DEF"},
        {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 1_000_000_000, "p2s": "AAAA"},
        {"alg": "RSA1_5", "enc": "A128CBC-HS256"},
    ],
)
def test_an_encrypted_token_is_refused_undecoded(header: dict[str, object]) -> None:
    """JV-20."""
    assert TokenFault.PARTS is fault(f"{part(header)}.AAAA.AAAA.AAAA.AAAA")
    assert fault(f"{part(header)}.AAAA.AAAA") in (TokenFault.HEADER, TokenFault.ALGORITHM)


def test_the_json_serializations_are_refused() -> None:
    """JV-21 and Wycheproof JsonSerialization, also where the text splits into three."""
    head, body, signature = HS_TOKEN.split(".")
    flat = json.dumps({"payload": body, "protected": head, "signature": signature})
    general = json.dumps({"payload": body, "signatures": [{"protected": head, "signature": signature}]})
    tricky = f'{{"protected":"{head}","payload":"{body}","signature":"{signature}","x":".{head}.{body}"}}'
    for text in (flat, general, tricky, f'"{HS_TOKEN}"'):
        assert fault(text) in (TokenFault.PARTS, TokenFault.ENCODING)


@given(st.text(max_size=300))
def test_no_text_makes_another_exception(text: str) -> None:
    """JV-19, JV-29 N5."""
    fault(text)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=70))
def test_no_bytes_in_the_parts_make_another_exception(header: bytes, payload: bytes, signature: bytes) -> None:
    fault(f"{b64(header)}.{b64(payload)}.{b64(signature)}")


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "x"]), st.none() | st.text() | st.integers()))
def test_no_header_makes_another_exception(header: dict[str, object]) -> None:
    fault(f"{part(header)}.e30.AAAA")
