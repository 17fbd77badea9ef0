"""Who is asking, from the headers of one request (contract auth.md §1.0 and §5, threats JV-16, JV-17).

`principal_of` serves `/rest/v1`; `signed_in_user` and `check_api_key` serve `/auth/v1`. Tokens come in headers only. It
never reads a query string, a body or a proxy's identity header, and keeps no refusal and no liveness.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from portero.errors import AuthError, InvalidToken, TokenFault
from portero.identity.context import Account
from portero.principal import NOBODY, Principal
from portero.store.sessions import SessionRecord
from portero.web.runtime import Runtime

_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] ([!-~]+)")


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """A caller who passed the `user` gate.

    Attributes:
        account: the user as stored now.
        session: the session as stored now, or None for a hand-made token without one (migration setting).
        claims: the verified claims of the access token.
    """

    account: Account
    session: SessionRecord | None
    claims: Mapping[str, Any]


def principal_of(environ: Mapping[str, Any], runtime: Runtime, now: float) -> Principal:
    """Tell who asks the data API: a user's or key's Bearer token, else the `apikey`, else nobody (role `anon`).

    Args:
        environ: the WSGI environ; only HTTP_AUTHORIZATION, HTTP_APIKEY, HTTP_USER_AGENT and HTTP_ORIGIN are read.
        runtime: the application's runtime.
        now: Unix seconds.

    Raises:
        InvalidToken: an unreadable or refused token, an unknown key, two different credentials, a secret key sent by
            a browser, or no key where one is required.
    """
    raise NotImplementedError


def signed_in_user(environ: Mapping[str, Any], runtime: Runtime, now: datetime) -> SignedInUser:
    """Pass the `user` gate: token, user, session, ban; in this order (contract auth.md §1.0).

    Raises:
        AuthError: 401 no_authorization; 403 bad_jwt, user_not_found, session_not_found, user_banned; 400 bad_jwt.
    """
    raise NotImplementedError


def check_api_key(environ: Mapping[str, Any], runtime: Runtime, now: float) -> None:
    """Refuse a request whose `apikey` is unknown, or missing where the setting demands one.

    Raises:
        AuthError: 401 no_authorization.
    """
    raise NotImplementedError
