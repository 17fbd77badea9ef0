"""`/admin/metrics`: every cache with its bound and its hit rate, and how writes share commits."""

from __future__ import annotations

import os
import re

from tests.web.administering import Admin
from tests.web.callers import Api

LINE = re.compile(r'(portero_\w+)\{(?:cache="(\w+)",)?pid="(\d+)"\} (\d+)')


def figures(admin: Admin) -> dict[tuple[str, str], int]:
    answer = admin.call("GET", "/admin/metrics")
    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["Content-Type"]
    lines = answer.get_data(as_text=True).splitlines()
    found = [LINE.fullmatch(line) for line in lines if not line.startswith("# TYPE portero_")]
    assert all(found), lines
    assert {str(os.getpid())} == {each[3] for each in found if each}
    return {(each[1], each[2] or ""): int(each[4]) for each in found if each}


def test_a_token_that_comes_again_is_a_hit_and_nothing_holds_more_than_its_bound(api: Api) -> None:
    admin = Admin(api)
    token = api.sign_up()["access_token"]
    before = figures(admin)
    for _ in range(3):
        assert 200 == api.call("GET", "/user", token=token).status_code
    after = figures(admin)
    assert 1 == after["portero_cache_misses_total", "tokens"] - before["portero_cache_misses_total", "tokens"]
    assert 2 == after["portero_cache_hits_total", "tokens"] - before["portero_cache_hits_total", "tokens"]
    caches = {cache for name, cache in after if name == "portero_cache_entries"}
    assert "tokens" in caches
    for cache in caches:
        assert after["portero_cache_entries", cache] <= after["portero_cache_entries_max", cache]


def test_writes_and_their_commits_are_counted(api: Api) -> None:
    admin = Admin(api)
    session = api.sign_up()
    before = figures(admin)
    form = {"refresh_token": session["refresh_token"]}
    assert 200 == api.call("POST", "/token?grant_type=refresh_token", form).status_code
    after = figures(admin)
    expected = 1 if api.context.database.dialect_name == "sqlite" else 0
    for name in ("portero_shared_writes_total", "portero_shared_commits_total"):
        assert expected == after[name, ""] - before[name, ""]
