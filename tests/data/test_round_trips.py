"""How often a request waits for PostgreSQL: counted in libpq's own trace of the connection."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from psycopg import pq
from tests.data import scene as app
from tests.data.scene import ANNA, Note, Scene, answered, refused

from portero.store import sessions
from portero.store.driver_calls import LINE

SHOW = "return=representation"


@pytest.fixture
def scene(empty_postgresql_url: str) -> Iterator[Scene]:
    """The application on PostgreSQL."""
    with app.opened(empty_postgresql_url) as opened:
        yield opened


def trips(libpq: Any, work: Callable[[], object]) -> int:
    """Count the times that libpq waited: each message that asks for an answer at once."""
    with tempfile.TemporaryFile() as file:
        libpq.trace(file.fileno())
        libpq.set_trace_flags(pq.Trace.SUPPRESS_TIMESTAMPS)
        work()
        libpq.untrace()
        file.seek(0)
        return len(re.findall(rb"^F\t\d+\t(?:Sync|Query)\b", file.read(), re.MULTILINE))


def writer(scene: Scene) -> Any:
    """The one connection for transactions that is open."""
    with scene.database.engine.connect() as connection:
        return connection.info[LINE].connection.pgconn


def test_a_read_is_one_round_trip(scene: Scene) -> None:
    """Unprepared, when it is prepared, and ever after."""
    way: Any = scene.database._way
    scene.database.fetch_all("SELECT 1")
    [line] = way._reads._idle
    libpq = line.connection.pgconn
    assert [1, 1, 1] == [trips(libpq, lambda: scene.ask("GET", "/notes")) for _ in range(3)]


@pytest.mark.parametrize(
    ("method", "path", "body", "prefer", "expected"),
    [
        ("POST", "/notes", {"title": "{}"}, SHOW, 3),
        ("POST", "/notes", {"title": "{}"}, "", 3),
        ("PATCH", "/notes?id=eq.1", {"title": "{}"}, SHOW, 3),
        ("PATCH", "/notes?id=eq.1", {"title": "{}"}, "", 3),
        ("DELETE", "/notes?id=eq.99", None, "", 2),
        ("DELETE", "/notes?id=eq.99", None, SHOW, 4),
    ],
)
def test_a_write_takes_few_round_trips(
    scene: Scene, method: str, path: str, body: dict[str, str] | None, prefer: str, expected: int
) -> None:
    """Begin, session and statement; check and what is read back; commit. It was four more."""

    def write(number: int) -> None:
        sent = None if body is None else {"title": body["title"].format(number)}
        assert scene.ask(method, path, sent, prefer=prefer).status < 300

    write(0)
    libpq = writer(scene)
    assert [expected] * 3 == [trips(libpq, lambda number=number: write(number)) for number in (1, 2, 3)]  # type: ignore[misc]


def test_who_has_signed_out_is_told_so_before_a_constraint_is_spoken_of(scene: Scene) -> None:
    """Both were sent together; nothing is written, and nothing of the rows that are there goes out."""
    taken = {"title": scene.rows(Note)[0]["title"]}
    assert "23505" == refused(scene.ask("POST", "/notes", taken))[1]
    before = scene.rows(Note)
    with scene.database.writing() as connection:
        sessions.delete_of_user(connection, ANNA)
    for body in ({"title": "new"}, taken):
        assert (401, "PGRST303") == refused(scene.ask("POST", "/notes", body, prefer=SHOW))[:2]
    assert before == scene.rows(Note)


def test_a_write_whose_connection_is_lost_before_the_commit_is_done_again_once(scene: Scene) -> None:
    assert 201 == scene.ask("POST", "/notes", {"title": "first"}).status
    with scene.database.reading() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    status, rows = answered(scene.ask("POST", "/notes", {"title": "second"}, prefer=SHOW))
    assert (201, "second") == (status, rows[0]["title"])
    assert 1 == sum(row["title"] == "second" for row in scene.rows(Note))
