"""The thread that sends mails in a process that serves: woken by a commit, and every ten seconds by itself.

It starts with the first mail, or when the server starts; a process that was forked starts its own. Whatever goes wrong
is logged, and the thread goes on: a mail that was not sent is due again later. Whether mails wait too long it knows
from its last look, so asking it costs nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from portero.identity import mail_delivery
from portero.identity.context import IdentityContext
from portero.identity.mail_delivery import Transport
from portero.store import outbox
from portero.web.background import Background

_SECONDS: Final = 10.0
#: A mail that waits for longer than this is one that does not get out.
_PROMPT: Final = timedelta(minutes=1)


class MailWorker:
    """Sends an application's mails from one thread of each process.

    Args:
        context: the application's.
        transport: where mails go.

    Attributes:
        transport: where mails go.
        is_failing: whether a mail has waited for more than a minute, as of the last look.
    """

    def __init__(self, context: IdentityContext, transport: Transport) -> None:
        self.is_failing = False
        self._context = context
        self.transport = transport
        self._has_more = False
        self._background = Background("portero-mail", self._work, self._pause)

    def listen(self) -> None:
        """Answer the bell from now on."""
        self._context.mail_bell.answered_by(self.wake)

    def wake(self) -> None:
        """Let the thread look at once; start it if this process has none."""
        self._background.wake()

    def stop(self) -> None:
        """End the thread, after the mail it is sending."""
        self._context.mail_bell.answered_by(None)
        self._background.stop()

    def _work(self) -> None:
        self._has_more = False
        now = datetime.now(UTC)
        self._has_more = mail_delivery.send_due(self._context, self.transport, now) > 0
        with self._context.database.reading() as connection:
            self.is_failing = outbox.has_waiting(connection, now - _PROMPT)

    def _pause(self) -> float:
        return 0.0 if self._has_more else _SECONDS
