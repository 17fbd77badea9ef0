"""The local mail box, in development only: the mails that would have been sent, on one page.

It exists where `PORTERO_DEV` or Flask's debug mode is on, answers callers on this machine who name it by a name of
its own, and runs no script: its links lead to `/verify`, as the mails' do.
"""

from __future__ import annotations

import html
import re
from typing import Final

from flask import Response
from werkzeug.exceptions import NotFound

from portero.identity import mail
from portero.identity.mail import Message
from portero.settings import LOOPBACK
from portero.store import outbox
from portero.store.outbox import OutgoingMailRecord
from portero.web.auth.call import Call
from portero.web.own_styles import POLICY, STYLE

_MOST: Final = 50
_LINK: Final = re.compile(r"https?://[^\s&]+(?:&amp;[^\s&]+)*(?<![.,;:!?])")
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Local mail box</title>
<style>{style}</style>
</head>
<body>
<h1>Local mail box</h1>
<p class="quiet">Mails of this development server, newest first; none of them was sent.</p>
{mails}
</body>
</html>
"""
_MAIL: Final = "<section><h2>{subject}</h2><p>To {to}, {at}</p><pre>{text}</pre></section>"


def show(call: Call) -> Response:
    """Return the page, newest first."""
    if not call.runtime.settings.dev or not _is_local(call):
        raise NotFound
    with call.runtime.database.reading() as connection:
        found = outbox.latest(connection, _MOST)
    opened = ((record, mail.read(call.identity, record)) for record in found)
    mails = "\n".join(_shown(record, message) for record, message in opened if message is not None)
    page = _PAGE.format(style=STYLE, mails=mails or "<p>It is empty.</p>")
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _is_local(call: Call) -> bool:
    """Tell whether the caller is on this machine, and did not come by a name that somebody else points here."""
    name = call.request.host.rpartition(":")[0] if ":" in call.request.host else call.request.host
    return call.request.remote_addr in LOOPBACK and name.strip("[]") in LOOPBACK


def _shown(record: OutgoingMailRecord, message: Message) -> str:
    text = _LINK.sub(lambda link: f'<a href="{link[0]}">{link[0]}</a>', html.escape(message.rendered.text))
    return _MAIL.format(
        subject=html.escape(message.rendered.subject),
        to=html.escape(message.to),
        at=f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC",
        text=text,
    )
