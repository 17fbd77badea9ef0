"""The words of our own mails, English and Spanish, and the two layouts they are put into.

No picture, no script, no address but the link's: a mail that loads nothing tells nobody that it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from portero.records import dataclass

#: The first one is for everybody whose language is none of these.
LANGUAGES: Final = ("en", "es")


@dataclass(frozen=True, slots=True)
class Words:
    """What one mail says in one language."""

    subject: str
    heading: str
    sentence: str
    button: str
    code_sentence: str
    ignore: str


_CODE: Final = "Or type this code; it is good for ten minutes:"
_IGNORE: Final = "If you did not ask for this, you need do nothing."
_CODE_ES: Final = "O escriba este código; vale diez minutos:"
_IGNORE_ES: Final = "Si no lo ha pedido usted, no tiene que hacer nada."

TEXTS: Final[Mapping[str, Mapping[str, Words]]] = {
    "en": {
        "confirmation": Words(
            "Confirm your address",
            "Confirm your address",
            "Somebody, we hope you, signed up at {{ .SiteURL }} with the address {{ .Email }}.",
            "Confirm the address",
            _CODE,
            "If it was not you, ignore this mail: without it, nobody can sign in with your address.",
        ),
        "invite": Words(
            "You are invited",
            "You are invited",
            "You have been invited to {{ .SiteURL }}. Accept the invitation to make your account.",
            "Accept the invitation",
            _CODE,
            _IGNORE,
        ),
        "magic_link": Words(
            "Your sign-in link",
            "Sign in",
            "Follow the link to sign in at {{ .SiteURL }}. It works once, within thirty minutes.",
            "Sign in",
            _CODE,
            "If you did not ask for this, ignore it, and give the code to nobody.",
        ),
        "recovery": Words(
            "Choose a new password",
            "Choose a new password",
            "Somebody, we hope you, asked for a new password at {{ .SiteURL }}. "
            "The link works once, within thirty minutes.",
            "Choose a new password",
            _CODE,
            "If you did not ask for this, ignore it: your password stays as it is.",
        ),
        "email_change": Words(
            "Confirm your new address",
            "Confirm your new address",
            "The address of your account at {{ .SiteURL }} is to change from {{ .OldEmail }} to {{ .NewEmail }}.",
            "Confirm the change",
            _CODE,
            "If you did not ask for this, do not confirm it, and change your password.",
        ),
        "reauthentication": Words(
            "Your code is {{ .Token }}",
            "Confirm that it is you",
            "A change of your password at {{ .SiteURL }} asks for this code.",
            "",
            "It is good for ten minutes:",
            "If you are not changing your password, somebody else is signed in as you: end your sessions.",
        ),
    },
    "es": {
        "confirmation": Words(
            "Confirme su dirección",
            "Confirme su dirección",
            "Alguien, esperamos que usted, se ha registrado en {{ .SiteURL }} con la dirección {{ .Email }}.",
            "Confirmar la dirección",
            _CODE_ES,
            "Si no ha sido usted, ignore este mensaje: sin él, nadie puede entrar con su dirección.",
        ),
        "invite": Words(
            "Tiene una invitación",
            "Tiene una invitación",
            "Le han invitado a {{ .SiteURL }}. Acepte la invitación para crear su cuenta.",
            "Aceptar la invitación",
            _CODE_ES,
            _IGNORE_ES,
        ),
        "magic_link": Words(
            "Su enlace para entrar",
            "Entrar",
            "Siga el enlace para entrar en {{ .SiteURL }}. Funciona una sola vez, durante treinta minutos.",
            "Entrar",
            _CODE_ES,
            "Si no lo ha pedido usted, ignórelo, y no dé el código a nadie.",
        ),
        "recovery": Words(
            "Elija una contraseña nueva",
            "Elija una contraseña nueva",
            "Alguien, esperamos que usted, ha pedido una contraseña nueva en {{ .SiteURL }}. "
            "El enlace funciona una sola vez, durante treinta minutos.",
            "Elegir una contraseña nueva",
            _CODE_ES,
            "Si no lo ha pedido usted, ignórelo: su contraseña sigue siendo la misma.",
        ),
        "email_change": Words(
            "Confirme su dirección nueva",
            "Confirme su dirección nueva",
            "La dirección de su cuenta en {{ .SiteURL }} va a cambiar de {{ .OldEmail }} a {{ .NewEmail }}.",
            "Confirmar el cambio",
            _CODE_ES,
            "Si no lo ha pedido usted, no lo confirme, y cambie su contraseña.",
        ),
        "reauthentication": Words(
            "Su código es {{ .Token }}",
            "Confirme que es usted",
            "Un cambio de su contraseña en {{ .SiteURL }} pide este código.",
            "",
            "Vale diez minutos:",
            "Si no está cambiando su contraseña, otra persona ha entrado como usted: cierre sus sesiones.",
        ),
    },
}

TEXT_LAYOUT: Final = """{{ .Heading }}

{{ .Sentence }}

{{ .ConfirmationURL }}

{{ .CodeSentence }}

{{ .Token }}

{{ .Ignore }}
"""

HTML_LAYOUT: Final = """<!doctype html>
<html lang="{{ .Language }}">
<head><meta charset="utf-8"><title>{{ .Heading }}</title></head>
<body style="margin:0;padding:24px;font-family:sans-serif;font-size:16px;line-height:1.5;color:#1b1b1b">
<h1 style="font-size:20px">{{ .Heading }}</h1>
<p>{{ .Sentence }}</p>
<!--button--><p><a href="{{ .ConfirmationURL }}" style="display:inline-block;padding:10px 18px;background:#1b4d3e;
color:#ffffff;text-decoration:none;border-radius:4px">{{ .Button }}</a></p><!--button-->
<p>{{ .CodeSentence }}</p>
<p style="font-size:24px;letter-spacing:4px"><strong>{{ .Token }}</strong></p>
<p style="color:#5a5a5a">{{ .Ignore }}</p>
</body>
</html>
"""
