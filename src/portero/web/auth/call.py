"""One request to `/auth/v1` as its view sees it, and the answers views give."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from flask import Request, Response

from portero.errors import AuthError
from portero.identity import redirects
from portero.identity.context import Caller, IdentityContext
from portero.records import dataclass
from portero.web.answers import as_json
from portero.web.guard import SignedInUser
from portero.web.runtime import Runtime

_PLAIN: Final = re.compile(r"[A-Za-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Call:
    """What a view is given.

    Attributes:
        request: Flask's.
        runtime: the application's.
        caller: whence.
        now: the time of this request.
        signed_in: who passed the `user` gate; None at open endpoints.
    """

    request: Request
    runtime: Runtime
    caller: Caller
    now: datetime
    signed_in: SignedInUser | None = None

    @property
    def identity(self) -> IdentityContext:
        """The first argument of every identity function."""
        return self.runtime.identity

    @property
    def user(self) -> SignedInUser:
        """Who passed the `user` gate; only views behind it may ask."""
        assert self.signed_in is not None
        return self.signed_in

    def path(self, name: str) -> str:
        """Return a part of the path that the route names."""
        return str((self.request.view_args or {})[name])

    def path_id(self, name: str) -> UUID:
        """Return a part of the path that is an id.

        Raises:
            AuthError: 404 validation_failed.
        """
        try:
            return UUID(self.path(name))
        except ValueError:
            raise AuthError(404, "validation_failed", f"{name} must be an UUID") from None

    @property
    def redirect_to(self) -> str:
        """Where a link that this request asks for leads; only what the settings allow.

        Raises:
            AuthError: 400 validation_failed: given twice; in development also: not in the list.
        """
        asked = (self.request.headers.get("redirect_to"), self.query("redirect_to"))
        return redirects.choose(asked, self.request.headers.get("Referer"), self.runtime.settings)

    def query(self, name: str) -> str | None:
        """Return a parameter of the query, which may stand there once.

        Raises:
            AuthError: 400 validation_failed.
        """
        only, _, value = self.request.environ.get("QUERY_STRING", "").partition("=")
        if only == name and _PLAIN.fullmatch(value):  # the usual query, which needs no parser
            return str(value)
        values = self.request.args.getlist(name)
        if len(values) > 1:
            raise AuthError(400, "validation_failed", f"{name} is given more than once")
        return values[0] if values else None


def answer(
    body: Mapping[str, Any] | Sequence[Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON answer; instants and ids in it are written as the contract does."""
    return as_json(body, status, headers)
