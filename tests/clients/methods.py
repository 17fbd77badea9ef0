"""Every builder method of postgrest-py, tried on a server that `methods_app.py` serves: `methods.mjs` in Python.

Environment: BASE. Prints one JSON line for each method: its name and "works", or the code of the refusal, or what was
wrong.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable
from typing import Any

import httpx
from postgrest import SyncPostgrestClient, base_request_builder
from postgrest._sync import request_builder
from postgrest.exceptions import APIError

# Without a server the module can still be imported (doctests are collected from every file).
BASE = os.environ.get("BASE", "http://127.0.0.1:0")
Attempt = Callable[[], None]
CLIENT = SyncPostgrestClient(f"{BASE}/rest/v1")


def films() -> Any:
    """Begin a read of films."""
    return CLIENT.from_("films").select("id")


def table() -> Any:
    """Begin a write of films."""
    return CLIENT.from_("films")


def finds(ids: list[int], build: Callable[[Any], Any]) -> Attempt:
    """Make a check that the rows of a builder have these ids, in any order."""

    def attempt() -> None:
        found = sorted(row["id"] for row in build(films()).execute().data)
        assert ids == found, found

    return attempt


def gives(expected: Any, build: Callable[[], Any]) -> Attempt:
    """Make a check that a builder's data are these."""

    def attempt() -> None:
        found = build().execute()
        data = None if found is None else found.data
        assert expected == data, data

    return attempt


def refused(code: str, build: Callable[[], Any]) -> Attempt:
    """Make a check that a builder is refused with this code."""

    def attempt() -> None:
        try:
            build().execute()
        except APIError as error:
            if error.code == code:
                return
            raise
        raise AssertionError("not refused")

    return attempt


def signed_in_with_nonsense() -> Any:
    """Send a token that is none."""
    other = SyncPostgrestClient(f"{BASE}/rest/v1")
    other.auth("nonsense")
    return other.from_("films").select("id")


