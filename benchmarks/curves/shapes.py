"""Curves over the shape of a read: how often its policy looks into other tables, how deep it embeds."""

from __future__ import annotations

import json
from collections.abc import Sequence

from benchmarks.curves.application import Growing
from benchmarks.curves.databases import Databases
from benchmarks.curves.models import CHAIN, LOOKED_INTO
from benchmarks.curves.rows import Found, Works, gathered, in_turn
from benchmarks.curves.timing import Turns

PAPERS = 100_000
OWNERS = 100
PLACES = 50
STEPS = 10_000


def looks(databases: Databases, turns: Turns, sizes: Sequence[int]) -> Found:
    """A page of 20 own rows; besides, each must pass 0 to 3 EXISTS over a table of badges."""
    growing = Growing(databases.new("looks"))
    growing.copy_users(OWNERS)
    filling = growing.filling
    held = {"kind": f"(i - 1) % {LOOKED_INTO}"}
    held["user_id"] = filling.uuid(f"(i - 1) / {LOOKED_INTO} % {OWNERS} + 1")
    held["place"] = f"(i - 1) / {LOOKED_INTO * OWNERS}"
    filling.insert("badges", LOOKED_INTO * OWNERS * PLACES, held)
    columns = {
        "id": "i",
        "owner": filling.uuid(f"(i - 1) % {OWNERS} + 1"),
        "title": filling.text(30),
        "created_at": filling.moment("i"),
    }
    columns |= {f"place{kind}": f"(i / {OWNERS} + {kind}) % {PLACES}" for kind in range(LOOKED_INTO)}
    for size in sizes:
        filling.insert(f"papers{size}", PAPERS, columns)
    filling.settle()
    tokens = [one.access_token for one in growing.sign_in(range(1, OWNERS + 1, 5))]
    works: Works = {}
    for size in sizes:
        path = f"/rest/v1/papers{size}?order=created_at.desc&limit=20"
        pages = [growing.request("GET", path, token) for token in tokens]
        assert len(json.loads(growing.answer(pages[0]).body)) == 20
        works["page of 20", size] = in_turn(growing, pages)
        counted = [growing.request("GET", path, token, prefer="count=exact") for token in tokens]
        works["page and exact count (1,000)", size] = in_turn(growing, counted)
    return gathered(turns.micro(works))


def depth(databases: Databases, turns: Turns, sizes: Sequence[int]) -> Found:
    """A page of 20 rows, with the row each belongs to inside, and so on; and the other way, with the one row it has."""
    growing = Growing(databases.new("depth"))
    growing.copy_users(1)
    for number in reversed(range(CHAIN)):
        columns = {"id": "i", "title": growing.filling.text(30)}
        if number < CHAIN - 1:
            columns["next_id"] = "i"
        growing.filling.insert(f"steps{number}", STEPS, columns)
    growing.filling.settle()
    [caller] = growing.sign_in([1])
    works: Works = {}
    for size in sizes:
        for name, chain in (("to-one", range(size + 1)), ("to-many", range(CHAIN - 1, CHAIN - 2 - size, -1))):
            selected = ""
            for number in reversed(chain):
                selected = "id,title" + (f",{selected}" if selected else "")
                selected = selected if number == chain[0] else f"steps{number}({selected})"
            path = f"/rest/v1/steps{chain[0]}?select={selected}&order=id&limit=20"
            request = growing.request("GET", path, caller.access_token)
            said = growing.answer(request).body
            assert (said.count(b'"title"'), said.count(b"steps")) == (20 * (size + 1), 20 * size), said[:300]
            works[name, size] = in_turn(growing, [request])
    return gathered(turns.micro(works))
