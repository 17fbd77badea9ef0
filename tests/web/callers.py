"""How tests call the auth API: like the clients do, with a key, a token, a version, or like nobody does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from tests.identity.people import PASSWORD
from werkzeug.test import TestResponse

from portero.identity.context import IdentityContext
from portero.testing import ReceivedMail, mail_box
from portero.web.runtime import Runtime

VERSION = {"X-Supabase-Api-Version": "2024-01-01"}


@dataclass(frozen=True)
class Api:
    """One application, and calls to it."""

    app: Flask
    runtime: Runtime

    @property
    def context(self) -> IdentityContext:
        return self.runtime.identity

    def call(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        old: bool = False,
        **more: Any,
    ) -> TestResponse:
        """Make one request below /auth/v1, in the present version of the contract unless `old`."""
        sent = {} if old else dict(VERSION)
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if json is not None:
            more["json"] = json
        # Not in a `with`, which would ask for Flask's context of the answer, and so for Flask.
        client = self.app.test_client()
        answer = client.open("/auth/v1" + path, method=method, headers={**sent, **(headers or {})}, **more)
        answer.get_data()
        return answer

    def sign_up(self, email: str = "ann@example.org", **more: Any) -> dict[str, Any]:
        """Sign somebody up and return the session."""
        answer = self.call("POST", "/signup", {"email": email, "password": PASSWORD, **more})
        assert 200 == answer.status_code, answer.get_data(as_text=True)
        found: dict[str, Any] = answer.get_json()
        return found

    def sign_in(self, email: str = "ann@example.org", password: str = PASSWORD) -> TestResponse:
        """Try to sign somebody in."""
        return self.call("POST", "/token?grant_type=password", {"email": email, "password": password})

    @property
    def mails(self) -> list[ReceivedMail]:
        """The mails that were written so far, oldest first."""
        return mail_box(self.context)

    def follow(self, link: str, **more: Any) -> TestResponse:
        """Press the button of the page a mail's link leads to."""
        form = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
        return self.call("POST", "/verify", data=form, **more)

    def let_a_minute_pass(self) -> None:
        """Let the minute between two mails of a kind to one address be over."""
        with self.context.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM portero_counters WHERE substr(name, 1, 5) = 'mail-'")

    def refresh(self, token: str) -> TestResponse:
        """Try to refresh a session."""
        return self.call("POST", "/token?grant_type=refresh_token", {"refresh_token": token})


def now() -> datetime:
    """Return the present time, as the edge reads it."""
    return datetime.now(UTC)


def code_of(answer: TestResponse) -> tuple[int, str]:
    """Return status and code of a refusal in the present version."""
    return answer.status_code, answer.get_json()["code"]
