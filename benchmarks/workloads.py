"""What is asked of whom: for each workload the request of either application, and what one answer must look like."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.data import PASSWORD, Person, owned, people

PREPARED = 4_000
NEW_NOTE = json.dumps({"title": "a new note of thirty letters..", "body": "b" * 200})
FIELDS = ("id", "owner", "title", "body", "done", "created_at")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """One of the two sides and how it is asked; a maker takes the user, a token and the id of one of their notes."""

    name: str
    makers: Mapping[str, Callable[[Person, str, int], Request]]


def bearer(token: str) -> dict[str, str]:
    """Give the header that carries the token."""
    return {"Authorization": f"Bearer {token}"}


def _json(token: str) -> dict[str, str]:
    return bearer(token) | {"Content-Type": "application/json"}


def _sign_in(path: str) -> Callable[[Person, str, int], Request]:
    def make(person: Person, token: str, note: int) -> Request:
        form = json.dumps({"email": person.email, "password": PASSWORD})
        return Request("POST", path, {"Content-Type": "application/json"}, form)

    return make


NEWEST = f"select={','.join(FIELDS)}&done=is.false&order=created_at.desc&limit=20"
WITH_AUTHOR = NEWEST.replace("created_at&", "created_at,author:users(name)&", 1)

TUTORIAL = Application(
    "tutorial",
    {
        "W0": lambda person, token, note: Request("GET", "/whoami", bearer(token)),
        "W0t": lambda person, token, note: Request("GET", "/whoami", bearer(token)),
        "W1": lambda person, token, note: Request("GET", f"/notes/{note}", bearer(token)),
        "W2": lambda person, token, note: Request("GET", "/notes?done=false", bearer(token)),
        "W5": lambda person, token, note: Request("GET", "/notes-with-author?done=false", bearer(token)),
        "W3": lambda person, token, note: Request("POST", "/notes", _json(token), NEW_NOTE),
        "W4": _sign_in("/login"),
    },
)

PORTERO = Application(
    "portero",
    {
        "W0": lambda person, token, note: Request("GET", "/auth/v1/user", bearer(token)),
        "W0t": lambda person, token, note: Request("GET", "/whoami", bearer(token)),
        "W1": lambda person, token, note: Request("GET", f"/rest/v1/notes?id=eq.{note}", bearer(token)),
        "W2": lambda person, token, note: Request("GET", f"/rest/v1/notes?{NEWEST}", bearer(token)),
        "W5": lambda person, token, note: Request("GET", f"/rest/v1/notes?{WITH_AUTHOR}", bearer(token)),
        "W3": lambda person, token, note: Request(
            "POST", "/rest/v1/notes", _json(token) | {"Prefer": "return=representation"}, NEW_NOTE
        ),
        "W4": _sign_in("/auth/v1/token?grant_type=password"),
    },
)

MEANING = {
    "W0": "who am I: token verified, id answered (Portero: GET /auth/v1/user, a row is read)",
    "W0t": "the same in a developer's own @jwt_required() view (Portero: the session is checked as well)",
    "W1": "one own note by id",
    "W2": "the 20 newest own notes that are not done",
    "W5": "W2 with the author embedded",
    "W3": "insert one note, returning it",
    "W4": "sign in with a password",
}


def prepared(application: Application, workload: str, tokens: Mapping[int, str]) -> list[Request]:
    """Give the requests that the load generator plays: spread over all users, each with that user's token."""
    chance = random.Random(workload)
    maker = application.makers[workload]
    everybody = people()
    chosen = [chance.choice(everybody) for _ in range(PREPARED)]
    return [maker(person, tokens[person.number], chance.choice(owned(person.number))) for person in chosen]


class WrongAnswer(Exception):
    """An application does not do what is measured."""


def check(workload: str, person: Person, note: int, status: int, body: bytes) -> None:
    """Look at one answer of a workload by hand: status, rows, order, filter, author.

    Raises:
        WrongAnswer: it is not what was asked for.
    """
    _demand(status == (201 if workload == "W3" else 200), f"status {status}", body)
    answer: Any = json.loads(body)
    if workload == "W4":
        _demand(answer["access_token"].count(".") == 2, "no access token", body)
    if workload == "W1":
        row = answer[0] if isinstance(answer, list) else answer
        _demand(row["id"] == note and len(row["body"]) == 200 and set(row) == set(FIELDS), "not the note", body)
    if workload == "W3":
        row = answer[0] if isinstance(answer, list) else answer
        _demand(row["id"] > note and row["body"] == "b" * 200 and row["done"] is False, "not the new note", body)
    if workload in ("W2", "W5"):
        _check_list(answer, person, workload == "W5", body)


def _check_list(rows: list[dict[str, Any]], person: Person, with_author: bool, body: bytes) -> None:
    moments = [row["created_at"] for row in rows]
    _demand(len(rows) == 20, f"{len(rows)} rows", body)
    _demand(moments == sorted(moments, reverse=True), "not the newest first", body)
    _demand(all(row["done"] is False for row in rows), "a note that is done", body)
    _demand(all(row["id"] in owned(person.number) for row in rows), "a note of somebody else", body)
    if with_author:
        _demand(all(row["author"] == {"name": person.name} for row in rows), "another author", body)


def _demand(holds: bool, what: str, body: bytes) -> None:
    if not holds:
        raise WrongAnswer(f"{what}: {body[:300]!r}")
