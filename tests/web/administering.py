"""Calls of the admin API, as a server with a secret key makes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.identity.people import happenings
from tests.web.callers import Api, now
from werkzeug.test import TestResponse


@dataclass
class Admin:
    """An administrator of an application."""

    api: Api

    @cached_property
    def key(self) -> str:
        return self.api.context.api_keys.create("secret", "tests", now()).value

    def call(self, method: str, path: str, json: Any = None, **more: Any) -> TestResponse:
        return self.api.call(method, path, json, token=self.key, **more)

    def create(self, email: str = "ann@example.org", **more: Any) -> dict[str, Any]:
        """Make a user, confirmed unless it is said otherwise."""
        answer = self.call("POST", "/admin/users", {"email": email, "email_confirm": True, **more})
        assert 200 == answer.status_code, answer.get_data(as_text=True)
        found: dict[str, Any] = answer.get_json()
        return found

    @property
    def happened(self) -> list[str]:
        """What happened, the administrator's own key apart."""
        return [each for each in happenings(self.api.context) if each != "api_key_created"]
