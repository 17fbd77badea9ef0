"""What a database refused, in PostgreSQL's words: SQLSTATE, HTTP status, sentence; and nothing the caller may not know.

A constraint is named, and its values told, only if the caller can read every column of it. The database's own text
never goes out unchecked: it stays the cause of the refusal, for the log.

Obeys contract data.md §4.7, §4.10 (mapping of SQLSTATEs); threat DA-32.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from portero.data.catalogue import Column, Model
from portero.data.policy import refused, row_refused
from portero.data.read_errors import LACKING, refusal_of_read
from portero.data.relations import constraint_name, default_name
from portero.data.wire_types import as_text
from portero.errors import DataError
from portero.principal import SERVICE_ROLE

_SQLITE = re.compile(r"(UNIQUE|NOT NULL|CHECK|FOREIGN KEY) constraint failed(?:: (.*))?", re.DOTALL)
_NO_DETAILS: Mapping[str, Any] = {}


class Known(NamedTuple):
    """What is known of the write that failed: the model, the caller's role, and the values sent, for `details`."""

    model: Model
    role: str
    values: Mapping[str, Any] = _NO_DETAILS
    deletes: bool = False


def refusal_of(error: sa.exc.DBAPIError, known: Known) -> DataError | None:
    """Turn a database's refusal of a write into a DataError; None if it is no refusal of what was written."""
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return _postgresql(error.orig, state, known)
    message = str(error.orig)
    found = _SQLITE.match(message)
    if found is None:
        return _sqlite_other(error, message)
    return _SQLITE_KINDS[found[1]](found[2] or "", known)


# --- the sentences ---------------------------------------------------------------------------------------------------


def unique_violated(columns: Sequence[str], name: str | None, known: Known) -> DataError:
    """23505, with the key if every column of it is readable."""
    if not _readable(columns, known.model):
        return DataError(409, "23505", "duplicate key value violates unique constraint")
    details = None
    if columns and all(column in known.values for column in columns):
        shown = ", ".join(_shown(known.values[column]) for column in columns)
        details = f"Key ({', '.join(columns)})=({shown}) already exists."
    label = name or _unique_name(columns, known.model.table)
    return DataError(409, "23505", f'duplicate key value violates unique constraint "{label}"', details=details)


def not_null_violated(column: str, known: Known) -> DataError:
    """23502; PostgreSQL's details show the whole row, hidden columns too, so there are none.

    Where the server would have set the caller's own fact and there is none, the caller is nobody: that is 42501.
    """
    if known.role != SERVICE_ROLE and column in known.model.fill:
        return row_refused(known.model.name, known.role)
    if not _readable([column], known.model):
        return DataError(
            400, "23502", f'null value in a column of relation "{known.model.name}" violates not-null constraint'
        )
    return DataError(
        400, "23502", f'null value in column "{column}" of relation "{known.model.name}" violates not-null constraint'
    )


def check_keys(columns: Sequence[Column], rows: Iterable[Sequence[Any]], known: Known) -> None:
    """Refuse a key that is NULL, as PostgreSQL does; SQLite would make one up, or speak of a type.

    Raises:
        DataError: 23502 (400).
    """
    keys = [place for place, column in enumerate(columns) if column.name in known.model.primary_key]
    for row in rows if keys else ():
        for place in keys:
            if row[place] is None:
                raise not_null_violated(columns[place].name, known)


def check_once(conflicting: Iterable[Sequence[Any]]) -> None:
    """Refuse an upsert of which two rows have the same values in the columns of the conflict, as PostgreSQL does.

    Raises:
        DataError: 21000 (400).
    """
    seen = set()
    for values in conflicting:
        known = repr(values)
        if known in seen and None not in values:
            raise _merged_twice()
        seen.add(known)


def _merged_twice() -> DataError:
    message = "ON CONFLICT DO UPDATE command cannot affect row a second time"
    hint = "Ensure that no rows proposed for insertion within the same command have duplicate constrained values."
    return DataError(400, "21000", message, hint=hint)


def check_violated(name: str | None, known: Known) -> DataError:
    """23514; the constraint's name goes out if all the columns it speaks of are readable."""
    constraint = next((each for each in _checks(known.model.table) if each.name == name), None)
    label = f' "{name}"' if constraint is not None and _speaks_of_readable(constraint, known.model) else ""
    return DataError(400, "23514", f'new row for relation "{known.model.name}" violates check constraint{label}')


def foreign_key_violated(constraint: sa.ForeignKeyConstraint | None, known: Known) -> DataError:
    """23503: a row that is referred to is missing, or a row that others refer to would be."""
    name, model = known.model.name, known.model
    if known.deletes:
        return DataError(409, "23503", f'update or delete on table "{name}" violates foreign key constraint')
    start = f'insert or update on table "{name}" violates foreign key constraint'
    columns = [] if constraint is None else [column.name for column in constraint.columns]
    if constraint is None or not _readable(columns, model):
        return DataError(409, "23503", start)
    details = None
    target = next((each.target for each in model.relations if each.refers and _is_of(each.pairs, constraint)), None)
    if target is not None and all(column in known.values for column in columns):
        shown = ", ".join(_shown(known.values[column]) for column in columns)
        details = f'Key ({", ".join(columns)})=({shown}) is not present in table "{target}".'
    return DataError(409, "23503", f'{start} "{constraint_name(constraint)}"', details=details)


# --- SQLite ----------------------------------------------------------------------------------------------------------


def _sqlite_unique(text: str, known: Known) -> DataError:
    """`films.title, films.year`, or `index 'name'` for an index on expressions."""
    columns = [part.rpartition(".")[2] for part in text.split(", ") if "." in part]
    return unique_violated(columns, None, known) if columns else unique_violated(["?"], None, known)


