"""How an application's hooks come to work: in an application context, and as what sends the mails.

`assembly` calls it once. It decides nothing about what hooks are asked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from flask import Flask, current_app, has_app_context

from portero.identity import mail_delivery
from portero.identity.hooks import Hook, Hooks, Point, points_of
from portero.identity.mail_delivery import Transport
from portero.settings import Settings
from portero.web.hook_transport import HookTransport

#: Stands in the place of a mail server's URL where a hook sends the mails; no transport reads it.
BY_HOOK: Final = "hook:send_email"


def hooks_of(app: Flask, marked: Iterable[Hook]) -> Hooks:
    """Make the hooks of an application; each runs in its context: from a request, a command, or the mail thread."""

    def in_context(hook: Hook) -> Hook:
        def run(payload: object) -> object:
            if has_app_context() and current_app == app:
                return hook(payload)
            with app.app_context():
                return hook(payload)

        return run

    return Hooks((point, in_context(hook)) for hook in marked for point in points_of(hook))


def with_mails_by_hook(settings: Settings, hooks: Hooks) -> Settings:
    """Say that mails can be sent where a hook sends them: addresses are proven then, as with a mail server."""
    if not hooks.has(Point.SEND_EMAIL):
        return settings
    return dataclasses.replace(settings, smtp_url=BY_HOOK, mail_from=settings.mail_from or BY_HOOK)


def transport_of(settings: Settings, hooks: Hooks) -> Transport | None:
    """Return where mails go: to the hook, else where the settings say; None where none can be sent."""
    return HookTransport(hooks) if hooks.has(Point.SEND_EMAIL) else mail_delivery.transport_of(settings)
