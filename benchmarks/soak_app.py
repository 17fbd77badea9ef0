"""The application of the soak: nothing of its own, but users may read their own row; and what fills it with users.

`JWT_SECRET_KEY` and `PORTERO_…` come from outside. `python -m benchmarks.soak_app NUMBER FILE` makes the tables and so
many users, whose passwords are hashed before, as in an import, and writes who they are to FILE.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
from datetime import UTC, datetime

from flask import Flask
from sqlalchemy.orm import DeclarativeBase

from portero import JWTManager, User, expose_table, me
from portero.identity.new_users import insert_user

#: A hash takes as long as a sign-in; so many different passwords, each of many users.
PASSWORDS = 10
_BATCH = 1_000

app = Flask("soak")
app.config["JWT_SECRET_KEY"] = os.environ["JWT_SECRET_KEY"]
jwt = JWTManager(app)


@jwt.models
class Base(DeclarativeBase):
    """Nothing but the users below."""


jwt.models(expose_table(User.__table__, select=lambda row: row.id == me.id, name="users", columns=["id", "email"]))


def password_of(number: int) -> str:
    """Give the password of a user by their number."""
    return f"a long passphrase, {number % PASSWORDS:02}"


def fill(count: int) -> list[tuple[str, str, str]]:
    """Make users; give id, address and password of each."""
    extension = app.extensions["portero"]
    context = extension.freeze(app).identity
    hashes = [context.passwords.hash(password_of(number)) for number in range(PASSWORDS)]
    made: list[tuple[str, str, str]] = []
    now = datetime.now(UTC)
    for start in range(0, count, _BATCH):
        with context.changing() as change:
            for number in range(start, min(start + _BATCH, count)):
                email = f"user{number}@soak.example"
                stored = hashes[number % PASSWORDS]
                user = insert_user(change, email, stored, {}, now, email_confirmed_at=now)
                made.append((str(user.id), email, password_of(number)))
    extension.close(app)
    return made


if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).write_text(json.dumps(fill(int(sys.argv[1]))), encoding="utf-8")
