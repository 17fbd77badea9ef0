"""The application of the curves on one database, asked through its WSGI callable; its users are copies of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask

import portero
from benchmarks.asking import ask, raw
from benchmarks.curves.by_hand import ByHand
from benchmarks.curves.filling import Filling
from benchmarks.curves.models import Base
from benchmarks.data import PASSWORD
from benchmarks.seed import open_sessions
from benchmarks.workloads import Answer, Request, bearer
from portero import JWTManager
from portero.crypto.passwords import Passwords
from portero.identity.context import SignedIn
from portero.store.tables import IDENTITIES, User

SECRET = "what-the-curves-sign-their-tokens-with-2026"
RAISED = 1_000_000_000
THROTTLES = ("sign_in", "sign_up", "refresh", "update")
#: Cheap, so that what stands beside the hash is not lost in it.
CHEAP = {"time_cost": 1, "memory_cost": 8}


def mail_of(number: int) -> str:
    """Give the address of a copied user."""
    return f"copy{number}@example.com"


class Growing:
    """The application on one database.

    Args:
        url: an SQLAlchemy URL.
        settings: `PORTERO_…` settings without the prefix.
    """

    def __init__(self, url: str, **settings: Any) -> None:
        self.app = Flask(__name__)
        given = dict.fromkeys((f"throttle_{name}" for name in THROTTLES), RAISED) | settings
        given |= {"database_url": url, "dev": "yes", "statement_timeout": 3_600}
        self.app.config["JWT_SECRET_KEY"] = SECRET
        self.app.config.update({f"PORTERO_{name.upper()}": value for name, value in given.items()})
        extension = JWTManager(self.app, models=Base)
        self.passwords = Passwords(1, **CHEAP)
        self.runtime = extension.assemble(self.app, self.passwords)
        extension.hold(self.app, self.runtime)
        self.database = self.runtime.database
        self.filling = Filling(self.database)

    def copy_users(self, many: int) -> None:
        """Make users 1 to `many`: user 0 is made as any, the others are copies with ids and addresses of their own."""
        made: Any = None
        with self.app.app_context():
            made = portero.users.create(email="user0@example.com", password_hash=self.passwords.hash(PASSWORD))
        template, number = f"= {self._literal(made.id)}", self.filling.uuid("i")
        changed = {"id": number, "email": "'copy' || i || '@example.com'"}
        self.filling.multiply(User.__table__, f"id {template}", many, changed)
        named = {"id": number, "user_id": number, "provider_id": number, "email": changed["email"]}
        if self.database.dialect_name == "postgresql":
            named["provider_id"] = f"CAST({number} AS text)"
        columns = {name: value for name, value in named.items() if name in IDENTITIES.c}
        self.filling.multiply(IDENTITIES, f"user_id {template}", many, columns)

    def sign_in(self, numbers: Sequence[int]) -> list[SignedIn]:
        """Open a session for each of these copies, as a password sign-in does without the hash."""
        with self.app.app_context():
            return open_sessions(self.runtime.identity, [UUID(int=number) for number in numbers], len(numbers))

    def request(
        self, method: str, path: str, token: str | None = None, body: str = "", **headers: str
    ) -> Mapping[str, bytes]:
        """Prepare a request; headers by name with underscores."""
        carried = {} if token is None else bearer(token)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body:
            named = {"Content-Type": "application/json"} | named
        return raw(Request(method, path, carried | named, body))

    def answer(self, prepared: Mapping[str, bytes]) -> Answer:
        """Ask, through everything that stands before the application."""
        return ask(self.app.wsgi_app, prepared)

    def ask(self, method: str, path: str, token: str | None = None, body: str = "", **headers: str) -> Answer:
        """Prepare and ask once."""
        return self.answer(self.request(method, path, token, body, **headers))

    def by_hand(self) -> ByHand:
        """Give a connection of the driver's to the same database."""
        return ByHand(self.database.url, self.runtime.settings.sqlite_cache)

    def _literal(self, value: UUID) -> str:
        return f"'{value}'" if self.database.dialect_name == "postgresql" else f"'{value.hex}'"


def indexes_of(model: type[Base]) -> list[sa.Index]:
    """Give the indexes of a model's table."""
    table = model.__table__
    assert isinstance(table, sa.Table)
    return list(table.indexes)
