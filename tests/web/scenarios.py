"""Rows of the scenario tables of `/auth/v1`: who asks what, the whole answer, the events written and the mails sent.

The tables stand in `tests/web/tables`, one module a capability; `test_scenarios.py` goes through them. Every row has
people and a network address of its own, so that all rows share one database and no row meets another's limits. In the
texts of a row `$ann` and `$bob` are its two addresses, and `$name` is what its `given` has made.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from string import Template
from typing import Any
from unittest.mock import ANY
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa
from tests.identity.people import PASSWORD
from tests.web.callers import Api
from tests.web.test_auth import AN_ID, AN_INSTANT, Like, user_of
from tests.web.test_mailed_links import S256
from werkzeug.test import TestResponse

from portero.crypto.passwords import _QUEUE_PER_SLOT
from portero.identity import mail
from portero.identity.context import Caller
from portero.identity.mail import Message
from portero.store import audit, outbox
from portero.store.tables import OWN_TABLES

Values = dict[str, Any]
OTHER = "eight dry stones"
SITE = "https://app.example"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TOO_SOON = Like(re.compile(r"For security purposes, you can only request this after (59|60) seconds\."))
WAIT = "Request rate limit reached"
NO_BEARER = "This endpoint requires a valid Bearer token"
BAD_LINK = "Email link is invalid or has expired"
BAD_CODE = "Token has expired or is invalid"
INVALID_ADDRESS = (400, "validation_failed", "Unable to validate email address: invalid format")
BAD_JSON = "Could not parse request body as JSON: "


@dataclass
class Scene:
    """The world of one row: its application, its people and their network address."""

    api: Api
    number: int
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def ann(self) -> str:
        return f"ann{self.number}@example.org"

    @property
    def bob(self) -> str:
        return f"bob{self.number}@example.org"

    @property
    def address(self) -> str:
        return f"10.{self.number // 65536}.{self.number // 256 % 256}.{self.number % 256}"

    @property
    def caller(self) -> Caller:
        return Caller(self.address, "tests")

    def call(self, ask: str, json: Any = None, **more: Any) -> TestResponse:
        """Ask from the row's own address."""
        method, path = ask.split(" ", 1)
        environ = {"REMOTE_ADDR": self.address, **more.pop("environ_base", {})}
        return self.api.call(method, path, json, environ_base=environ, **more)

    def made(self, ask: str, json: Any = None, **more: Any) -> Any:
        """Ask for something that must succeed, and give the body."""
        answer = self.call(ask, json, **more)
        assert answer.status_code < 400, (ask, answer.get_data(as_text=True))
        return answer.get_json()

    def sql(self, table: str, **values: Any) -> None:
        """Write columns of every row of Ann's (of the whole table, where it has no user)."""
        meant = OWN_TABLES[f"portero_{table}"]
        change = sa.update(meant).values(**values)
        users = OWN_TABLES["portero_users"]
        own = sa.select(users.c.id).where(users.c.email == self.ann).scalar_subquery()
        column = meant.c.id if table == "users" else meant.c.get("user_id")
        with self.api.context.database.writing() as connection:
            connection.execute(change if column is None else change.where(column == own))

    @contextmanager
    def overloaded(self) -> Iterator[None]:
        """Have as many passwords hashed as the machine bears, while the block runs."""
        passwords = self.api.context.passwords
        held = passwords._slots * (1 + _QUEUE_PER_SLOT)
        with ThreadPoolExecutor(held) as threads:
            for _ in range(passwords._slots):
                passwords._free.acquire()
            for _ in range(held):
                threads.submit(passwords.hash, PASSWORD)
            while passwords._present < held:
                time.sleep(0.001)
            yield
            passwords._free.release(passwords._slots)

    def later(self) -> None:
        """Let the minute between two mails pass."""
        self.api.let_a_minute_pass()

    def mail(self, to: str) -> Message:
        """Give the newest mail to an address."""
        return next(message for message in self._mails(datetime.min) if message.to == to)

    @property
    def newest_mail_id(self) -> str:
        with self.api.context.database.reading() as connection:
            return str(outbox.latest(connection, 1)[0].id)

    def events_since(self, start: datetime) -> list[str]:
        with self.api.context.database.reading() as connection:
            found = audit.latest(connection, 50)
        return sorted(event.happening.value for event in found if event.at >= start)

    def mails_since(self, start: datetime) -> list[str]:
        return sorted(f"{message.kind} to {message.to}" for message in self._mails(start))

    def _mails(self, start: datetime) -> list[Message]:
        with self.api.context.database.reading() as connection:
            records = outbox.latest(connection, 20)
        since = [record for record in records if start == datetime.min or record.created_at >= start]
        opened = [mail.read(self.api.context, record) for record in since]
        return [message for message in opened if message is not None]


