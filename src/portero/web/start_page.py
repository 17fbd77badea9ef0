"""What is here, in development: shown at `/` where the application has no route of its own there.

To a browser it is a page with links, to everybody else JSON. It holds nothing of the application but its name, runs no
script, and does not exist in production.
"""

from __future__ import annotations

import html
from typing import Final

import orjson
from flask import Flask, Request, Response

from portero.settings import Settings
from portero.web.headers import security_headers
from portero.web.own_styles import POLICY, STYLE

PATH: Final = "/"
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>{style}</style>
</head>
<body>
<h1>{name}</h1>
<p class="quiet">Development. The application has no route / of its own; what Portero serves beside its routes:</p>
{entries}
</body>
</html>
"""
_ENTRY: Final = '<section><h2><a href="{path}">{path}</a></h2><p>{sentence}</p></section>'


def is_development(app: Flask, settings: Settings) -> bool:
    """Tell whether this is development, before or after the application is frozen."""
    return settings.dev or app.debug or app.testing


def answer(app: Flask, request: Request, settings: Settings) -> Response:
    """Return the page, or the same as JSON."""
    root = request.script_root
    served = {f"{root}{path}": sentence for path, sentence in _served(settings).items()}
    headers = dict(security_headers(settings))
    if not request.accept_mimetypes.accept_html or "text/html" not in request.headers.get("Accept", ""):
        body = orjson.dumps({"name": app.name, "serves": served})
        return Response(body, headers=headers, content_type="application/json; charset=utf-8")
    entries = "\n".join(
        _ENTRY.format(path=html.escape(path), sentence=html.escape(sentence)) for path, sentence in served.items()
    )
    page = _PAGE.format(name=html.escape(app.name), style=STYLE, entries=entries)
    headers["Content-Security-Policy"] = POLICY
    return Response(page, headers=headers, content_type="text/html; charset=utf-8")


def _served(settings: Settings) -> dict[str, str]:
    served = {
        f"{settings.data_path}/": "The data API: a page to try it for browsers, its OpenAPI description for programs.",
        f"{settings.auth_path}/settings": "Which ways of signing in are on; sign-in itself is below the same path.",
        f"{settings.auth_path}/.well-known/jwks.json": "The public keys that verify access tokens.",
        "/health": "Whether the process lives.",
    }
    if not settings.smtp_url:
        served[f"{settings.auth_path}/mail-box"] = "The mails of this server; in development none is sent."
    return served
