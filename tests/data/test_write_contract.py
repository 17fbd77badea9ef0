"""Contract data.md §4.6 and §4.7, row by row, where `test_writes` does not look: on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.data import scene as app
from tests.data.scene import Note, Page, Scene, answered, headers, refused

from portero.data.catalogue import build
from portero.data.exposure import Exposure
from portero.data.pipeline import DataApi
from portero.data.policy import Verb, allow_all

SHOW = "return=representation"
IGNORE = "resolution=ignore-duplicates"


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """The application, once on each database."""
    with app.opened(database_url) as opened:
        yield opened


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'[{"title":"a"},7]', b"\xff"])
def test_a_body_that_is_no_row_writes_nothing(scene: Scene, body: bytes) -> None:
    assert (400, "PGRST102") == refused(scene.ask("POST", "/notes", body))[:2]
    assert 2 == len(scene.rows(Note))


@pytest.mark.parametrize("body", [b"7", b'"text"', b"true"])
def test_a_bare_scalar_is_no_row_as_at_postgrest(scene: Scene, body: bytes) -> None:
    assert (201, []) == answered(scene.ask("POST", "/notes", body, prefer=SHOW))
    assert 2 == len(scene.rows(Note))


def test_uneven_keys_need_columns(scene: Scene) -> None:
    rows = [{"title": "a"}, {"title": "b", "stars": 1}]
    assert (400, "PGRST102", "All object keys must match") == refused(scene.ask("POST", "/notes", rows))
    path = '/notes?columns="title"&select=title,stars'
    assert [{"title": "a", "stars": 0}, {"title": "b", "stars": 0}] == answered(
        scene.ask("POST", path, rows, prefer=SHOW)
    )[1]


def test_columns_are_known_names_and_an_empty_list_inserts_nothing(scene: Scene) -> None:
    message = "Could not find the 'nope' column of 'notes' in the schema cache"
    assert (400, "PGRST204", message) == refused(scene.ask("POST", '/notes?columns="nope"', [{"title": "a"}]))
    assert (201, []) == answered(scene.ask("POST", "/notes?columns=", [], prefer=SHOW))


def test_a_body_of_a_delete_is_ignored(scene: Scene) -> None:
    assert 204 == scene.ask("DELETE", "/pages?slug=eq.home", {}).status
    assert ["law"] == [row["slug"] for row in scene.rows(Page)]


def test_a_count_is_of_the_rows_written(scene: Scene) -> None:
    count = "count=exact"
    rows = [{"title": "a"}, {"title": "b"}]
    assert "*/2" == headers(scene.ask("POST", "/notes", rows, prefer=count))["Content-Range"]
    answer = scene.ask("PATCH", "/notes", {"stars": 1}, prefer=count)
    assert ("0-2/3", "count=exact") == (headers(answer)["Content-Range"], headers(answer)["Preference-Applied"])
    assert "*/2" == headers(scene.ask("DELETE", "/notes?title=in.(a,b)", prefer=count))["Content-Range"]


def test_preferences_are_applied_in_order_however_they_are_split(scene: Scene) -> None:
    asked = "return=minimal,count=exact, missing=default, return=representation"
    assert (
        "missing=default, return=minimal, count=exact"
        == (headers(scene.ask("POST", "/notes", {"title": "a"}, prefer=asked))["Preference-Applied"])
    )
    answer = scene.ask("POST", "/notes", {"title": "b"}, prefer="handling=strict, anything, more")
    assert (400, "PGRST122", "Invalid preferences given with handling=strict") == refused(answer)
    assert b"Invalid preferences: anything, more" in answer.body


def test_trees_and_json_paths_pick_rows_and_pages_do_not(scene: Scene) -> None:
    scene.ask("POST", "/notes", [{"title": "a", "info": {"k": 1}}, {"title": "b", "info": {"k": 2}}])
    assert [{"title": "a"}] == answered(
        scene.ask("PATCH", "/notes?info->>k=eq.1&select=title", {"stars": 1}, prefer=SHOW)
    )[1]
    changed = scene.ask("PATCH", "/notes?or=(title.eq.a,title.eq.b)&limit=1&select=title", {"stars": 2}, prefer=SHOW)
    assert 2 == len(answered(changed)[1])
    kept = scene.ask("DELETE", "/notes?and=(stars.eq.2,not.or(title.eq.a))&select=title", prefer=SHOW)
    assert [{"title": "b"}] == answered(kept)[1]


def test_nothing_matched_is_no_refusal(scene: Scene) -> None:
    assert 204 == scene.ask("PATCH", "/notes?id=eq.99", {"stars": 1}).status
    assert (200, []) == answered(scene.ask("PATCH", "/notes?id=eq.99", {"stars": 1}, prefer=SHOW))
    assert (200, []) == answered(scene.ask("DELETE", "/notes?id=eq.99", prefer=SHOW))


def test_a_csv_row_may_be_null_and_is_one_upsert_too(scene: Scene) -> None:
    sent = b"slug,text\nhome,NULL\nnew,line\n"
    answer = scene.ask(
        "POST", "/pages", sent, content_type="text/csv; charset=utf-8", prefer="resolution=merge-duplicates"
    )
    assert 201 == answer.status
    assert {"home": None, "law": "no", "new": "line"} == {row["slug"]: row["text"] for row in scene.rows(Page)}
    assert (400, "PGRST102") == refused(scene.ask("POST", "/pages", b"slug,text\nx\n", content_type="text/csv"))[:2]
    assert (400, "PGRST102") == refused(scene.ask("POST", "/pages", b"<a/>", content_type="text/xml"))[:2]


def test_a_change_shown_through_an_inner_embed_counts_the_rows_it_shows(scene: Scene) -> None:
    path = "/notes?select=id,tags!inner(word)&tags.word=eq.nowhere"
    answer = scene.ask("PATCH", path, {"stars": 1}, prefer=f"{SHOW}, count=exact")
    assert (200, []) == answered(answer)
    assert "*/0" == headers(answer)["Content-Range"]
    assert 1 == scene.rows(Note)[0]["stars"]


def test_put_names_no_location_takes_all_columns_and_no_filter_but_the_key(scene: Scene) -> None:
    row = {"slug": "new", "text": "line", "is_open": True}
    answer = scene.ask("PUT", "/pages?slug=eq.new&columns=slug&offset=0", row, prefer="return=headers-only")
    assert (204, False) == (answer.status, "Location" in headers(answer))
    assert "line" == next(each["text"] for each in scene.rows(Page) if each["slug"] == "new")
    assert (405, "PGRST105") == refused(scene.ask("PUT", "/pages?slug=eq.new&x.slug=eq.new", row))[:2]
    assert (400, "PGRST114") == refused(scene.ask("PUT", "/pages?slug=eq.new&offset=1", row))[:2]


def test_an_upsert_of_named_columns_with_defaults_leaves_rows_that_are_there(scene: Scene) -> None:
    rows = [{"slug": "home", "text": "changed"}, {"slug": "new", "text": "line"}]
    prefer = f"{SHOW}, missing=default, resolution=ignore-duplicates"
    answer = scene.ask("POST", "/pages?columns=slug,text,is_open&select=slug,text,is_open", rows, prefer=prefer)
    assert (201, [{"slug": "new", "text": "line", "is_open": True}]) == answered(answer)
    assert f"resolution=ignore-duplicates, missing=default, {SHOW}" == headers(answer)["Preference-Applied"]


@pytest.mark.parametrize("resolution", ["merge-duplicates", "ignore-duplicates"])
def test_an_upsert_of_nothing_but_defaults_makes_rows(scene: Scene, resolution: str) -> None:
    """SQLite knows no ON CONFLICT after DEFAULT VALUES."""
    ticks = sa.Table(
        "ticks",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, unique=True, server_default="first"),
    )
    with scene.database.writing() as connection:
        ticks.create(connection)
    exposure = Exposure(ticks, dict.fromkeys(Verb, allow_all), {}, (), None, None, None, None, None)
    api = DataApi(build([exposure], scene.database.dialect_name), scene.database, scene.api.settings, app.standing())
    prefer = f"{SHOW}, resolution={resolution}"
    made = [{"id": 1, "kind": "first"}]
    assert (201, made) == answered(Scene(scene.database, api).ask("POST", "/ticks", {}, prefer=prefer))
    again = Scene(scene.database, api).ask("POST", "/ticks?on_conflict=kind", [{}, {}], prefer=f"{SHOW}, {IGNORE}")
    assert (201, []) == answered(again)
    assert made == scene.rows(ticks)


def test_an_instant_at_the_end_of_time_spoils_no_page_in_a_time_zone(scene: Scene) -> None:
    """It was a 400 for everybody who could see the row, on SQLite."""
    last = {"title": "last", "at": "9999-12-31T23:59:59Z"}
    assert 201 == scene.ask("POST", "/notes", last).status
    answer = scene.ask("GET", "/notes?select=title,at&order=id", prefer="timezone=Asia/Tokyo")
    shown = {"sqlite": "9999-12-31T23:59:59+00:00", "postgresql": "10000-01-01T08:59:59+09:00"}
    expected = [{"title": "hers", "at": None}, {"title": "last", "at": shown[scene.database.dialect_name]}]
    assert (200, expected) == answered(answer)