Given = Callable[[Scene], Values]


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        sentence: what it shows.
        ask: method and path.
        body: sent as JSON; bytes are sent as they are.
        given: what was done before, and the names it gives.
        world: under which settings.
        who: the name of the Bearer token, "" for none.
        headers, form: more of the request.
        address: whence it comes, if not from the row's own.
        gives: status and whole body; or `refuses`: status, code, message and further members.
        leads: where a redirect leads: the address before the fragment, and the fragment's values.
        events, mails: what is written meanwhile; mails as "kind to address".
    """

    sentence: str
    ask: str
    body: Any = None
    given: Given = lambda _: {}
    world: str = "plain"
    who: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None
    address: str = ""
    gives: tuple[int, Any] | None = None
    refuses: tuple[Any, ...] | None = None
    leads: tuple[Any, Mapping[str, Any] | None] | None = None
    events: str = ""
    mails: Sequence[str] = ()

    @property
    def status(self) -> int:
        return int((self.gives or self.refuses or (303,))[0])

    @property
    def code(self) -> str | None:
        return None if self.refuses is None else str(self.refuses[1])

    def answer(self) -> tuple[int, Any]:
        """Give the expected status and body, names not filled in."""
        if self.refuses is None:
            return self.gives or (303, None)
        status, code, message, *more = self.refuses
        return status, {"code": code, "message": message, **(more[0] if more else {})}


def filled(value: Any, names: Mapping[str, Any]) -> Any:
    """Put a row's names into its texts."""
    if isinstance(value, str):
        whole = value[1:] if value.startswith("$") and value[1:] in names else None
        return names[whole] if whole else Template(value).substitute(names) if "$" in value else value
    if isinstance(value, Mapping):
        return {name: filled(member, names) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(filled(member, names) for member in value)
    return value


# What bodies look like


def user(email: str = "$ann", **more: Any) -> dict[str, Any]:
    """The User after a sign-up that confirmed itself; a member that is to be absent is `...`."""
    found = user_of(email, AN_ID, **more)  # type: ignore[arg-type]
    return {name: value for name, value in found.items() if value is not ...}


def facts(email: str = "$ann", *, verified: bool) -> dict[str, Any]:
    """What a user's metadata say of the address."""
    return {"sub": AN_ID, "email": email, "email_verified": verified, "phone_verified": False}


def pending_user(email: str = "$ann", **more: Any) -> dict[str, Any]:
    """The User whose address waits for its proof."""
    absent = dict.fromkeys(("email_confirmed_at", "confirmed_at", "last_sign_in_at"), ...)
    known = facts(email, verified=False)
    found = user(email, **absent, user_metadata=known, confirmation_sent_at=AN_INSTANT)
    del found["identities"][0]["last_sign_in_at"]
    return found | more


def weak(reason: str, sentence: str) -> tuple[Any, ...]:
    """The refusal of a password."""
    return 422, "weak_password", sentence, {"weak_password": {"reasons": [reason]}}


def session(of: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The token response."""
    return {
        "access_token": ANY,
        "token_type": "bearer",
        "expires_in": 3600,
        "expires_at": ANY,
        "refresh_token": ANY,
        "user": of or ANY,
        **more,
    }


# What was done before


def ann(scene: Scene) -> Values:
    """Ann has signed up, confirmed herself and holds a session."""
    found = scene.made("POST /signup", {"email": scene.ann, "password": PASSWORD})
    return {"token": found["access_token"], "refresh": found["refresh_token"], "id": found["user"]["id"]}


def waiting(scene: Scene) -> Values:
    """Ann has signed up where addresses are proven, and has the mail."""
    found = scene.made("POST /signup", {"email": scene.ann, "password": PASSWORD})
    return {"id": found["id"], **mailed(scene, scene.ann)}


def proven(scene: Scene) -> Values:
    """Ann has proven her address and holds a session; the limits are fresh."""
    found = waiting(scene)
    given = {"type": "signup", "token_hash": found["hash"]}
    session = scene.made("POST /verify", given)
    scene.later()
    return {"token": session["access_token"], "refresh": session["refresh_token"], "id": session["user"]["id"]}


def mailed(scene: Scene, to: str) -> Values:
    """Give code and token of the newest mail to an address."""
    values = scene.mail(to).values
    code = values["Token"]
    return {"code": code, "hash": values["TokenHash"], "wrong": f"{(int(code) + 1) % 10**6:06d}"}


def flow_code(scene: Scene) -> Values:
    """Ann has followed a recovery link of a PKCE flow, and the client has its code."""
    found = proven(scene)
    scene.made("POST /recover", {"email": scene.ann, **S256})
    link = {"token": scene.mail(scene.ann).values["TokenHash"], "type": "recovery", "redirect_to": SITE}
    answer = scene.call("POST /verify", data=link)
    return {**found, "flow": parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]}
