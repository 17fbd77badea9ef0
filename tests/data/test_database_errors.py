"""What a database refused goes out in PostgreSQL's words, and never names what the caller cannot read (DA-32)."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from tests.data import scene as app
from tests.data.scene import ANNA, Scene, catalogue

from portero.data.database_errors import Known, refusal_of, status_of
from portero.errors import DataError

NOTES = catalogue("sqlite").model("notes")


class DriverError(Exception):
    """What a driver raises: text, and on PostgreSQL a state and a diagnosis."""


def sqlite_refusal(message: str, values: dict[str, Any] | None = None, **known: Any) -> DataError | None:
    error = sa.exc.IntegrityError("INSERT", {}, DriverError(message))
    return refusal_of(error, Known(NOTES, "authenticated", values or {}, **known))


def postgresql_refusal(
    state: str, message: str = "", role: str = "authenticated", **diagnosis: Any
) -> DataError | None:
    cause = DriverError(message)
    nothing = {"constraint_name": None, "column_name": None, "message_primary": message}
    cause.sqlstate, cause.diag = state, SimpleNamespace(**nothing | diagnosis)  # type: ignore[attr-defined]
    return refusal_of(sa.exc.DBAPIError("INSERT", {}, cause), Known(NOTES, "authenticated"))


def told(refusal: DataError | None) -> tuple[int, str, str, Any]:
    assert refusal is not None
    return refusal.status, refusal.code, refusal.message, refusal.details


UNIQUE = "duplicate key value violates unique constraint"


@pytest.mark.parametrize(
    ("message", "values", "expected"),
    [
        ("UNIQUE constraint failed: notes.id", {"id": 1},
         (409, "23505", f'{UNIQUE} "notes_pkey"', "Key (id)=(1) already exists.")),
        ("UNIQUE constraint failed: notes.owner_id, notes.title", {"title": "x"},
         (409, "23505", f'{UNIQUE} "notes_owner_id_title_key"', None)),
        ("UNIQUE constraint failed: notes.secret", {}, (409, "23505", UNIQUE, None)),
        ("UNIQUE constraint failed: index 'notes_lower'", {}, (409, "23505", UNIQUE, None)),
        ("NOT NULL constraint failed: notes.title", {},
         (400, "23502", 'null value in column "title" of relation "notes" violates not-null constraint', None)),
        ("NOT NULL constraint failed: notes.secret", {},
         (400, "23502", 'null value in a column of relation "notes" violates not-null constraint', None)),
        ("NOT NULL constraint failed: notes.owner_id", {},
         (403, "42501", 'new row violates row-level security policy for table "notes"', None)),
        ("CHECK constraint failed: notes_stars_check", {},
         (400, "23514", 'new row for relation "notes" violates check constraint "notes_stars_check"', None)),
        ("CHECK constraint failed: notes_secret_check", {},
         (400, "23514", 'new row for relation "notes" violates check constraint', None)),
        ("CHECK constraint failed: secret <> 'x'", {},
         (400, "23514", 'new row for relation "notes" violates check constraint', None)),
        ("FOREIGN KEY constraint failed", {"parent_id": 9},
         (409, "23503", 'insert or update on table "notes" violates foreign key constraint "notes_parent_id_fkey"',
          'Key (parent_id)=(9) is not present in table "notes".')),
        ("FOREIGN KEY constraint failed", {},
         (409, "23503", 'insert or update on table "notes" violates foreign key constraint', None)),
        ("datatype mismatch", {}, (400, "42804", "a value has the wrong type for its column", None)),
        ("notes are closed today", {}, (400, "P0001", "notes are closed today", None)),
    ],
)  # fmt: skip
def test_sqlites_refusals_are_postgresqls(message: str, values: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert expected == told(sqlite_refusal(message, values))


def test_a_deletion_names_nobody_who_refers_to_the_row() -> None:
    expected = (409, "23503", 'update or delete on table "notes" violates foreign key constraint', None)
    assert expected == told(sqlite_refusal("FOREIGN KEY constraint failed", deletes=True))
    assert expected == told(postgresql_refusal("23503", constraint_name="elsewhere_note_id_fkey"))


def test_what_is_no_refusal_is_not_made_one() -> None:
    error = sa.exc.OperationalError("INSERT", {}, DriverError("disk I/O error"))
    assert refusal_of(error, Known(NOTES, "anon")) is None
    assert postgresql_refusal("XX000", "broken") is None


@pytest.mark.parametrize(
    ("state", "diagnosis", "expected"),
    [
        ("23505", {"constraint_name": "notes_owner_id_title_key"}, (409, f'{UNIQUE} "notes_owner_id_title_key"')),
        ("23505", {"constraint_name": "notes_secret_key"}, (409, UNIQUE)),
        ("23505", {"constraint_name": "somebody_elses"}, (409, UNIQUE)),
        ("23514", {"constraint_name": "notes_secret_check"},
         (400, 'new row for relation "notes" violates check constraint')),
        ("23502", {"column_name": "title"},
         (400, 'null value in column "title" of relation "notes" violates not-null constraint')),
        ("22012", {"message_primary": "division by zero"}, (400, "division by zero")),
        ("P0001", {"message_primary": "closed"}, (400, "closed")),
        ("PT418", {"message_primary": "tea"}, (418, "tea")),
        ("42501", {"message_primary": "permission denied for table hidden"},
         (403, "permission denied for table notes")),
    ],
)  # fmt: skip
def test_postgresqls_refusals_name_only_what_can_be_read(
    state: str, diagnosis: dict[str, Any], expected: tuple[int, str]
) -> None:
    status, code, message, details = told(postgresql_refusal(state, **diagnosis))
    assert (*expected, state, None) == (status, message, code, details)


@pytest.mark.parametrize(
    ("state", "status"),
    [("23503", 409), ("25006", 405), ("42883", 404), ("42P17", 500), ("0LP01", 403), ("28P01", 403), ("40001", 500),
     ("53300", 503), ("53400", 500), ("57P01", 503), ("57014", 500), ("22003", 400), ("PT200", 400), ("99999", 400)],
)  # fmt: skip
def test_every_state_has_its_status(state: str, status: int) -> None:
    assert status == status_of(state)


@pytest.fixture
def scene(database_url: str) -> Iterator[Scene]:
    """The application, once on each database."""
    with app.opened(database_url) as opened:
        yield opened


def test_no_answer_of_a_live_database_names_a_hidden_column(scene: Scene) -> None:
    """An index over a hidden column is moved by a caller who cannot see it; the details of PostgreSQL would show it."""
    with scene.database.writing() as connection:
        connection.execute(sa.insert(app.Note).values(id=8, owner_id=ANNA, title="eight", stars=3))
        connection.execute(sa.text("CREATE UNIQUE INDEX secret_stars ON notes (stars, coalesce(secret, 'a'))"))
    answer = scene.ask("PATCH", "/notes?id=eq.8", {"stars": 0})
    assert (409, "23505", UNIQUE) == app.refused(answer)
    assert "secret" not in answer.body.decode()
