"""Who does not pass: every refusal of the gates, at every path behind them (auth.md §1.0)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import jwt
from tests.identity.people import SECRET
from tests.web.administering import Admin
from tests.web.callers import now
from tests.web.scenarios import NO_BEARER, Given, Row, Scene, Values, ann

from portero.identity import admin
from portero.web.routes import ROUTES, Gate

BAD = "invalid JWT: unable to parse or verify signature, "
NO_USER = (403, "user_not_found", "User from sub claim in JWT does not exist")
NO_SESSION = (403, "session_not_found", "Session from session_id claim in JWT does not exist")
BANNED = (403, "user_banned", "User is banned")
NO_BEARER_AT_ALL = (401, "no_authorization", NO_BEARER)
NOBODY_IN_PARTICULAR = (403, "no_authorization", "Anonymous user not allowed to perform these actions")


def signed(**claims: Any) -> Given:
    """A token made with the application's own secret."""

    def given(scene: Scene) -> Values:
        issued = {"iat": int(now().timestamp()), "iss": f"{scene.api.runtime.settings.url}/auth/v1"}
        issued["exp"] = issued["iat"] + 600
        return {"token": jwt.encode({**issued, **claims}, SECRET, "HS256")}

    return given


def deleted(scene: Scene) -> Values:
    found = ann(scene)
    admin.delete(scene.api.context, admin.find(scene.api.context, scene.ann).user.id, now())  # type: ignore[union-attr]
    return found


def signed_out(scene: Scene) -> Values:
    found = ann(scene)
    scene.call("POST /logout", token=found["token"])
    return found


def banned(scene: Scene) -> Values:
    """The ban was written where no session was ended: by another server, say."""
    found = ann(scene)
    scene.sql("users", banned_until=now() + timedelta(hours=1))
    return found


def nobody(scene: Scene) -> Values:
    return {"token": scene.made("POST /signup", {})["access_token"]}


def publishable(scene: Scene) -> Values:
    return {"token": scene.api.context.api_keys.create("publishable", "tests", now()).value}


def from_a_browser(scene: Scene) -> Values:
    return {"token": Admin(scene.api).key}


HAND_MADE = {"aud": "authenticated", "role": "authenticated"}
USER_GATE: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("nobody", NO_BEARER_AT_ALL, {}),
    ("nonsense", (403, "bad_jwt", f"{BAD}a JWT has three parts separated by dots"), {"who": "nonsense"}),
    ("a key for browsers", (403, "bad_jwt", f"{BAD}a JWT has three parts separated by dots"), {"given": publishable}),
    ("a key made of a JWT", (403, "bad_jwt", "invalid claim: missing sub claim"), {"given": signed(role="anon")}),
    (
        "a name that is no id",
        (400, "bad_jwt", "invalid claim: sub claim must be a UUID"),
        {"given": signed(sub="ann", **HAND_MADE), "world": "trusting"},
    ),
    ("who is deleted", NO_USER, {"given": deleted}),
    ("who is signed out", NO_SESSION, {"given": signed_out}),
    ("who is banned", BANNED, {"given": banned}),
]
NOT_ADMIN = (403, "not_admin", "User not allowed")
ADMIN_GATE: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("nobody", NO_BEARER_AT_ALL, {}),
    ("nonsense", (403, "bad_jwt", f"{BAD}a JWT has three parts separated by dots"), {"who": "nonsense"}),
    ("an unknown key", (401, "no_authorization", "Invalid API key"), {"who": "sb_secret_nonsense"}),
    ("a key for browsers", NOT_ADMIN, {"given": publishable}),
    ("a user", NOT_ADMIN, {"given": ann}),
    (
        "a secret key from a browser",
        (401, "no_authorization", "Invalid API key"),
        {"given": from_a_browser, "headers": {"User-Agent": "Mozilla/5.0"}},
    ),
]
GATES = {
    Gate.USER: USER_GATE,
    Gate.NAMED: [*USER_GATE, ("who has no name", NOBODY_IN_PARTICULAR, {"given": nobody, "world": "anonymous"})],
    Gate.ADMIN: ADMIN_GATE,
}
AN_ID = "00000000-0000-4000-8000-000000000000"


def _path(path: str) -> str:
    return re.sub("<.*?>", AN_ID, path)


TABLE = tuple(
    Row(
        f"{sentence} does not pass",
        f"{route.method} {_path(route.path)}",
        {} if route.method in ("POST", "PUT") else None,
        refuses=refusal,
        **{"who": "token" if "given" in more else "", **more},
    )
    for route in ROUTES
    for sentence, refusal, more in GATES.get(route.gate, [])
)
