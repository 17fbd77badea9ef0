"""A secret is one, or the application does not start."""

from __future__ import annotations

import secrets

import pytest

from portero.crypto.secret_rules import COMMAND, check_fallbacks, check_secret
from portero.errors import ConfigurationError

GOOD = "kX9vT2mQ7bW4pL8sD1fG6hJ3nR5cY0zA"


@pytest.mark.parametrize(
    "secret",
    [
        None,
        "",
        b"",
        12345,
        "super-secret",
        "Super_Secret",
        "secret",
        "change-me",
        "x" * 31,
        GOOD[:31],
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        "a-string-secret-at-least-256-bits-long",
        "reallyreallyreallyreallyverysafe",
        "please-change-this-secret-key-in-production",
        "my super secret flask jwt signing key for testing",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "0" * 64,
        "abcd" * 12,
        "secret" * 10,
        "aabbaabbbababababbabaabababbabbab",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
        "  -----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Fq2k0u9d4cQ0Fz6o1",
        '{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}',
    ],
)
def test_an_unfit_secret_stops_the_start_with_the_command_for_a_good_one(secret: object) -> None:
    """JV-04: blank, short, guessable and well-known secrets, and public keys used as secrets (JV-02)."""
    with pytest.raises(ConfigurationError) as refusal:
        check_secret(secret)
    assert COMMAND in str(refusal.value)
    assert "JWT_SECRET_KEY" in str(refusal.value)


def test_a_secret_that_is_not_there_may_stand_in_a_file_that_nobody_read() -> None:
    with pytest.raises(ConfigurationError, match=r"not set \(the commands portero and flask read \.env, "):
        check_secret(None)


def test_the_refusal_does_not_show_the_secret() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        check_secret("hunter2")
    assert "hunter2" not in str(refusal.value)


def test_random_secrets_of_every_usual_form_pass() -> None:
    for _ in range(500):
        for secret in (
            secrets.token_urlsafe(48),
            secrets.token_urlsafe(24),
            secrets.token_hex(16),
            secrets.token_hex(32),
            secrets.token_bytes(32),
        ):
            assert (secret if isinstance(secret, bytes) else secret.encode()) == check_secret(secret)


def test_a_pass_phrase_of_random_words_passes() -> None:
    assert check_secret("walrus-umbrella-quartz-gondola-thicket")


def test_no_fallbacks_are_no_keys() -> None:
    assert () == check_fallbacks(None)
    assert () == check_fallbacks([])


def test_fallbacks_are_held_to_the_same_rules() -> None:
    """JV-04: who knows a former secret could sign with it."""
    assert (GOOD.encode(),) == check_fallbacks([GOOD])
    with pytest.raises(ConfigurationError, match=r"JWT_SECRET_KEY_FALLBACKS\[1\]"):
        check_fallbacks([GOOD, "super-secret"])


@pytest.mark.parametrize("value", [GOOD, GOOD.encode(), 5, {"a": 1}])
def test_fallbacks_that_are_no_list_are_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="must be a list"):
        check_fallbacks(value)
