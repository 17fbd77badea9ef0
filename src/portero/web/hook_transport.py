"""Mails that a `send_email` hook sends in the place of a mail server. It knows no address and keeps no text."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from portero.errors import Refused
from portero.identity.hooks import Hooks, Point, SendEmail
from portero.identity.mail import Message
from portero.identity.mail_delivery import Undeliverable
from portero.records import dataclass

LOG: Final = logging.getLogger("portero.mail")


@dataclass(frozen=True, slots=True)
class HookTransport:
    """Hands mails to the application's hooks."""

    hooks: Hooks
    keeps_text = False

    def send(self, message: Message, message_id: str, now: datetime) -> None:
        """Hand one mail over.

        Raises:
            Undeliverable: the hook says that it is of no use to try again.
            OSError: anything else that it raised, which is logged: the mail is tried again.
        """
        rendered = message.rendered
        payload = SendEmail(
            message_id=message_id,
            user_id=message.user_id,
            kind=message.kind,
            to=message.to,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            values=message.values,
        )
        try:
            self.hooks.run(Point.SEND_EMAIL, payload)
        except Refused as refused:
            raise Undeliverable(f"the hook says: {refused.message}") from refused
        except Exception as error:
            # The edge of the developer's code: the thread that sends mails goes on with the next one.
            LOG.exception("a send_email hook failed")
            raise OSError(f"the hook raised {type(error).__name__}") from error
