"""For a developer's own tests: the application on an empty database of its own, and clients that sign in by name.

    from portero.testing import running

    @pytest.fixture
    def api(tmp_path):
        with running(app, tmp_path) as api:
            yield api

    def test_notes_are_private(api):
        anna, ben = api.sign_in("anna"), api.sign_in("ben")
        ...

The database is a file in a temporary directory: one in memory would be another one for each thread. Password hashes
are cheap here, so it must never serve anybody. Nothing is left behind, and the application is as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from portero.crypto.passwords import Passwords
from portero.errors import ConfigurationError
from portero.extension import Portero
from portero.identity import mail
from portero.identity.context import IdentityContext
from portero.python_api import sign_in
from portero.records import dataclass
from portero.store import outbox
from portero.store.users import UserRecord
from portero.users import create, find
from portero.web.runtime import EXTENSION, runtime

PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - the password of users that exist in tests only


class SignedInClient:
    """A client that sends one user's access token with every request; its answers are Flask's test responses.

    Attributes:
        user: the user.
        password: the password, for tests of a sign-in.
        access_token, refresh_token: of the session that was opened.
    """

    def __init__(self, client: FlaskClient, user: UserRecord, password: str, access_token: str, refresh_token: str):
        self._client = client
        self.user = user
        self.password = password
        self.access_token = access_token
        self.refresh_token = refresh_token

    def open(self, *arguments: Any, **options: Any) -> TestResponse:
        """Send a request; arguments as of `flask.testing.FlaskClient.open`."""
        headers = Headers(options.pop("headers", None))
        headers.setdefault("Authorization", f"Bearer {self.access_token}")
        return self._client.open(*arguments, headers=headers, **options)

    def get(self, *arguments: Any, **options: Any) -> TestResponse:
        """Send a GET request."""
        return self.open(*arguments, method="GET", **options)

    def post(self, *arguments: Any, **options: Any) -> TestResponse:
        """Send a POST request."""
        return self.open(*arguments, method="POST", **options)

    def put(self, *arguments: Any, **options: Any) -> TestResponse:
        """Send a PUT request."""
        return self.open(*arguments, method="PUT", **options)

    def patch(self, *arguments: Any, **options: Any) -> TestResponse:
        """Send a PATCH request."""
        return self.open(*arguments, method="PATCH", **options)

    def delete(self, *arguments: Any, **options: Any) -> TestResponse:
        """Send a DELETE request."""
        return self.open(*arguments, method="DELETE", **options)


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail that the application wrote.

    Attributes:
        to, subject, text, html: as its reader sees them.
        kind: `confirmation`, `magic_link`, `recovery`, `invite`, `email_change`, `reauthentication`, or a notice's name
            with `_notification`.
    """

    to: str
    subject: str
    text: str
    html: str
    kind: str

    @property
    def link(self) -> str:
        """The link in it; "" without one."""
        found = re.search(r"https?://\S+/verify\?\S+", self.text)
        return found[0] if found else ""

    @property
    def code(self) -> str:
        """The six digits in it; "" without them."""
        found = re.search(r"^\d{6}$", self.text, re.MULTILINE)
        return found[0] if found else ""

    @property
    def token_hash(self) -> str:
        """What `verifyOtp({token_hash, type})` takes; "" without a link."""
        return parse_qs(urlsplit(self.link).query).get("token", [""])[0]


def mail_box(context: IdentityContext) -> list[ReceivedMail]:
    """Give the mails an application wrote, oldest first; none of them was sent."""
    with context.database.reading() as connection:
        records = outbox.latest(connection, 1000)
    found = [(record, mail.read(context, record)) for record in reversed(records)]
    return [
        ReceivedMail(message.to, message.rendered.subject, message.rendered.text, message.rendered.html, record.kind)
        for record, message in found
        if message is not None
    ]


class Api(FlaskClient):
    """A client that nobody has signed in with; `sign_in` gives one that somebody has."""

    @property
    def mails(self) -> list[ReceivedMail]:
        """The mails that were written so far, oldest first."""
        with self.application.app_context():
            return mail_box(runtime().identity)

    def follow(self, link: str) -> TestResponse:
        """Press the button of the page a mail's link leads to, and give where the browser is sent."""
        parts = urlsplit(link)
        form = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return self.post(parts.path, data=form)

    def sign_in(self, name: str, password: str = PASSWORD) -> SignedInClient:
        """Sign in the user called `name`; made, with the address name@example.com, if there is none.

        Args:
            name: the user name.
            password: the password of a user that is made, or was made before.
        """
        with self.application.app_context():
            if find(name) is None:
                create(username=name, email=f"{name}@example.com", password=password)
            signed_in = sign_in(name, password)
        plain = FlaskClient(self.application, self.response_wrapper)
        return SignedInClient(plain, signed_in.user, password, signed_in.access_token, signed_in.refresh_token)


@contextmanager
def running(app: Flask, directory: Path, *, database_url: str = "") -> Iterator[Api]:
    """Run an application on an empty database while the block runs.

    Args:
        app: the application; its models are exposed as they are.
        directory: where the database file is put; pytest's `tmp_path`.
        database_url: another empty database, such as a PostgreSQL one.

    Raises:
        ConfigurationError: the application has no Portero, or cannot be frozen.
    """
    extension = app.extensions.get(EXTENSION)
    if not isinstance(extension, Portero):
        raise ConfigurationError(f"The application {app.name!r} has no Portero.")
    kept = {name: app.config.get(name) for name in ("TESTING", "PORTERO_DATABASE_URL")}
    app.config.update(TESTING=True, PORTERO_DATABASE_URL=database_url or f"sqlite:///{directory / 'portero.db'}")
    try:
        present = extension.hold(app, extension.assemble(app, Passwords(slots=2, time_cost=1, memory_cost=8)))
        try:
            yield Api(app, app.response_class)
        finally:
            extension.close(app)
            extension.hold(app, present)
    finally:
        for name, value in kept.items():
            app.config.pop(name)
            if value is not None:
                app.config[name] = value
