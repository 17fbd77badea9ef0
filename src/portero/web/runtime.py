"""What one frozen application holds for its requests: `extension.freeze()` builds it, the edge reads it.

It never changes after it was built, and holds nothing of any request.
"""

from __future__ import annotations

from typing import Protocol

from flask import Flask, current_app

from portero.data.pipeline import DataApi
from portero.identity.context import IdentityContext
from portero.records import dataclass
from portero.settings import Settings
from portero.store.engine import Database
from portero.web.background import Background
from portero.web.mail_worker import MailWorker

EXTENSION = "portero"
#: Where an application keeps its runtime once it is frozen.
FROZEN = "portero.runtime"
#: Where it is kept in a process that was forked from one in which it was frozen, until it is asked for.
INHERITED = "portero.inherited"


class Freezable(Protocol):
    """What the extension puts into `app.extensions["portero"]`: it builds the runtime once, at the first request."""

    def freeze(self, app: Flask) -> Runtime:
        """Return the runtime of `app`."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of one application.

    Attributes:
        settings: the frozen settings.
        database: the store.
        identity: what `identity` functions take first.
        data: the data API.
        mail_worker: sends mails while it serves; None where none can be sent.
        sweeper: removes what is over while it serves; None where the setting says never.
    """

    settings: Settings
    database: Database
    identity: IdentityContext
    data: DataApi
    mail_worker: MailWorker | None = None
    sweeper: Background | None = None

    def begin(self) -> None:
        """Begin what is done beside the requests."""
        if self.mail_worker is not None:
            self.mail_worker.listen()
        if self.sweeper is not None:
            self.sweeper.start()

    def close(self) -> None:
        """End what is done beside the requests, and close the database."""
        if self.mail_worker is not None:
            self.mail_worker.stop()
        if self.sweeper is not None:
            self.sweeper.stop()
        self.database.close()


def frozen() -> Runtime | None:
    """Return the runtime of the current Flask application if it was built already."""
    held: Runtime | None = current_app.extensions.get(FROZEN)
    return held


def runtime() -> Runtime:
    """Return the runtime of the current Flask application; the extension freezes it at the first request."""
    held: Freezable = current_app.extensions[EXTENSION]
    return held.freeze(current_app)
