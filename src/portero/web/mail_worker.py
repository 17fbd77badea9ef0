"""The thread that sends mails in a process that serves: woken by a commit, and every ten seconds by itself.

It starts with the first mail, or when the server starts; a process that was forked starts its own. Whatever goes wrong
is logged, and the thread goes on: a mail that was not sent is due again later.
"""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime
from typing import Final

from portero.identity import mail_delivery
from portero.identity.context import IdentityContext
from portero.identity.mail_delivery import Transport

LOG: Final = logging.getLogger("portero.mail")
_SECONDS: Final = 10.0
_PATIENCE: Final = 5.0


class MailWorker:
    """Sends an application's mails from one thread of each process.

    Args:
        context: the application's.
        transport: where mails go.
    """

    def __init__(self, context: IdentityContext, transport: Transport) -> None:
        self._context = context
        self._transport = transport
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._process = 0

    def listen(self) -> None:
        """Answer the bell from now on."""
        self._context.mail_bell.answered_by(self.wake)

    def wake(self) -> None:
        """Let the thread look at once; start it if this process has none."""
        with self._lock:
            if self._stopped.is_set():
                return
            if self._process != os.getpid():
                # Threads do not survive a fork, and neither do the locks they held.
                self._process, self._wake = os.getpid(), threading.Event()
                self._thread = threading.Thread(target=self._run, name="portero-mail", daemon=True)
                self._thread.start()
        self._wake.set()

    def stop(self) -> None:
        """End the thread, after the mail it is sending."""
        self._context.mail_bell.answered_by(None)
        with self._lock:
            self._stopped.set()
            thread = self._thread if self._process == os.getpid() else None
        self._wake.set()
        if thread is not None:
            thread.join(_PATIENCE)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.clear()
            try:
                mail_delivery.send_due(self._context, self._transport, datetime.now(UTC))
            except Exception:
                # The edge of this thread: if it ended, no mail would be sent until the next start.
                LOG.exception("the outbox could not be worked on")
            self._wake.wait(_SECONDS)
