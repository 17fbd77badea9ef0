"""What the database refused of a developer's own statement in a function: SQLSTATE and status, without its text.

The function's statements may speak of tables and columns that no caller knows, so no name and no value goes out.
Obeys contract data.md §4.10.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from portero.data.database_errors import status_of
from portero.errors import DataError

_SQLITE: Final = (
    ("UNIQUE constraint failed", "23505"),
    ("FOREIGN KEY constraint failed", "23503"),
    ("NOT NULL constraint failed", "23502"),
    ("CHECK constraint failed", "23514"),
    ("readonly database", "25006"),
)
_SENTENCES: Final = {
    "23505": "duplicate key value violates unique constraint",
    "23503": "insert, update or delete violates foreign key constraint",
    "23502": "null value violates not-null constraint",
    "23514": "a row violates check constraint",
    "25006": "cannot write in a read-only transaction",
}


def refusal_of_statement(error: sa.exc.DBAPIError) -> DataError | None:
    """Name the refusal of a statement; None for one that is the developer's fault, not the caller's."""
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        text = str(error.orig)
        state = next((code for mark, code in _SQLITE if mark in text), None)
    sentence = _SENTENCES.get(str(state))
    return None if sentence is None or state is None else DataError(status_of(state), state, sentence)
