"""What is asked of whom: for each workload the request to each application, and what one answer must look like."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.data import NOTES_EACH, PASSWORD, Person, notes, owned, people

PREPARED = 4_000
WRITES_OF_TEN = 2
NEW_NOTE = json.dumps({"title": "a new note of thirty letters..", "body": "b" * 200})
FIELDS = ("id", "owner", "title", "body", "done", "created_at")

#: In the order they are measured: what counts rows before what adds rows, and the hash, which takes memory, at the end.
MEANING = {
    "W0": "who am I: token verified, id answered (Portero: GET /auth/v1/user, a row is read)",
    "W0t": "the same in a developer's own @jwt_required() view (Portero: the session is checked as well)",
    "W1": "one own note by id",
    "W2": "the 20 newest own notes that are not done",
    "W2c": "W2 with the exact count",
    "W5": "W2 with the author embedded",
    "W8": "the exact count of own notes",
    "W9": "W2 by 1,000 users in turn (100,000 notes)",
    "W10": "80 % W2, 20 % W3; written ahead, synchronous=FULL",
    "W3": "insert one note, returning it; written ahead, synchronous=FULL",
    "W3d": "W3 in the journal mode the application has by itself",
    "W6": "refresh a session: the refresh token is spent, the next one given, on disk",
    "W7": "sign out: the session is ended, on disk",
    "W4": "sign in with a password",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


Maker = Callable[[Person, str, int], Request]
"""Takes a user, their token and the id of one of their notes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens an application is asked with; `refreshed` and `ended` belong to sessions that are used once."""

    access: Mapping[int, str]
    refreshed: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    ended: tuple[str, ...] = ()


def bearer(token: str, **more: str) -> dict[str, str]:
    """Give the header that carries the token, and more; names with underscores."""
    return {"Authorization": f"Bearer {token}"} | {name.replace("_", "-"): value for name, value in more.items()}


def _json(token: str, **more: str) -> dict[str, str]:
    return bearer(token, Content_Type="application/json", **more)


def _getting(path: str, **more: str) -> Maker:
    return lambda person, token, note: Request("GET", path.format(note=note), bearer(token, **more))


def _sign_in(path: str) -> Maker:
    def make(person: Person, token: str, note: int) -> Request:
        form = json.dumps({"email": person.email, "password": PASSWORD})
        return Request("POST", path, {"Content-Type": "application/json"}, form)

    return make


def _sign_in_by_form(person: Person, token: str, note: int) -> Request:
    form = f"username={person.email.replace('@', '%40')}&password={PASSWORD}"
    return Request("POST", "/login", {"Content-Type": "application/x-www-form-urlencoded"}, form)


NEWEST = f"select={','.join(FIELDS)}&done=is.false&order=created_at.desc&limit=20"
WITH_AUTHOR = NEWEST.replace("created_at&", "created_at,author:users(name)&", 1)

_WRITTEN_BY_HAND: dict[str, Maker] = {
    "W0": _getting("/whoami"),
    "W0t": _getting("/whoami"),
    "W1": _getting("/notes/{note}"),
    "W2": _getting("/notes?done=false"),
    "W5": _getting("/notes-with-author?done=false"),
    "W8": _getting("/notes/count"),
    "W9": _getting("/notes?done=false"),
    "W3": lambda person, token, note: Request("POST", "/notes", _json(token), NEW_NOTE),
    "W3d": lambda person, token, note: Request("POST", "/notes", _json(token), NEW_NOTE),
    "W4": _sign_in("/login"),
}
MAKERS: dict[str, dict[str, Maker]] = {
    "flask": _WRITTEN_BY_HAND,
    "fastify": _WRITTEN_BY_HAND,
    "fastapi": _WRITTEN_BY_HAND | {"W4": _sign_in_by_form},
    "portero": {
        "W0": _getting("/auth/v1/user"),
        "W0t": _getting("/whoami"),
        "W1": _getting("/rest/v1/notes?id=eq.{note}"),
        "W2": _getting(f"/rest/v1/notes?{NEWEST}"),
        "W2c": _getting(f"/rest/v1/notes?{NEWEST}", Prefer="count=exact"),
        "W5": _getting(f"/rest/v1/notes?{WITH_AUTHOR}"),
        "W8": _getting("/rest/v1/notes?select=id&limit=0", Prefer="count=exact"),
        "W9": _getting(f"/rest/v1/notes?{NEWEST}"),
        "W3": lambda person, token, note: Request(
            "POST", "/rest/v1/notes", _json(token, Prefer="return=representation"), NEW_NOTE
        ),
        "W4": _sign_in("/auth/v1/token?grant_type=password"),
    },
}


def prepared(makers: Mapping[str, Maker], workload: str, tokens: Tokens) -> list[Request]:
    """Give the requests that are played again and again, each with its user's own token.

    W9 has one for each user, in turn; the others are spread over all users by a chance that is the same at each run.
    """
    if workload == "W9":
        return [makers["W9"](person, tokens.access[person.number], 0) for person in people(len(tokens.access))]
    chance = random.Random(workload)
    everybody = people()
    found = []
    for _ in range(PREPARED):
        person = chance.choice(everybody)
        note = chance.choice(owned(person.number))
        asked = workload
        if workload == "W10":
            asked = "W3" if chance.randrange(10) < WRITES_OF_TEN else "W2"
        found.append(makers[asked](person, tokens.access[person.number], note))
    return found


def by_hand(makers: Mapping[str, Maker], workload: str, tokens: Tokens) -> tuple[Person, int, Request]:
    """Give the request that is looked at by hand, with its user and the note that it may be about."""
    person = people()[2]
    note = owned(person.number)[5]
    return person, note, makers[workload](person, tokens.access[person.number], note)


class WrongAnswer(Exception):
    """An application does not do what is measured."""


def check(workload: str, person: Person, note: int, answer: Answer) -> None:
    """Look at one answer of a workload by hand: status, rows, order, filter, count, author.

    Raises:
        WrongAnswer: it is not what was asked for.
    """
    body = answer.body
    statuses = {"W3": (201,), "W3d": (201,), "W2c": (200, 206), "W8": (200, 206)}.get(workload, (200,))
    _demand(answer.status in statuses, f"status {answer.status}", body)
    said: Any = json.loads(body)
    row = said[0] if isinstance(said, list) and said else said
    if workload == "W4":
        _demand(said["access_token"].count(".") == 2, "no access token", body)
    if workload == "W1":
        _demand(row["id"] == note and len(row["body"]) == 200 and set(row) == set(FIELDS), "not the note", body)
    if workload in ("W3", "W3d"):
        _demand(row["id"] > note and row["body"] == "b" * 200 and row["done"] is False, "not the new note", body)
    if workload in ("W2", "W2c", "W5", "W9"):
        _check_list(said, person, workload, body)
    if workload == "W2c":
        undone = sum(1 for each in notes() if each.owner == person.number and not each.done)
        _demand(_total(answer) == undone, "another count", body)
    if workload == "W8":
        counted = said["count"] if isinstance(said, dict) else _total(answer)
        _demand(counted == NOTES_EACH, "another count", body)


def _total(answer: Answer) -> int:
    return int(answer.headers["content-range"].partition("/")[2])


def _check_list(rows: list[dict[str, Any]], person: Person, workload: str, body: bytes) -> None:
    moments = [row["created_at"] for row in rows]
    mine = owned(person.number, 1_000 if workload == "W9" else 100)
    _demand(len(rows) == 20, f"{len(rows)} rows", body)
    _demand(moments == sorted(moments, reverse=True), "not the newest first", body)
    _demand(all(row["done"] is False for row in rows), "a note that is done", body)
    _demand(all(row["id"] in mine for row in rows), "a note of somebody else", body)
    if workload == "W5":
        _demand(all(row["author"] == {"name": person.name} for row in rows), "another author", body)


def _demand(holds: bool, what: str, body: bytes) -> None:
    if not holds:
        raise WrongAnswer(f"{what}: {body[:300]!r}")
