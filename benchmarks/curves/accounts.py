"""Curves over accounts: more users with a session each, more sessions that have ended."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from benchmarks.curves.application import Growing, mail_of
from benchmarks.curves.databases import Databases
from benchmarks.curves.rows import Found, Works, fill_notes, gathered, in_turn
from benchmarks.curves.timing import Turns
from benchmarks.data import PASSWORD
from portero.store.tables import AUDIT, Session

CALLERS = 50
NOTES = 5_000
_AUTH = "/auth/v1"


def users(databases: Databases, turns: Turns, sizes: Sequence[int]) -> Found:
    """Users with a session each; fifty of them ask, all over the table."""
    works: Works = {}
    for size in sizes:
        growing = Growing(databases.new(str(size)))
        growing.copy_users(size)
        callers = list(range(1, size + 1, max(1, size // CALLERS)))[:CALLERS]
        fill_notes(growing, NOTES, len(callers))
        [one] = growing.sign_in([1])
        template = f"id = {_literal(growing, one.session.id)}"
        number = growing.filling.uuid("i")
        growing.filling.multiply(Session.__table__, template, size, {"id": number, "user_id": number})
        works |= _accounts(growing, callers, size)
    return gathered(turns.micro(works))


def ended(databases: Databases, turns: Turns, sizes: Sequence[int]) -> Found:
    """What is kept of sessions that have ended: their entries in the audit, until they are swept."""
    works: Works = {}
    for size in sizes:
        growing = Growing(databases.new(str(size)))
        callers = list(range(1, CALLERS + 1))
        growing.copy_users(CALLERS)
        fill_notes(growing, NOTES, CALLERS)
        [one] = growing.sign_in([1])
        assert growing.ask("POST", f"{_AUTH}/logout?scope=local", one.access_token).status == 204
        with growing.database.reading() as connection:
            of_session = sa.select(AUDIT.c.id).where(AUDIT.c.session_id == one.session.id)
            templates = connection.execute(of_session).scalars().all()
        assert len(templates) > 1
        for place, template in enumerate(templates):
            changed = {
                "id": growing.filling.uuid(f"i + {(place + 1) * 1_000_000_000}"),
                "user_id": growing.filling.uuid(f"i % {CALLERS} + 1"),
                "session_id": growing.filling.uuid("i"),
                "at": growing.filling.moment("i"),
            }
            growing.filling.multiply(AUDIT, f"id = {_literal(growing, template)}", size, changed)
        works |= _accounts(growing, callers, size)
    return gathered(turns.micro(works))


def _accounts(growing: Growing, callers: Sequence[int], size: int) -> dict[tuple[str, int], Callable[[], None]]:
    """Give what these callers ask: who they are, a note, a sign-in without its hash, a refresh."""
    growing.filling.settle()
    signed_in = growing.sign_in(callers)
    tokens = [one.access_token for one in signed_in]
    forms = [json.dumps({"email": mail_of(number), "password": PASSWORD}) for number in callers]
    sign_ins = [growing.request("POST", f"{_AUTH}/token?grant_type=password", body=form) for form in forms]
    one_note = [growing.request("GET", f"/rest/v1/notes?id=eq.{place}", token) for place, token in enumerate(tokens, 1)]
    return {
        ("who am I", size): in_turn(growing, [growing.request("GET", f"{_AUTH}/user", token) for token in tokens]),
        ("one row by id", size): in_turn(growing, one_note),
        ("sign-in without its hash", size): in_turn(growing, sign_ins),
        ("refresh", size): _refreshing(growing, [one.refresh_token for one in signed_in]),
    }


def _refreshing(growing: Growing, latest: list[str]) -> Callable[[], None]:
    places = itertools.cycle(range(len(latest)))

    def work() -> None:
        place = next(places)
        body = json.dumps({"refresh_token": latest[place]})
        answer = growing.ask("POST", f"{_AUTH}/token?grant_type=refresh_token", body=body)
        assert answer.status == 200, answer.body[:300]
        latest[place] = json.loads(answer.body)["refresh_token"]

    return work


def _literal(growing: Growing, value: Any) -> str:
    assert isinstance(value, UUID)
    return f"'{value}'" if growing.database.dialect_name == "postgresql" else f"'{value.hex}'"
