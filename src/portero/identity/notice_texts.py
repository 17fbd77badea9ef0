"""The words of notices, English and Spanish: mails that nobody asked for, about what was done to an account.

Nothing in them can be followed or typed, so who reads another's mail gains nothing by them. What a caller says about
itself (its `User-Agent`) is told in words of ours only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from portero.identity.mail_texts import Words

#: How the lines of when, with what and from where begin; the key names the value.
FACTS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {"Time": "When", "Device": "With", "Address": "From"},
    "es": {"Time": "Cuándo", "Device": "Con", "Address": "Desde"},
}

#: What the contract calls a factor, in the reader's words; `{{ .Factor }}` in our own sentences.
FACTORS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {"totp": "an authenticator app", "recovery_code": "recovery codes"},
    "es": {"totp": "una aplicación de autenticación", "recovery_code": "códigos de recuperación"},
}

_NOT_YOU: Final = (
    "If it was not you, choose a new password at {{ .SiteURL }} at once: it ends all other sessions. If you cannot, "
    "write to those who run the site."
)
_NOT_YOU_ES: Final = (
    "Si no ha sido usted, elija enseguida una contraseña nueva en {{ .SiteURL }}: cierra todas las demás sesiones. "
    "Si no puede, escriba a quienes llevan el sitio."
)


def _words(subject: str, sentence: str, what_to_do: str) -> Words:
    return Words(subject, subject, sentence, "", "", what_to_do)


NOTICE_TEXTS: Final[Mapping[str, Mapping[str, Words]]] = {
    "en": {
        "new_device_notification": _words(
            "A sign-in with a new device",
            "Somebody, we hope you, signed in at {{ .SiteURL }} as {{ .Email }} with a device that was not used "
            "before.",
            _NOT_YOU,
        ),
        "password_changed_notification": _words(
            "Your password was changed",
            "The password of your account {{ .Email }} at {{ .SiteURL }} was changed.",
            _NOT_YOU,
        ),
        "email_changed_notification": _words(
            "The address of your account was changed",
            "The address of your account at {{ .SiteURL }} was changed from {{ .OldEmail }} to {{ .Email }}.",
            "This is the last mail to the former address. If you did not want this, write to those who run the site.",
        ),
        "mfa_factor_enrolled_notification": _words(
            "A second factor was added",
            "A second factor was added to your account {{ .Email }} at {{ .SiteURL }}: {{ .Factor }}.",
            _NOT_YOU,
        ),
        "mfa_factor_unenrolled_notification": _words(
            "A second factor was removed",
            "A second factor was removed from your account {{ .Email }} at {{ .SiteURL }}: {{ .Factor }}.",
            _NOT_YOU,
        ),
        "account_exists_notification": _words(
            "You have an account already",
            "Somebody, we hope you, tried to sign up at {{ .SiteURL }} with the address {{ .Email }}, which has an "
            "account already. Sign in with it, or ask there for a new password.",
            "If it was not you, you need do nothing: nothing was changed, and nobody was told that the account exists.",
        ),
        "test": _words(
            "A test", "Mails of {{ .SiteURL }} arrive here.", "Somebody who runs the site asked for this mail."
        ),
    },
    "es": {
        "new_device_notification": _words(
            "Una entrada con un dispositivo nuevo",
            "Alguien, esperamos que usted, ha entrado en {{ .SiteURL }} como {{ .Email }} con un dispositivo que no se "
            "había usado antes.",
            _NOT_YOU_ES,
        ),
        "password_changed_notification": _words(
            "Su contraseña ha cambiado",
            "La contraseña de su cuenta {{ .Email }} en {{ .SiteURL }} ha cambiado.",
            _NOT_YOU_ES,
        ),
        "email_changed_notification": _words(
            "La dirección de su cuenta ha cambiado",
            "La dirección de su cuenta en {{ .SiteURL }} ha cambiado de {{ .OldEmail }} a {{ .Email }}.",
            "Este es el último mensaje a la dirección anterior. Si usted no lo quería, escriba a quienes llevan el "
            "sitio.",
        ),
        "mfa_factor_enrolled_notification": _words(
            "Se ha añadido un segundo factor",
            "Se ha añadido un segundo factor a su cuenta {{ .Email }} en {{ .SiteURL }}: {{ .Factor }}.",
            _NOT_YOU_ES,
        ),
        "mfa_factor_unenrolled_notification": _words(
            "Se ha quitado un segundo factor",
            "Se ha quitado un segundo factor de su cuenta {{ .Email }} en {{ .SiteURL }}: {{ .Factor }}.",
            _NOT_YOU_ES,
        ),
        "account_exists_notification": _words(
            "Ya tiene una cuenta",
            "Alguien, esperamos que usted, ha querido registrarse en {{ .SiteURL }} con la dirección {{ .Email }}, que "
            "ya tiene una cuenta. Entre con ella, o pida allí una contraseña nueva.",
            "Si no ha sido usted, no tiene que hacer nada: nada ha cambiado, y no se ha dicho a nadie que la cuenta "
            "existe.",
        ),
        "test": _words(
            "Una prueba",
            "Los mensajes de {{ .SiteURL }} llegan aquí.",
            "Este mensaje lo ha pedido alguien que lleva el sitio.",
        ),
    },
}

NOTICE_TEXT_LAYOUT: Final = """{{ .Heading }}

{{ .Sentence }}

{{ .Facts }}

{{ .Ignore }}
"""

NOTICE_HTML_LAYOUT: Final = """<!doctype html>
<html lang="{{ .Language }}">
<head><meta charset="utf-8"><title>{{ .Heading }}</title></head>
<body style="margin:0;padding:24px;font-family:sans-serif;font-size:16px;line-height:1.5;color:#1b1b1b">
<h1 style="font-size:20px">{{ .Heading }}</h1>
<p>{{ .Sentence }}</p>
<p style="white-space:pre-line">{{ .Facts }}</p>
<p style="color:#5a5a5a">{{ .Ignore }}</p>
</body>
</html>
"""
