"""The page a mail's link shows: one sentence, one button, nothing from anywhere else (threats BR-08, MF-17).

It runs no script and loads nothing; its look stands in it. Its form may go nowhere but here and on to the address the
link leads to.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Final

from flask import Response

from portero.identity import redirects
from portero.identity.mail_templates import language_of
from portero.web.auth.call import Call
from portero.web.own_styles import POLICY, STYLE

#: Title, sentence, button; by language and type.
_WORDS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "en": {
        "signup": ("Confirm your address", "Confirm"),
        "invite": ("Accept the invitation", "Accept"),
        "recovery": ("Choose a new password", "Continue"),
        "magiclink": ("Sign in", "Sign in"),
        "email_change": ("Confirm the change of address", "Confirm"),
        "": ("Continue", "Continue"),
    },
    "es": {
        "signup": ("Confirme su dirección", "Confirmar"),
        "invite": ("Acepte la invitación", "Aceptar"),
        "recovery": ("Elija una contraseña nueva", "Continuar"),
        "magiclink": ("Entrar", "Entrar"),
        "email_change": ("Confirme el cambio de dirección", "Confirmar"),
        "": ("Continuar", "Continuar"),
    },
}
_PAGE: Final = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main class="card">
<h1>{title}</h1>
<p class="quiet">{site}</p>
<form method="post" action="{action}">
<input type="hidden" name="token" value="{token}">
<input type="hidden" name="type" value="{kind}">
<input type="hidden" name="redirect_to" value="{redirect_to}">
<button type="submit" autofocus>{button}</button>
</form>
</main>
</body>
</html>
"""


def show(call: Call, token: str, kind: str, redirect_to: str) -> Response:
    """Return the page; `redirect_to` was judged already."""
    settings = call.runtime.settings
    language = language_of(None, call.caller.languages)
    words = _WORDS[language]
    title, button = words.get(kind, words[""])
    values = {
        "language": language,
        "title": title,
        "button": button,
        "site": redirects.site_url(settings),
        "action": f"{settings.auth_path}/verify",
        "token": token,
        "kind": kind,
        "redirect_to": redirect_to,
    }
    page = _PAGE.format(style=STYLE, **{name: html.escape(value) for name, value in values.items()})
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _policy(redirect_to)
    response.headers["X-Frame-Options"] = "DENY"
    return response


def _policy(redirect_to: str) -> str:
    """Return what the page may do: browsers hold a form's redirects against `form-action` too."""
    address = redirects.parse(redirect_to)
    target = f" {address.source}" if address is not None else ""
    return f"{POLICY}; form-action 'self'{target}"
