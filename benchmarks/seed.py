"""Fills the database of one application and signs every user in: `python -m benchmarks.seed portero|tutorial FILE`.

Runs as a program of its own, because either application reads its settings when it is imported. Writes the
access tokens to FILE, as JSON: number of the user → token.
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import sys
from typing import Any

from werkzeug.security import generate_password_hash

import portero
from benchmarks.data import PASSWORD, notes, people


def fill_tutorial() -> dict[int, str]:
    """Fill the tutorial application's database as its author would, with its own password hash."""
    module: Any = importlib.import_module("benchmarks.tutorial_app")
    with module.app.app_context():
        module.db.create_all()
        stored = generate_password_hash(PASSWORD)
        for person in people():
            module.db.session.add(module.User(id=person.number, email=person.email, name=person.name, password=stored))
        module.db.session.flush()
        rows = [_row(note, note.owner) for note in notes()]
        module.db.session.add_all([module.Note(**row) for row in rows])
        module.db.session.commit()
    client = module.app.test_client()
    return {
        person.number: client.post("/login", json={"email": person.email, "password": PASSWORD}).json["access_token"]
        for person in people()
    }


def fill_portero() -> dict[int, str]:
    """Fill Portero's database through its Python API."""
    os.environ["PORTERO_DEV"] = "yes"  # missing tables are made
    module: Any = importlib.import_module("benchmarks.portero_app")
    with module.app.app_context():
        ids = {person.number: portero.users.create(email=person.email, password=PASSWORD).id for person in people()}
        with portero.writing() as session:
            session.add_all([module.Profile(id=ids[person.number], name=person.name) for person in people()])
            session.flush()
            session.add_all([module.Note(**_row(note, ids[note.owner])) for note in notes()])
        return {person.number: portero.sign_in(person.email, PASSWORD).access_token for person in people()}


def _row(note: Any, owner: Any) -> dict[str, Any]:
    names = ("id", "title", "body", "done", "created_at")
    return {name: getattr(note, name) for name in names} | {"owner": owner}


if __name__ == "__main__":
    _tokens = {"portero": fill_portero, "tutorial": fill_tutorial}[sys.argv[1]]()
    pathlib.Path(sys.argv[2]).write_text(json.dumps(_tokens), encoding="utf-8")
