"""The texts of mails: English and Spanish of our own, or files of the project; plain text and HTML.

A file `mail/<language>/<kind>.txt` or `.html` (or the same without the language) below the project's `templates`
takes the place of ours. Its first line may be `Subject: …`. It is filled like a template of Supabase Auth:
`{{ .ConfirmationURL }}`, `{{ .Token }}`, `{{ .Data.name }}` and so on (contract auth.md §4.4); nothing in it is
executed, and in HTML every value is escaped. An unknown name is refused at the start, not when a mail is due.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from portero.errors import ConfigurationError
from portero.identity.mail_texts import HTML_LAYOUT, LANGUAGES, TEXT_LAYOUT, TEXTS, Words
from portero.identity.notice_texts import FACTORS, FACTS, NOTICE_HTML_LAYOUT, NOTICE_TEXT_LAYOUT, NOTICE_TEXTS
from portero.records import dataclass

_NAME: Final = re.compile(r"\{\{-?\s*\.(\w+)(?:\.(\w+))?\s*-?\}\}")
_ANY: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_SUBJECT: Final = "Subject:"
_VALUES: Final = frozenset(
    (
        *("SiteURL", "ConfirmationURL", "Email", "Token", "TokenHash", "RedirectTo"),
        *("NewEmail", "SendingTo", "OldEmail"),
        # Of notices; the contract's first, then ours.
        *("Phone", "OldPhone", "Provider", "FactorType"),
        *("Time", "Device", "Address"),
    )
)
_LONGEST_SUBJECT: Final = 200


class MailKind(StrEnum):
    """What a mail is for; the value is the name of its template."""

    CONFIRMATION = "confirmation"
    INVITE = "invite"
    MAGIC_LINK = "magic_link"
    RECOVERY = "recovery"
    EMAIL_CHANGE = "email_change"
    REAUTHENTICATION = "reauthentication"
    NEW_DEVICE = "new_device_notification"
    PASSWORD_CHANGED = "password_changed_notification"  # noqa: S105 - a name
    EMAIL_CHANGED = "email_changed_notification"
    FACTOR_ENROLLED = "mfa_factor_enrolled_notification"
    FACTOR_UNENROLLED = "mfa_factor_unenrolled_notification"
    ACCOUNT_EXISTS = "account_exists_notification"
    TEST = "test"

    @property
    def is_notice(self) -> bool:
        """Whether it only tells something: nothing in it can be followed or typed."""
        return self.value in NOTICE_TEXTS[LANGUAGES[0]]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's subject and its two bodies."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Templates:
    """The texts of one application.

    Attributes:
        files: what the project has of its own, by (language or "", kind, "txt" or "html").
    """

    files: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    @classmethod
    def read(cls, directory: Path) -> Templates:
        """Read the project's own templates; a directory that is not there holds none.

        Raises:
            ConfigurationError: a name that no mail has, or braces around something else.
        """
        found = dict(_files(directory))
        for (language, kind, ending), text in found.items():
            _check(f"{language}/{kind}.{ending}".lstrip("/"), text)
        return cls(found)

    def render(self, kind: MailKind, language: str, values: Mapping[str, str], data: Mapping[str, Any]) -> Rendered:
        """Fill the templates of a mail.

        Args:
            kind: which mail.
            language: one of `mail_texts.LANGUAGES`.
            values: `Token`, `ConfirmationURL` and the others, those that this mail has.
            data: the user's own metadata, for `{{ .Data.… }}`.
        """
        ours, text_layout, html_layout = _ours(kind, language, values)
        words = {"Heading": ours.heading, "Sentence": ours.sentence, "Button": ours.button, "Ignore": ours.ignore}
        words |= {"CodeSentence": ours.code_sentence, "Language": language, "Facts": _facts(language, values)}
        values = {**values, "Factor": FACTORS[language].get(values.get("FactorType", ""), "")}
        text, html_text = self._of(language, kind, "txt"), self._of(language, kind, "html")
        subject = ours.subject
        if text is not None and text.startswith(_SUBJECT):
            first, _, text = text.partition("\n")
            subject = first.removeprefix(_SUBJECT)
        plain, escaped = _Filling(values, data, words, False), _Filling(values, data, words, True)
        return Rendered(
            _one_line(plain.fill(subject)),
            plain.fill(text_layout if text is None else text).strip() + "\n",
            escaped.fill(html_layout if html_text is None else html_text).strip() + "\n",
        )

    def _of(self, language: str, kind: MailKind, ending: str) -> str | None:
        return self.files.get((language, kind.value, ending)) or self.files.get(("", kind.value, ending))


def language_of(locale: Any, accepted: str) -> str:
    """Choose a mail's language: the user's own (`user_metadata.locale`), else the browser's, else English.

    >>> language_of("es-MX", "en"), language_of(None, "de, es;q=0.8, en;q=0.5"), language_of("fr", "")
    ('es', 'es', 'en')
    """
    wanted = [locale] if isinstance(locale, str) else []
    wanted += [part.partition(";")[0] for part in accepted.split(",")]
    for each in wanted:
        language = re.split(r"[-_]", each.strip().lower())[0]
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


@dataclass(frozen=True, slots=True)
class _Filling:
    """One pass over a template: names become values, once; what a value holds is not looked at again."""

    values: Mapping[str, str]
    data: Mapping[str, Any]
    words: Mapping[str, str]
    escapes: bool

    def fill(self, template: str) -> str:
        def value(match: re.Match[str]) -> str:
            name, member = match[1], match[2]
            if name in self.words:
                # A sentence of ours may hold names itself.
                return self._safe(_NAME.sub(lambda inner: self._value(inner[1], inner[2]), self.words[name]))
            return self._safe(self._value(name, member))

        return _NAME.sub(value, template)

    def _value(self, name: str, member: str | None) -> str:
        if name != "Data":
            return self.values.get(name, "")
        found = self.data.get(member or "")
        return str(found) if isinstance(found, str | int) else ""

    def _safe(self, text: str) -> str:
        return html.escape(text) if self.escapes else text


def _ours(kind: MailKind, language: str, values: Mapping[str, str]) -> tuple[Words, str, str]:
    """Return the words of a mail of our own, and the two layouts that they are put into."""
    if kind.is_notice:
        return NOTICE_TEXTS[language][kind.value], NOTICE_TEXT_LAYOUT, NOTICE_HTML_LAYOUT
    return TEXTS[language][kind.value], TEXT_LAYOUT, _without_button(values)


def _facts(language: str, values: Mapping[str, str]) -> str:
    """Return when, with what and from where something was done, a line each, as far as it is known."""
    return "\n".join(f"{label}: {{{{ .{name} }}}}" for name, label in FACTS[language].items() if values.get(name))


def _without_button(values: Mapping[str, str]) -> str:
    """Return our HTML, without the button where there is no link."""
    if values.get("ConfirmationURL"):
        return HTML_LAYOUT.replace("<!--button-->", "")
    return re.sub(r"<!--button-->.*?<!--button-->", "", HTML_LAYOUT, flags=re.DOTALL)


def _one_line(subject: str) -> str:
    """Make a subject that is one header line, whatever a value holds."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in subject).split())[:_LONGEST_SUBJECT]


def _files(directory: Path) -> Iterator[tuple[tuple[str, str, str], str]]:
    for language, kind, ending in itertools.product(("", *LANGUAGES), MailKind, ("txt", "html")):
        path = directory / language / f"{kind.value}.{ending}"
        if path.is_file():
            yield (language, kind.value, ending), path.read_text(encoding="utf-8")


def _check(name: str, text: str) -> None:
    for found in _ANY.findall(text):
        match = _NAME.fullmatch(found)
        known = match is not None and (match[1] in _VALUES if match[2] is None else match[1] == "Data")
        if not known:
            raise ConfigurationError(f"The mail template {name} has {found}, which no mail knows.")
