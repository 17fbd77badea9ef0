"""Tests of portero.settings: what is read, what wins, what is refused, and that nothing is there in vain."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from portero.errors import ConfigurationError
from portero.settings import OUTSIDE, Settings, read_settings

SOURCE = Path(__file__).resolve().parents[1] / "src" / "portero"
NAMES = [row.name for row in dataclasses.fields(Settings)]


def refused(config: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_settings(config, {})
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_each_setting_is_read_by_something(name: str) -> None:
    reads = re.compile(rf"settings\.{name}\b")
    files = [path for path in SOURCE.rglob("*.py") if path.name != "settings.py"]
    assert any(reads.search(path.read_text(encoding="utf-8")) for path in files)


def test_a_value_in_the_config_wins_over_the_environment() -> None:
    assert 7 == read_settings({"PORTERO_MAX_ROWS": 7}, {"PORTERO_MAX_ROWS": "8"}).max_rows
    assert 8 == read_settings({}, {"PORTERO_MAX_ROWS": "8"}).max_rows


def test_an_unknown_name_is_refused() -> None:
    found = refused({"PORTERO_REQUIRE_APIKEY": True})
    assert "PORTERO_REQUIRE_APIKEY is not a setting of Portero; did you mean PORTERO_REQUIRE_API_KEY?" in found
    assert "did you mean" not in refused({"PORTERO_XYZZY": True})


def test_a_word_for_a_number_is_refused_with_the_settings_name() -> None:
    assert "PORTERO_MAX_ROWS cannot be 'lots': a whole number is wanted." in refused({"PORTERO_MAX_ROWS": "lots"})


def test_names_of_tools_around_the_application_are_let_pass() -> None:
    assert Settings() == read_settings({}, dict.fromkeys(OUTSIDE, "anything"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTERO_MAX_ROWS", "many"),
        ("PORTERO_MAX_ROWS", -1),
        ("PORTERO_MAX_ROWS", True),
        ("PORTERO_DEV", "perhaps"),
        ("PORTERO_URL", 8000),
        ("PORTERO_ERRORS", "minimum"),
        ("PORTERO_EMBED_NAMES", "aliases"),
        ("PORTERO_TRANSACTION_END", "rollbak"),
        ("PORTERO_CONFIRM_EMAIL", "sometimes"),
        ("PORTERO_SESSION_IDLE", "a week"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_and_shown(name: str, value: Any) -> None:
    assert f"{name} cannot be {value!r}" in refused({name: value})


@pytest.mark.parametrize(
    "value", ["https://mail.example", "smtp://user:hunter2@mail.example", "smtps://", "smtps://:0"]
)
def test_a_mail_server_is_refused_without_showing_its_password(value: str) -> None:
    sentence = refused({"PORTERO_SMTP_URL": value})
    assert sentence.startswith("PORTERO_SMTP_URL cannot be what it is: ")
    assert "hunter2" not in sentence


def test_a_secret_setting_is_not_in_the_repr() -> None:
    assert "hunter2" not in repr(Settings(smtp_url="smtps://user:hunter2@mail.example"))


def test_texts_of_the_environment_become_values() -> None:
    environ = {
        "PORTERO_CORS_ORIGINS": "https://a.example, https://b.example",
        "PORTERO_SESSION_IDLE": "3600",
        "PORTERO_OPENAPI": "off",
        "PORTERO_CONFIRM_EMAIL": "Yes",
        "PORTERO_TRANSACTION_END": "Rollback-Allow-Override",
    }
    found = read_settings({}, environ)
    assert ("https://a.example", "https://b.example") == found.cors_origins
    assert timedelta(hours=1) == found.session_idle
    assert found.openapi is False
    assert "yes" == found.confirm_email
    assert "rollback-allow-override" == found.transaction_end
