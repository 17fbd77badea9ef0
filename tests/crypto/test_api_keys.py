"""API keys have a form that clients know, and are known by their digest."""

from __future__ import annotations

import hashlib

import pytest

from portero.crypto import api_keys
from portero.crypto.api_keys import ApiKeyKind

KINDS: tuple[ApiKeyKind, ...] = ("publishable", "secret")


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_says_its_kind(kind: ApiKeyKind) -> None:
    key = api_keys.generate(kind)
    assert key.startswith(f"sb_{kind}_")
    assert kind == api_keys.kind_of(key)


def test_a_thousand_keys_are_a_thousand() -> None:
    assert 1000 == len({api_keys.generate("secret") for _ in range(1000)})


def test_what_is_kept_is_the_digest() -> None:
    key = api_keys.generate("secret")
    assert hashlib.sha256(key.encode()).hexdigest() == api_keys.digest(key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sb_secret_",
        "sb_secret_guess",
        "sb_publishable_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_AAAAAAAA",
        pytest.param(api_keys.generate("secret").replace("sb_secret_", "sb_publishable_"), id="another kind"),
        pytest.param(api_keys.generate("secret")[:-1], id="cut"),
        pytest.param(api_keys.generate("secret") + "A", id="longer"),
        "ÿ" * 60,
        "\ud800" * 60,
        "A" * 1_000_000,
        "sb_other_x_" + api_keys._checksum("sb_other_x"),
    ],
)
def test_a_text_with_a_wrong_prefix_or_checksum_is_no_key(text: str) -> None:
    assert api_keys.kind_of(text) is None
