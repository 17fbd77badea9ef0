"""Fills Portero's database and signs every user in: `python -m benchmarks.seed FILE USERS REFRESHED ENDED`.

Runs as a program of its own, because the application reads its settings when it is imported. Writes to FILE, as JSON:
`access`, the number of the user → access token; `refreshed`, two lists of REFRESHED refresh tokens; `ended`, a list of
ENDED access tokens; the last two belong to sessions of their own.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import pathlib
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

import portero
from benchmarks.data import PASSWORD, USERS, notes, people
from portero.crypto.passwords import Passwords
from portero.identity import sessions
from portero.identity.context import Account, Caller, Change, IdentityContext, Opened, SignedIn
from portero.store import users as store_users

_BATCH = 2_000


def fill_portero(users: int = USERS) -> dict[int, str]:
    """Fill the database; give the number of each user → access token."""
    return {number: signed_in.access_token for number, signed_in in _fill(users).items()}


def _fill(users: int) -> dict[int, SignedIn]:
    os.environ["PORTERO_DEV"] = "yes"  # missing tables are made
    os.environ["PORTERO_STATEMENT_TIMEOUT"] = "600"
    module: Any = importlib.import_module("benchmarks.portero_app")
    stored = Passwords(1).hash(PASSWORD)  # the same for all: a thousand take half a minute
    with module.app.app_context():
        everybody = people(users)
        ids = {person.number: portero.users.create(email=person.email, password_hash=stored).id for person in everybody}
        with portero.writing() as session:
            session.add_all([module.Profile(id=ids[person.number], name=person.name) for person in everybody])
            session.flush()
            names = ("id", "title", "body", "done", "created_at")
            rows = ({name: getattr(note, name) for name in names} | {"owner": ids[note.owner]} for note in notes(users))
            while batch := list(itertools.islice(rows, _BATCH)):
                session.execute(sa.insert(module.Note), batch)
        runtime = module.app.extensions["portero"].freeze(module.app)
        with runtime.database.writing() as connection:
            connection.exec_driver_sql("ANALYZE")
        opened = open_sessions(runtime.identity, list(ids.values()), users)
        return dict(zip(ids, opened, strict=True))


def open_sessions(identity: IdentityContext, ids: Sequence[Any], many: int) -> list[SignedIn]:
    """Open sessions as a password sign-in does, without the hash, each user in turn; thousands in a transaction."""
    now = datetime.now(UTC)
    callers = itertools.islice(itertools.cycle(ids), many)
    accounts: dict[Any, Account] = {}
    signed_in: list[SignedIn] = []
    while batch := list(itertools.islice(callers, _BATCH)):
        with identity.changing() as change:
            opened = [_open(change, accounts, user_id, now) for user_id in batch]
        signed_in += [sessions.tokens_for(identity, each, now) for each in opened]
    return signed_in


def _open(change: Change, accounts: dict[Any, Account], user_id: Any, now: datetime) -> Opened:
    if user_id not in accounts:
        user = store_users.by_id(change.connection, user_id)
        assert user is not None
        accounts[user_id] = sessions.account_of(change, user)
    account = accounts[user_id]
    return Opened(account, sessions.open_session(change, account.user, "password", Caller("127.0.0.1"), now))


def main() -> None:
    """Fill, sign in, and write the tokens down."""
    file, users, refreshed, ended = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:5])
    signed_in = _fill(users)
    app = importlib.import_module("benchmarks.portero_app").app
    identity = app.extensions["portero"].freeze(app).identity
    ids = [one.account.user.id for one in signed_in.values()]
    with app.app_context():
        written = {
            "access": {number: one.access_token for number, one in signed_in.items()},
            "refreshed": [[one.refresh_token for one in open_sessions(identity, ids, refreshed)] for _ in range(2)],
            "ended": [one.access_token for one in open_sessions(identity, ids, ended)],
        }
    file.write_text(json.dumps(written), encoding="utf-8")


if __name__ == "__main__":
    main()
