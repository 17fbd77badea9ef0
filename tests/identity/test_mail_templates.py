"""What mails say, in which language, and that nothing in them is executed."""

from __future__ import annotations

from pathlib import Path

import pytest

from portero.errors import ConfigurationError
from portero.identity.mail_templates import MailKind, Templates
from portero.identity.mail_texts import LANGUAGES

VALUES = {"SiteURL": "https://a.example", "ConfirmationURL": "https://a.example/v?a=1&b=2", "Token": "123456"}
VALUES |= {"Email": "ann@example.org", "NewEmail": "new@example.org", "OldEmail": "ann@example.org"}


@pytest.mark.parametrize("kind", MailKind)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_mail_has_subject_text_and_html_without_a_name_left_open(kind: MailKind, language: str) -> None:
    found = Templates().render(kind, language, VALUES, {})
    for text in (found.subject, found.text, found.html):
        assert text.strip()
        assert "{{" not in text
        assert "<!--" not in text
    assert f'<html lang="{language}">' in found.html
    assert kind.is_notice == ("123456" not in found.text)
    assert kind.is_notice == ("https://a.example/v?a=1&amp;b=2" not in found.html)


def test_without_a_link_there_is_no_button() -> None:
    found = Templates().render(MailKind.REAUTHENTICATION, "en", {**VALUES, "ConfirmationURL": ""}, {})
    assert "<a " not in found.html
    assert "Your code is 123456" == found.subject


def test_a_file_of_the_project_comes_first_and_is_filled_like_supabases(tmp_path: Path) -> None:
    (tmp_path / "es").mkdir()
    (tmp_path / "recovery.txt").write_text("Subject: For {{ .Data.name }}\nGo to {{ .ConfirmationURL }}")
    (tmp_path / "es" / "recovery.html").write_text("<b>{{ .Data.name }} {{.Token}}</b>")
    templates = Templates.read(tmp_path)
    name = {"name": "<i>\r\nBcc: v@example.org {{ .Token }}"}
    english, spanish = (templates.render(MailKind.RECOVERY, each, VALUES, name) for each in LANGUAGES)
    assert "For <i> Bcc: v@example.org {{ .Token }}" == english.subject
    assert "Go to https://a.example/v?a=1&b=2\n" == english.text == spanish.text
    assert "<b>&lt;i&gt;\r\nBcc: v@example.org {{ .Token }} 123456</b>\n" == spanish.html


@pytest.mark.parametrize("text", ["{{ .Nothing }}", "{{ Token }}", "{{ .Token.x }}", "{{ range .Data }}"])
def test_what_no_mail_knows_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "invite.txt").write_text(text)
    with pytest.raises(ConfigurationError, match=r"template invite\.txt has"):
        Templates.read(tmp_path)


def test_a_notice_can_have_words_of_the_project_too(tmp_path: Path) -> None:
    (tmp_path / "password_changed_notification.txt").write_text(
        "Subject: Changed\n{{ .Email }} at {{ .Time }} with {{ .Device }} from {{ .Address }}, {{ .FactorType }}."
    )
    values = {**VALUES, "Time": "noon", "Device": "Firefox", "Address": "192.0.2.1"}
    found = Templates.read(tmp_path).render(MailKind.PASSWORD_CHANGED, "es", values, {})
    assert ("Changed", "ann@example.org at noon with Firefox from 192.0.2.1, .\n") == (found.subject, found.text)
    assert "Cuándo: noon\nCon: Firefox\nDesde: 192.0.2.1" in found.html
