"""The statement: nothing of a request in its text, values hidden from SQLite's planner, plans that use indexes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.films import catalogue, opened

from portero.data.casts import cast_json
from portero.data.dialects import sql_of
from portero.data.execute import CompiledRead
from portero.data.nodes import HttpRequest, JsonStep
from portero.data.patterns import glob_of, like_of
from portero.data.read_errors import refusal_of_read
from portero.data.reads import Reads
from portero.data.request import read_request
from portero.data.sqlite_sql import json_path
from portero.errors import DataError
from portero.settings import Settings
from portero.store import sessions


def compiled(query: str, dialect: str = "sqlite", *, guarded: bool = False) -> CompiledRead:
    """Compile a read of films."""
    reads = Reads(catalogue(dialect), Settings(), sessions.standing())
    return reads.compile(read_request(HttpRequest("GET", "/films", query), Settings()).shape, "anon", guarded)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_no_text_of_the_request_is_in_the_statement(dialect: str) -> None:
    """Aliases, JSON keys, values."""
    query = 'select="al\'ias":title,info->"k\'ey",directors(zz:name)&title=eq.va\'lue&info->>jj=eq.1&order=info->oo'
    sql = compiled(query, dialect).sql
    for text in ("al'ias", "k'ey", "va'lue", "zz", "jj", 'oo"'):
        assert text not in sql


def test_every_parameter_on_sqlite_is_hidden_from_the_planner() -> None:
    """`LIMIT ?` and an indexed `= ?` are compiled again at each value (docs/explanation/speed.md)."""
    sql = compiled("id=eq.1&limit=2&offset=1&title=like.a*", guarded=True).sql
    assert sql.count("?") == sql.count("+?") > 4


def test_the_session_is_a_column_of_the_same_statement() -> None:
    """Only for callers who have one."""
    assert "portero_sessions" in compiled("id=eq.1", guarded=True).sql
    assert "portero_sessions" not in compiled("id=eq.1").sql


def test_a_row_by_key_and_an_embed_are_found_through_their_indexes(tmp_path: Path) -> None:
    """The policy's own subquery costs no scan."""
    with opened(f"sqlite:///{tmp_path / 'films.db'}") as library:
        http = HttpRequest("GET", "/films", "id=eq.1&select=id,directors(name)")
        filled = library.api.reads.prepare(http, "service_role", guarded=False).filled
        rows = library.database.fetch_all("EXPLAIN QUERY PLAN " + filled.sql, filled.parameters)
        steps = [row[3] for row in rows]
        assert "SEARCH films USING INTEGER PRIMARY KEY (rowid=?)" in steps
        assert "SEARCH directors USING INTEGER PRIMARY KEY (rowid=?)" in steps


def test_a_json_path_is_bound_and_cannot_hold_quotes_on_sqlite() -> None:
    """SQLite's paths have no escape."""
    assert '$."a b"[0][#-1]' == json_path([JsonStep("a b", False), JsonStep(0, False), JsonStep(-1, True)])
    with pytest.raises(DataError) as caught:
        json_path([JsonStep('a"b', False)])
    assert "PGRST127" == caught.value.code


def test_patterns_are_translated_and_bounded() -> None:
    """Stars in a row are one; an escaped star is an escaped percent sign, as PostgREST has it."""
    assert "a*b?%[[]" == glob_of(r"a*%%b_\*[", 100)
    assert r"a%\_" == like_of(r"a*\_", 100)
    with pytest.raises(DataError):
        like_of("a" * 101, 100)


class _Refused(Exception):
    sqlstate = "42883"


class _Broken(Exception):
    sqlstate = "XX000"


def test_what_a_database_refuses_while_reading_is_a_refusal_of_the_request() -> None:
    """What no request can cause stays what it was."""
    assert isinstance(found := refusal_of_read(_Refused()), DataError)
    assert 404 == found.status
    assert isinstance(refusal_of_read(_Broken()), _Broken)
    broken = ValueError("disk on fire")
    assert broken is refusal_of_read(broken)


def test_the_two_databases_are_known_by_name() -> None:
    """And casts ask the same names of both."""
    assert ["sqlite", "postgresql"] == [sql_of(name).name for name in ("sqlite", "postgresql")]
    assert cast_json.__doc__
