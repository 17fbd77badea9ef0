"""Optimistic concurrency: the version of a row in `ETag`, and writes that demand it with `If-Match`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.data import scene as app
from tests.data.scene import ANNA, BEN, NOW, Note, Page, Scene, answered, caller, headers, refused

from portero.data.nodes import DataAnswer, HttpRequest

ROW = "/notes?id=eq.1"
SHOW = "return=representation"
OBJECT = "application/vnd.pgrst.object+json"


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """The application, once on each database."""
    with app.opened(database_url) as opened:
        yield opened


def version(scene: Scene, path: str = ROW) -> str:
    """The version that a read shows."""
    return headers(scene.ask("GET", path))["ETag"]


def write(scene: Scene, method: str, path: str, body: Any, if_match: str, prefer: str = "") -> DataAnswer:
    """Send a write that demands a version."""
    name, _, query = path.partition("?")
    text = b"" if body is None else json.dumps(body).encode()
    http = HttpRequest(method, name, query, prefer=prefer, body=text, if_match=if_match)
    return scene.api.answer(http, caller(ANNA), NOW)


def test_a_whole_row_has_a_version_and_others_have_none(scene: Scene) -> None:
    assert version(scene) == headers(scene.ask("GET", "/notes", accept=OBJECT))["ETag"]
    assert version(scene) == headers(scene.ask("HEAD", ROW))["ETag"]
    for path in ("/notes", ROW + "&select=id", ROW + "&select=*,tags(word)", "/notes?id=eq.7", "/notes?id=gte.1"):
        assert "ETag" not in headers(scene.ask("GET", path))
    assert "ETag" not in headers(scene.ask("GET", ROW, accept="text/csv"))


def test_a_version_lasts_until_the_row_changes(scene: Scene) -> None:
    before = version(scene)
    assert before == version(scene)
    scene.ask("PATCH", ROW, {"stars": 3})
    assert before != version(scene)
    scene.ask("PATCH", ROW, {"stars": 0})
    assert before == version(scene)


def test_a_write_meets_the_version_that_was_read(scene: Scene) -> None:
    answer = write(scene, "PATCH", ROW, {"stars": 1}, version(scene), SHOW)
    assert 200 == answer.status
    assert version(scene) == headers(answer)["ETag"]
    assert 204 == write(scene, "PATCH", ROW + "&select=id", {"stars": 2}, f'"other", {version(scene)}').status
    assert 204 == write(scene, "PATCH", ROW, {"stars": 3}, "W/" + version(scene)).status
    assert 204 == write(scene, "PATCH", ROW, {"stars": 4}, "*").status


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "PUT"])
def test_a_write_does_not_meet_a_row_that_has_changed(scene: Scene, method: str) -> None:
    read = version(scene)
    scene.ask("PATCH", ROW, {"stars": 1})
    before = scene.rows(Note)
    answer = write(scene, method, ROW, {"id": 1, "title": "mine"}, read)
    assert (412, "PORTERO412", "Precondition failed") == refused(answer)
    assert before == scene.rows(Note)


def test_put_and_delete_meet_the_version(scene: Scene) -> None:
    slug = "/pages?slug=eq.home"
    assert 204 == write(scene, "PUT", slug, {"slug": "home", "text": "new"}, version(scene, slug)).status
    assert 412 == write(scene, "PUT", "/pages?slug=eq.none", {"slug": "none", "text": "x"}, "*").status
    assert 204 == write(scene, "DELETE", slug, None, version(scene, slug)).status
    assert ["law"] == [row["slug"] for row in scene.rows(Page)]


def test_a_row_that_is_not_the_callers_is_not_there(scene: Scene) -> None:
    his = headers(scene.ask("GET", "/notes?id=eq.2", who=BEN))["ETag"]
    for tag in (his, "*"):
        answer = write(scene, "PATCH", "/notes?id=eq.2", {"stars": 1}, tag)
        assert {"details": "There is no such row"}.items() <= answered(answer)[1].items()


def test_several_rows_have_no_version(scene: Scene) -> None:
    scene.ask("POST", "/notes", {"title": "second"})
    answer = write(scene, "PATCH", "/notes?stars=gte.0", {"stars": 1}, "*")
    assert 412 == answer.status
    assert [0, 0, 0] == [row["stars"] for row in scene.rows(Note)]


def test_a_row_that_is_made_has_no_version_to_name(scene: Scene) -> None:
    answer = write(scene, "POST", "/notes", {"title": "n"}, '"x"')
    assert (412, "PORTERO412") == refused(answer)[:2]
    assert 2 == len(scene.rows(Note))
    assert 201 == write(scene, "POST", "/notes", {"title": "n"}, "*").status
