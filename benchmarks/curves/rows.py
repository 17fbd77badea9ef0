"""Curves over rows: more of them in the table, more in the answer, wider ones."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.curves.application import Growing, indexes_of
from benchmarks.curves.by_hand import BY_ID, COUNT, NEWEST_OWN
from benchmarks.curves.databases import Databases
from benchmarks.curves.models import COLUMNS, Note
from benchmarks.curves.timing import Turns
from benchmarks.workloads import NEW_NOTE, NEWEST

EACH = 100
CALLERS = 20
MOST_ROWS = 10_000
Found = dict[str, Any]
Works = dict[tuple[str, int], Callable[[], None]]


def fill_notes(growing: Growing, rows: int, owners: int) -> None:
    """Fill the notes; those of one owner are spread over the whole table, and three in ten of them are done."""
    filling = growing.filling
    indexes = indexes_of(Note)
    for index in indexes:
        filling.without_index(index)
    columns = {
        "id": "i",
        "owner": filling.uuid(f"(i - 1) % {owners} + 1"),
        "title": filling.text(30),
        "body": filling.text(200),
        "done": filling.truth(f"(i - 1) / {owners} * 31 % 10 < 3"),
        "created_at": filling.moment("i"),
    }
    filling.insert("notes", rows, columns)
    filling.go_on_from("notes", rows)
    for index in indexes:
        filling.with_index(index)


def in_turn(growing: Growing, prepared: Sequence[Any], status: tuple[int, ...] = (200, 206)) -> Callable[[], None]:
    """Give what asks one of the requests after the other; every answer is looked at."""
    each = itertools.cycle(prepared)

    def work() -> None:
        answer = growing.answer(next(each))
        assert answer.status in status, (answer.status, answer.body[:300])

    return work


def rows(databases: Databases, turns: Turns, sizes: Sequence[int]) -> Found:
    """One's own hundred notes among ever more of others: by id, a page, a page with its count; others insert."""
    works: Works = {}
    by_hand: Works = {}
    for size in sizes:
        growing = Growing(databases.new(str(size)))
        owners = size // EACH
        growing.copy_users(owners + CALLERS)
        fill_notes(growing, size, owners)
        growing.filling.settle()
        callers = range(1, owners + 1, max(1, owners // CALLERS))
        # Who inserts is asked nothing else: those who are asked keep their hundred notes.
        inserting = range(owners + 1, owners + CALLERS + 1)
        tokens = {number: one.access_token for number, one in zip(callers, growing.sign_in(callers), strict=True)}
        notes = "/rest/v1/notes?"
        known = [(number + owners * turn, number) for number in tokens for turn in range(5)]
        asked = {
            "one by id": [growing.request("GET", f"{notes}id=eq.{note}", tokens[owner]) for note, owner in known],
            "page of 20": [growing.request("GET", notes + NEWEST, token) for token in tokens.values()],
            "page and exact count": [
                growing.request("GET", notes + NEWEST, token, prefer="count=exact") for token in tokens.values()
            ],
        }
        for name, requests in asked.items():
            works[name, size] = in_turn(growing, requests)
        hand = growing.by_hand()
        pages = [((NEWEST_OWN, (hand.id_of(number),)),) for number in tokens]
        by_hand["one by id", size] = hand.in_turn([((BY_ID, (note, hand.id_of(owner))),) for note, owner in known])
        by_hand["page of 20", size] = hand.in_turn(pages)
        by_hand["page and exact count", size] = hand.in_turn([(page, (COUNT, page[1])) for [page] in pages])
        adding = {"prefer": "return=representation"}
        adders = [one.access_token for one in growing.sign_in(inserting)]
        inserts = [growing.request("POST", "/rest/v1/notes", token, NEW_NOTE, **adding) for token in adders]
        works["insert", size] = in_turn(growing, inserts, (201,))
    return compared(turns, works, by_hand)


def gathered(micro: dict[tuple[str, int], float]) -> Found:
    """Give x and the series."""
    x = list(dict.fromkeys(value for _, value in micro))
    names = list(dict.fromkeys(name for name, _ in micro))
    return {"x": x, "series": {name: [micro[name, value] for value in x] for name in names}}


def compared(turns: Turns, works: Works, by_hand: Works) -> Found:
    """Measure both in the same turns; give x, the series, and those of the statements by hand."""
    micro = turns.micro({(each is by_hand, *key): work for each in (works, by_hand) for key, work in each.items()})
    told, hand = (gathered({key: micro[each is by_hand, *key] for key in each}) for each in (works, by_hand))
    return told | {"by_hand": hand["series"]}


def answer(databases: Databases, turns: Turns, sizes: Sequence[int]) -> Found:
    """More rows in one answer."""
    growing = Growing(databases.new("answer"), max_rows=MOST_ROWS)
    growing.copy_users(1)
    fill_notes(growing, MOST_ROWS, 1)
    growing.filling.settle()
    [caller] = growing.sign_in([1])
    hand = growing.by_hand()
    works: Works = {}
    by_hand: Works = {}
    for size in sizes:
        path = f"/rest/v1/notes?order=created_at.desc&limit={size}"
        request = growing.request("GET", path, caller.access_token)
        assert len(json.loads(growing.answer(request).body)) == size
        works["JSON", size] = in_turn(growing, [request])
        works["CSV", size] = in_turn(growing, [growing.request("GET", path, caller.access_token, accept="text/csv")])
        by_hand["JSON", size] = hand.in_turn([((hand.as_json(size), (hand.id_of(1),)),)])
    return compared(turns, works, by_hand)


def columns(databases: Databases, turns: Turns, sizes: Sequence[int]) -> Found:
    """More columns in a page of 20 rows, 20 characters each."""
    growing = Growing(databases.new("columns"))
    growing.copy_users(1)
    texts = {f"c{number}": growing.filling.text(20) for number in range(COLUMNS)}
    growing.filling.insert("wide", 1_000, {"id": "i"} | texts)
    growing.filling.settle()
    [caller] = growing.sign_in([1])
    works = {}
    for size in sizes:
        chosen = ",".join(f"c{number}" for number in range(size))
        request = growing.request("GET", f"/rest/v1/wide?select={chosen}&order=id&limit=20", caller.access_token)
        assert len(json.loads(growing.answer(request).body)[0]) == size
        works["page of 20", size] = in_turn(growing, [request])
    return gathered(turns.micro(works))


def width(databases: Databases, turns: Turns, sizes: Sequence[int]) -> Found:
    """A longer text in one row."""
    growing = Growing(databases.new("width"))
    growing.copy_users(1)
    [caller] = growing.sign_in([1])
    works = {}
    with growing.database.writing() as connection:
        for number, size in enumerate(sizes, 1):
            connection.exec_driver_sql(f"INSERT INTO texts (id, body) VALUES ({number}, '{'w' * size}')")
    for number, size in enumerate(sizes, 1):
        request = growing.request("GET", f"/rest/v1/texts?id=eq.{number}", caller.access_token)
        assert len(json.loads(growing.answer(request).body)[0]["body"]) == size
        works["one row", size] = in_turn(growing, [request])
    return gathered(turns.micro(works))