THE_CLIENT: dict[str, Attempt] = {
    "from_": gives([{"id": 1}], lambda: CLIENT.from_("films").select("id").eq("id", 1)),
    "from_table": gives([{"id": 1}], lambda: CLIENT.from_table("films").select("id").eq("id", 1)),
    "table": gives([{"id": 1}], lambda: CLIENT.table("films").select("id").eq("id", 1)),
    "schema": gives([{"id": 1}], lambda: CLIENT.schema("public").from_("films").select("id").eq("id", 1)),
    "auth": refused("PGRST301", signed_in_with_nonsense),
    "rpc": gives(5, lambda: CLIENT.rpc("add", {"a": 2, "b": 3})),
}
READING: dict[str, Attempt] = {
    "select": gives(
        [{"title": "Heat", "director": {"name": "Mann"}}],
        lambda: table().select("title", "director:directors(name)").eq("id", 1),
    ),
    "order": gives([{"id": 1}, {"id": 2}, {"id": 3}], lambda: films().order("rating", desc=True, nullsfirst=False)),
    "limit": gives([{"id": 3}], lambda: films().order("year").limit(1)),
    "offset": gives([{"id": 1}], lambda: films().order("year").offset(2)),
    "range": gives([{"id": 2}, {"id": 3}], lambda: films().order("id").range(1, 2)),
    "single": gives({"id": 1}, lambda: films().eq("id", 1).single()),
    "maybe_single": gives(None, lambda: films().eq("id", 9).maybe_single()),
    "csv": gives("id,title\n1,Heat", lambda: table().select("id,title").eq("id", 1).csv()),
    "explain": lambda: _explained(),  # noqa: PLW0108 - defined below
    "strip_nulls": gives([{"id": 3}], lambda: table().select("id,rating").eq("id", 3).strip_nulls()),
    "retry": finds([1, 2, 3], lambda rows: rows.retry(False)),
    "execute": finds([1, 2, 3], lambda rows: rows),
}
FILTERS: dict[str, Attempt] = {
    "eq": finds([1], lambda rows: rows.eq("title", "Heat")),
    "neq": finds([2, 3], lambda rows: rows.neq("title", "Heat")),
    "gt": finds([1], lambda rows: rows.gt("year", 1981)),
    "gte": finds([1, 2], lambda rows: rows.gte("year", 1981)),
    "lt": finds([3], lambda rows: rows.lt("year", 1981)),
    "lte": finds([2, 3], lambda rows: rows.lte("year", 1981)),
    "like": finds([1], lambda rows: rows.like("title", "H%")),
    "like_all_of": finds([2], lambda rows: rows.like_all_of("title", "T%,%f")),
    "like_any_of": finds([1, 2], lambda rows: rows.like_any_of("title", "H%,%f")),
    "ilike": finds([1], lambda rows: rows.ilike("title", "h%")),
    "ilike_all_of": finds([2], lambda rows: rows.ilike_all_of("title", "t%,%F")),
    "ilike_any_of": finds([1, 2], lambda rows: rows.ilike_any_of("title", "h%,%F")),
    "is_": finds([3], lambda rows: rows.is_("rating", None)),
    "in_": finds([1, 3], lambda rows: rows.in_("title", ["Heat", "The Driver"])),
    "contains": finds([1], lambda rows: rows.contains("tags", ["heist"]).contains("info", {"studio": "Regency"})),
    "cs": finds([1], lambda rows: rows.cs("tags", ["heist"])),
    "contained_by": finds([2, 3], lambda rows: rows.contained_by("tags", ["crime", "noir"])),
    "cd": finds([2, 3], lambda rows: rows.cd("tags", ["crime", "noir"])),
    "overlaps": finds([1, 2], lambda rows: rows.overlaps("tags", ["crime", "noir"])),
    "ov": finds([1, 2], lambda rows: rows.ov("tags", ["crime", "noir"])),
    "range_gt": finds([2, 3], lambda rows: rows.range_gt("span", (1, 5))),
    "sr": finds([2, 3], lambda rows: rows.sr("span", (1, 5))),
    "range_gte": finds([2, 3], lambda rows: rows.range_gte("span", (4, 10))),
    "nxl": finds([2, 3], lambda rows: rows.nxl("span", (4, 10))),
    "range_lt": finds([1, 2], lambda rows: rows.range_lt("span", (19, 30))),
    "sl": finds([1, 2], lambda rows: rows.sl("span", (19, 30))),
    "range_lte": finds([1, 2], lambda rows: rows.range_lte("span", (4, 10))),
    "nxr": finds([1, 2], lambda rows: rows.nxr("span", (4, 10))),
    "range_adjacent": finds([1], lambda rows: rows.range_adjacent("span", (4, 10))),
    "adj": finds([1], lambda rows: rows.adj("span", (4, 10))),
    "text_search": finds([1], lambda rows: rows.text_search("words", "heat", {"type": "web_search"})),
    "fts": finds([1], lambda rows: rows.fts("words", "heat")),
    "plfts": finds([1], lambda rows: rows.plfts("words", "heat")),
    "phfts": finds([1], lambda rows: rows.phfts("words", "heat")),
    "wfts": finds([1], lambda rows: rows.wfts("words", "heat")),
    "match": finds([2], lambda rows: rows.match({"year": 1981, "seen": False})),
    "not_": finds([2, 3], lambda rows: rows.not_.like("title", "H*")),
    "or_": finds([1, 2], lambda rows: rows.or_("title.eq.Heat,and(year.gt.1980,seen.is.false)")),
    "filter": finds([1, 2], lambda rows: rows.filter("id", "in", "(1,2)")),
}
WRITING: dict[str, Attempt] = {
    "insert": lambda: _written({"id": 7, "title": "Ronin"}, lambda: table().insert([{"id": 7, "title": "Ronin"}])),
    "upsert": lambda: _written(
        {"id": 1, "title": "Heat!"}, lambda: table().upsert({"id": 1, "title": "Heat!"}, on_conflict="id")
    ),
    "update": lambda: _written({"id": 2, "seen": True}, lambda: table().update({"seen": True}).eq("id", 2)),
    "delete": lambda: _written({"id": 3}, lambda: table().delete().eq("id", 3)),
    "max_affected": refused("PGRST124", lambda: table().delete().gt("id", 0).max_affected(1)),
}


def _explained() -> None:
    found = films().explain().execute()
    assert found, found


def _written(members: dict[str, Any], build: Callable[[], Any]) -> None:
    (row,) = build().execute().data
    assert members.items() <= row.items(), row


def there() -> set[str]:
    """Give every method that the package's builders have, and those of its client that send something."""
    modules = (base_request_builder, request_builder)
    classes = [each for module in modules for _, each in inspect.getmembers(module, inspect.isclass)]
    builders = [each for each in classes if each.__name__.endswith("RequestBuilder")]
    names = {name for each in builders for name in vars(each) if not name.startswith("_")}
    return names | {"from_", "from_table", "table", "schema", "auth", "rpc"}


def main() -> None:
    """Try every method, and print what came of it."""
    methods = {**THE_CLIENT, **READING, **FILTERS, **WRITING}
    missing = sorted(there() - set(methods))
    assert not missing, f"methods that nobody tries: {missing}"
    httpx.post(f"{BASE}/refill")
    for method, attempt in methods.items():
        outcome = "works"
        try:
            attempt()
        except APIError as error:
            outcome = str(error.code)
        except Exception as error:
            outcome = f"wrong: {error}"
        if method in WRITING:
            httpx.post(f"{BASE}/refill")
        print(json.dumps([method, outcome]), flush=True)


if __name__ == "__main__":
    main()