def _sqlite_not_null(text: str, known: Known) -> DataError:
    return not_null_violated(text.rpartition(".")[2], known)


def _sqlite_check(text: str, known: Known) -> DataError:
    return check_violated(text, known)


def _sqlite_foreign_key(text: str, known: Known) -> DataError:
    """SQLite does not say which: if only one was touched, it was that."""
    touched = [
        constraint
        for constraint in known.model.table.foreign_key_constraints
        if any(known.values.get(column.name) is not None for column in constraint.columns)
    ]
    return foreign_key_violated(touched[0] if len(touched) == 1 else None, known)


_SQLITE_KINDS: Mapping[str, Callable[[str, Known], DataError]] = {
    "UNIQUE": _sqlite_unique,
    "NOT NULL": _sqlite_not_null,
    "CHECK": _sqlite_check,
    "FOREIGN KEY": _sqlite_foreign_key,
}


def _sqlite_other(error: sa.exc.DBAPIError, message: str) -> DataError | None:
    """A trigger's RAISE speaks in the developer's words; a type that does not fit a STRICT table or a rowid has few."""
    if not isinstance(error, sa.exc.IntegrityError):
        # A write's filters fail as those of a read do.
        found = refusal_of_read(error)
        return found if isinstance(found, DataError) else None
    if "datatype mismatch" in message or "cannot store" in message:
        return DataError(400, "42804", "a value has the wrong type for its column")
    return DataError(400, "P0001", message)


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def _postgresql(error: Any, state: str, known: Known) -> DataError | None:
    diagnosis = error.diag
    name = diagnosis.constraint_name
    match state:
        case "23505":
            return unique_violated(_constraint_columns(name, known.model.table), name, known)
        case "23502":
            return not_null_violated(diagnosis.column_name or "", known)
        case "23514":
            return check_violated(name, known)
        case "23503":
            constraints = known.model.table.foreign_key_constraints
            own = next((each for each in constraints if constraint_name(each) == name), None)
            return foreign_key_violated(own, known._replace(deletes=own is None))
        case "21000":
            return _merged_twice()
        case "42501":
            return refused(f"permission denied for table {known.model.name}", known.role)
    status = status_of(state)
    if status >= 500 or state in LACKING:
        return None
    # Of these classes the sentence speaks of the caller's own value, or is the developer's own.
    is_speakable = state[:2] == "22" or state == "P0001" or state.startswith("PT")
    message = diagnosis.message_primary if is_speakable else "the database refused what was written"
    return DataError(status, state, message or state)


def status_of(state: str) -> int:
    """Give the HTTP status of an SQLSTATE (contract §4.10).

    >>> status_of("23505"), status_of("22P02"), status_of("42883"), status_of("PT418")
    (409, 400, 404, 418)
    """
    if state.startswith("PT") and state[2:].isdigit():
        return int(state[2:]) if 400 <= int(state[2:]) < 500 else 400
    exact = {"23503": 409, "23505": 409, "25006": 405, "42883": 404, "42P01": 404, "42P17": 500, "42501": 403}
    exact |= {"21000": 400, "P0001": 400, "57P01": 503, "53400": 500}
    classes = {"08": 503, "53": 503, "0L": 403, "0P": 403, "28": 403}
    internal = ("09", "25", "2D", "38", "39", "3B", "40", "54", "55", "57", "58", "F0", "HV", "P0", "XX")
    return exact.get(state) or classes.get(state[:2]) or (500 if state[:2] in internal else 400)


# --- what is known of the table --------------------------------------------------------------------------------------


def _readable(columns: Iterable[str], model: Model) -> bool:
    return all(column in model.columns for column in columns)


def _speaks_of_readable(constraint: sa.CheckConstraint, model: Model) -> bool:
    """A check is mostly text: SQLAlchemy does not know its columns, so no hidden name may stand in it."""
    text = f"{constraint.name} {constraint.sqltext}"
    return not any(str(column.name) in text for column in model.table.columns if column.name not in model.columns)


def _shown(value: Any) -> str:
    return "null" if value is None else as_text(value)


def _is_of(pairs: Iterable[tuple[sa.Column[Any], sa.Column[Any]]], constraint: sa.ForeignKeyConstraint) -> bool:
    return {column.name for column, _ in pairs} == {column.name for column in constraint.columns}


def _checks(table: sa.Table) -> list[sa.CheckConstraint]:
    return [each for each in table.constraints if isinstance(each, sa.CheckConstraint)]


def _unique_name(columns: Sequence[str], table: sa.Table) -> str:
    """The name in the metadata, else PostgreSQL's default."""
    if [column.name for column in table.primary_key] == list(columns):
        return str(table.primary_key.name or f"{table.name}_pkey")
    for each in table.constraints:
        if isinstance(each, sa.UniqueConstraint) and each.name and [one.name for one in each.columns] == list(columns):
            return str(each.name)
    return default_name(str(table.name), columns, "key")


def _constraint_columns(name: str | None, table: sa.Table) -> list[str]:
    """The columns of a unique constraint or index by its name; an unknown one has a column that nobody reads."""
    keys = [(str(table.primary_key.name or f"{table.name}_pkey"), _names(table.primary_key))]
    constraints = [each for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
    columns = [_names(each.columns) for each in constraints]
    labels = [
        each.name or default_name(str(table.name), each_columns, "key")
        for each, each_columns in zip(constraints, columns, strict=True)
    ]
    keys += zip(map(str, labels), columns, strict=True)
    keys += [(str(each.name), _names(each.columns)) for each in table.indexes if each.unique]
    return next((columns for label, columns in keys if label == name), ["?"])


def _names(columns: Iterable[Any]) -> list[str]:
    return [str(column.name) for column in columns]
