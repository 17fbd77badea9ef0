"""Several operations in one transaction: all of them, or none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session
from tests.data import scene as app
from tests.data.scene import ANNA, ANYBODY, BEN, NOW, Note, Page, Scene, Tag, answered, caller, headers, refused

from portero.data import batch
from portero.data.functions import Functions, rpc
from portero.data.nodes import HttpRequest
from portero.data.pipeline import DataApi

SHOW = {"Prefer": "return=representation"}


@rpc(read_only=True)
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


@rpc(read_only=True)
def sly(session: Session) -> None:
    """Say that it only reads, and write."""
    session.execute(sa.update(Note).values(stars=77))


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """The application, once on each database."""
    with app.opened(database_url) as opened:
        api = DataApi(
            opened.api.catalogue, opened.database, opened.api.settings, app.standing(), Functions([double, sly])
        )
        yield Scene(opened.database, api)


def operation(method: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
    """One operation."""
    return {"method": method, "path": path, "headers": {**headers}, "body": body}


def run(scene: Scene, *operations: Any, who: UUID | str = ANNA, prefer: str = "") -> tuple[int, Any]:
    """Send a batch."""
    return answered(scene.ask("POST", batch.PATH, list(operations), who=who, prefer=prefer))


def test_operations_on_several_tables_are_answered_in_order(scene: Scene) -> None:
    status, answers = run(
        scene,
        operation("POST", "/notes", {"id": 7, "title": "new"}, **SHOW),
        operation("POST", "/tags", [{"note_id": 7, "word": "green"}]),
        operation("PATCH", "/rest/v1/notes?id=eq.1", {"stars": 2}),
        operation("GET", "/notes?select=title,stars,tags(word)&order=id", Prefer="count=exact"),
        operation("DELETE", "/tags?note_id=eq.1"),
        operation("HEAD", "/notes"),
    )
    assert 200 == status
    assert [201, 201, 204, 200, 204, 200] == [each["status"] for each in answers]
    assert "new" == answers[0]["body"][0]["title"]
    assert None is answers[1]["body"]
    assert [
        {"title": "hers", "stars": 2, "tags": [{"word": "red"}]},
        {"title": "new", "stars": 0, "tags": [{"word": "green"}]},
    ] == answers[3]["body"]
    assert "0-1/2" == answers[3]["headers"]["Content-Range"]


@pytest.mark.parametrize(
    ("last", "status", "code"),
    [
        (operation("POST", "/notes", {"title": "hers"}), 409, "23505"),
        (operation("POST", "/notes", {"title": "x", "owner_id": str(BEN)}), 403, "42501"),
        (operation("POST", "/tags", {"note_id": 2, "word": "mine"}), 403, "42501"),
        (operation("GET", "/notes?nope=eq.1"), 400, "42703"),
        (operation("GET", "/notes?id=eq.99", Accept="application/vnd.pgrst.object+json"), 406, "PGRST116"),
        (operation("PATCH", "/notes?id=eq.1", {"stars": 1}, **{"If-Match": '"old"'}), 412, "PORTERO412"),
        (operation("POST", "/rpc/nope", {}), 404, "PGRST202"),
        (operation("TRACE", "/notes"), 405, "PGRST117"),
    ],
)
def test_one_refusal_undoes_everything(scene: Scene, last: Any, status: int, code: str) -> None:
    before = scene.rows(Note), scene.rows(Tag)
    found, members = run(scene, operation("POST", "/notes", {"title": "new"}), operation("DELETE", "/tags"), last)
    assert (status, code, 2) == (found, members["code"], members["operation"])
    assert before == (scene.rows(Note), scene.rows(Tag))


def test_policies_hold_in_a_batch(scene: Scene) -> None:
    _, answers = run(scene, operation("PATCH", "/notes", {"stars": 5}), operation("GET", "/notes?select=id"), who=BEN)
    assert [{"id": 2}] == answers[1]["body"]
    assert [0, 5] == [row["stars"] for row in scene.rows(Note)]
    status, members = run(scene, operation("POST", "/notes", {"title": "n"}), who=ANYBODY)
    assert (401, "42501", 0) == (status, members["code"], members["operation"])


def test_a_session_that_ended_runs_nothing(scene: Scene) -> None:
    body = json.dumps([operation("PATCH", "/pages", {"text": "x"})]).encode()
    gone = replace(caller(ANNA), session_id=UUID(int=9))
    answer = scene.api.answer(HttpRequest("POST", batch.PATH, body=body), gone, NOW)
    assert (401, "PGRST303") == refused(answer)[:2]
    assert ["hi", "no"] == [row["text"] for row in scene.rows(Page)]


def test_functions_and_other_bodies_are_operations_too(scene: Scene) -> None:
    _, answers = run(
        scene,
        operation("POST", "/rpc/double", {"number": 4}),
        operation("GET", "/rpc/double?number=5"),
        operation("POST", "/pages", "slug,text\ncsv,x", **{"Content-Type": "text/csv"}),
        operation("GET", "/pages?slug=eq.csv&select=text", Accept="text/csv"),
        operation("GET", "/pages?slug=eq.csv"),
    )
    assert [8, 10, None, "text\nx"] == [each["body"] for each in answers[:4]]
    assert answers[4]["headers"]["ETag"] == headers(scene.ask("GET", "/pages?slug=eq.csv"))["ETag"]


def test_a_time_zone_is_of_its_operation_only(scene: Scene) -> None:
    scene.ask("PATCH", "/notes?id=eq.1", {"at": "2026-05-01T12:00:00Z"})
    query = "/notes?id=eq.1&select=at"
    _, answers = run(scene, operation("GET", query, Prefer="timezone=Asia/Tokyo"), operation("GET", query))
    assert ["2026-05-01T21:00:00+09:00", "2026-05-01T12:00:00+00:00"] == [each["body"][0]["at"] for each in answers]


def test_exact_numbers_stay_exact(scene: Scene) -> None:
    run(scene, {"method": "POST", "path": "/notes", "body": {"title": "n", "price": 1234567.89}})
    assert b'"price":1234567.89' in scene.ask("GET", "/notes?title=eq.n").body.replace(b" : ", b":")


def test_a_number_with_an_exponent_is_in_a_batch_what_it_is_alone(scene: Scene) -> None:
    """Written out it was too long to be read again."""
    document = {"far": 1e308, "near": 1e-300, "big": 12345678901234567890123}
    status, answers = run(scene, operation("PATCH", "/notes?id=eq.1&select=info", {"info": document}, **SHOW))
    assert (200, [{"info": document}]) == (status, answers[0]["body"])


def test_reads_alone_see_one_state_and_an_empty_batch_is_one(scene: Scene) -> None:
    assert (200, []) == run(scene)
    assert [200, 200] == [each["status"] for each in run(scene, *[operation("GET", "/notes")] * 2)[1]]


def test_tx_rollback_undoes_a_batch(scene: Scene) -> None:
    dry = scene.with_settings(transaction_end="commit-allow-override")
    status, answers = run(dry, operation("DELETE", "/tags"), prefer="tx=rollback")
    assert (200, 204) == (status, answers[0]["status"])
    assert 2 == len(scene.rows(Tag))


@pytest.mark.parametrize(
    "one",
    [
        7,
        {"method": "GET"},
        {"path": "/notes", "method": 7},
        {"method": "GET", "path": "notes"},
        {"method": "GET", "path": "/notes", "more": 1},
        {"method": "GET", "path": "/notes", "headers": []},
        {"method": "GET", "path": "/notes", "headers": {"Authorization": "Bearer x"}},
        {"method": "GET", "path": "/notes", "headers": {"Accept": 7}},
        {"method": "GET", "path": "/notes", "body": {}},
        {"method": "GET", "path": "/%ff"},
        {"method": "POST", "path": batch.PATH, "body": []},
    ],
)
def test_what_is_no_operation_is_refused(scene: Scene, one: Any) -> None:
    status, members = run(scene, one)
    assert (400, "PGRST102", 0) == (status, members["code"], members["operation"])


def test_what_is_no_batch_is_refused(scene: Scene) -> None:
    for body in (b"", b"{}", b"[", b'"x"'):
        assert (400, "PGRST102") == refused(scene.ask("POST", batch.PATH, body))[:2]
    many = [operation("GET", "/notes")] * 101
    too_many = (413, "54000", "more than 100 operations in one batch")
    assert too_many == refused(scene.ask("POST", batch.PATH, many))
    assert (405, "PGRST117") == refused(scene.ask("GET", batch.PATH))[:2]
    assert [("Allow", "OPTIONS,POST")] == scene.api.describe(batch.PATH, "anon").headers


@pytest.mark.parametrize("number", ["1e-99999999999999", "-1e-3000000", "0e99999999999999"])
def test_a_short_number_of_very_many_digits_is_not_written_out(scene: Scene, number: str) -> None:
    body = '[{"method":"POST","path":"/notes","body":{"title":"n","price":%s}}]' % number  # noqa: UP031 - braces
    http = HttpRequest("POST", batch.PATH, body=body.encode())
    assert scene.api.answer(http, caller(ANNA), NOW).status in (200, 400)


def test_a_read_only_function_writes_nothing_beside_operations_that_write(scene: Scene) -> None:
    before = scene.rows(Note)
    status, members = run(scene, operation("PATCH", "/notes?id=eq.1", {"stars": 2}), operation("GET", "/rpc/sly"))
    assert (405, "25006", 1) == (status, members["code"], members["operation"])
    assert before == scene.rows(Note)


def test_operations_after_a_read_only_function_write(scene: Scene) -> None:
    change = operation("PATCH", "/notes?id=eq.1", {"stars": 2})
    status, answers = run(scene, change, operation("GET", "/rpc/double?number=2"), operation("POST", "/rpc/sly"))
    assert (405, 2) == (status, answers["operation"])
    status, answers = run(scene, change, operation("GET", "/rpc/double?number=2"), change)
    assert [204, 200, 204] == [each["status"] for each in answers]
    assert 204 == scene.ask("PATCH", "/notes?id=eq.1", {"stars": 3}, who=ANNA).status


@pytest.mark.parametrize("end", ["rollback", "commit"])
def test_an_operation_does_not_say_how_the_transaction_ends(scene: Scene, end: str) -> None:
    status, members = run(scene, operation("PATCH", "/notes?id=eq.1", {"stars": 2}, Prefer=f"tx={end}"))
    assert (400, "PGRST102", 0) == (status, members["code"], members["operation"])


def test_all_operations_together_give_back_no_more_rows_than_the_setting(scene: Scene) -> None:
    limits = replace(scene.api.settings, max_batch_rows=3)
    api = DataApi(scene.api.catalogue, scene.database, limits, app.standing(), scene.api.functions)
    few = Scene(scene.database, api)
    read, call = operation("GET", "/pages"), operation("GET", "/rpc/double?number=2")
    status, answers = run(few, read, call, operation("POST", "/notes", {"title": "not shown"}))
    assert (200, [200, 200, 201]) == (status, [each["status"] for each in answers])
    shown = operation("POST", "/notes", {"title": "shown"}, **SHOW)
    for operations in ([shown, read, call], [shown, call, read], [read, call, shown]):
        status, refusal = run(few, *operations)
        expected = (413, "54000", "more than 3 rows to give back", 2)
        assert expected == (status, refusal["code"], refusal["message"], refusal["operation"])
    assert ["not shown"] == [row["title"] for row in scene.rows(Note) if "shown" in row["title"]]


def test_json_of_a_batch_is_as_deep_as_the_bodies_of_its_operations_may_be(scene: Scene) -> None:
    document: Any = "x"
    for _ in range(31):
        document = [document]
    status, answers = run(scene, operation("PATCH", "/notes?id=eq.1", {"info": document}))
    assert (200, 204) == (status, answers[0]["status"])
    assert (400, "PGRST102") == refused(scene.ask("PATCH", "/notes?id=eq.1", {"info": [document]}))[:2]


@pytest.mark.parametrize("count", ["planned", "estimated"])
def test_a_count_that_need_not_be_exact_is_in_a_batch_what_it_is_alone(scene: Scene, count: str) -> None:
    with scene.database.writing() as connection:
        connection.execute(sa.insert(Page), [{"slug": f"page {number}", "text": "x"} for number in range(1500)])
    if scene.api.catalogue.dialect == "postgresql":
        with scene.database.writing() as connection:
            connection.exec_driver_sql("ANALYZE pages")
    prefer = {"Prefer": f"count={count}"}
    alone = scene.ask("GET", "/pages?select=slug&limit=1", prefer=prefer["Prefer"])
    ((inside,),) = [run(scene, operation("GET", "/pages?select=slug&limit=1", **prefer))[1]]
    assert headers(alone)["Content-Range"] == inside["headers"]["Content-Range"]
    assert 1500 <= int(inside["headers"]["Content-Range"].rpartition("/")[2]) < 1600


def test_a_table_that_was_altered_under_running_workers_costs_no_batch(empty_postgresql_url: str) -> None:
    """What a worker had prepared no longer fits; the transaction is done again from its beginning, once."""
    with app.opened(empty_postgresql_url) as opened:
        batches = [
            [operation("POST", "/notes", {"id": 10 * turn + at, "title": f"{turn} {at}"}) for at in range(3)]
            for turn in range(1, 5)
        ]
        for one in batches[:2]:
            assert 200 == run(opened, *one)[0]
        other = sa.create_engine(opened.database.url)
        with other.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE notes ALTER stars TYPE bigint, ALTER id TYPE bigint")
        other.dispose()
        assert [200, 200] == [run(opened, *one)[0] for one in batches[2:]]
        assert 1 + 4 * 3 == len(json.loads(opened.ask("GET", "/notes?select=id").body)), "none of them twice"
