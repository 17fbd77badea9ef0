"""From a request to a write: names resolved, values typed, and the policies that old and new rows must pass.

Which policies apply: an inserted row must pass the insert policy; an updated one must be visible (select) and pass the
update policy before and after; a deleted one must be visible and pass the delete policy. Rows that a caller cannot see
are not touched. If rows are given back, the new ones must be visible too. `fill` is set on insert; a caller who sends
such a column must send what the server would set.

Pure: nothing here executes anything. Obeys contract data.md §4.7, §4.10 and docs/explanation/policies.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from portero.data.catalogue import Column, Model
from portero.data.nodes import DataRequest
from portero.data.payload import Payload, read_payload
from portero.data.policy import Verb, row_refused
from portero.errors import DataError
from portero.figures import kept
from portero.principal import SERVICE_ROLE
from portero.records import dataclass, new_tuple
from portero.settings import Settings

Clause = sa.ColumnElement[bool]


class _Default:
    """The column's own default, in a row where a key is missing."""

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = _Default()


class RowGroup(NamedTuple):
    """Rows with the same columns; `places` are their positions in the body."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Conflict:
    """What an upsert does with a row whose `columns` are there already: merge into it, or leave it."""

    columns: tuple[str, ...]
    merges: bool
    rows: Clause | None = None
    merged: Clause | None = None


@dataclass(frozen=True, slots=True, eq=False)
class InsertRules:
    """What holds for every insert of these columns by this role; kept, so that its statements are made once.

    Attributes:
        fill: what the server sets, where the body has no such column.
        check: what each new row must pass as stored.
    """

    model: Model
    columns: tuple[Column, ...]
    fill: Mapping[str, Any]
    check: Clause
    conflict: Conflict | None


class InsertPlan(NamedTuple):
    """An insert; `sent` is the only row of the body, for the words of a refusal."""

    rules: InsertRules
    groups: tuple[RowGroup, ...]
    sent: Mapping[str, Any]

    @property
    def model(self) -> Model:
        """Give the model that is written to."""
        return self.rules.model

    @property
    def size(self) -> int:
        """Give the number of rows."""
        return sum(len(group.rows) for group in self.groups)

    @property
    def kinds(self) -> list[Hashable]:
        """Name the statements it needs by what they are made of."""
        return [(self.model.name, group.columns) for group in self.groups]


class Picked(NamedTuple):
    """The rows that a write changes.

    Attributes:
        condition: over the model's own table.
        values: of its binds, by their names.
        is_kept: it is the same condition for each write of its kind, so that its statements can be kept.
        kind: what the request's filters are but for their values.
    """

    condition: Clause
    values: Mapping[str, Any]
    is_kept: bool
    kind: Hashable


@dataclass(frozen=True, slots=True, eq=False)
class UpdatePlan:
    """An update of some rows; () of values changes nothing."""

    model: Model
    values: tuple[tuple[Column, Any], ...]
    rows: Picked
    check: Clause
    sent: Mapping[str, Any]

    @property
    def kinds(self) -> list[Hashable]:
        """Name the statement it needs by what it is made of."""
        return [("PATCH", self.model.name, self.rows.kind, tuple([column.name for column, _ in self.values]))]


@dataclass(frozen=True, slots=True, eq=False)
class DeletePlan:
    """A deletion of some rows."""

    model: Model
    rows: Picked

    @property
    def kinds(self) -> list[Hashable]:
        """Name the statement it needs by what it is made of."""
        return [("DELETE", self.model.name, self.rows.kind)]


WritePlan = InsertPlan | UpdatePlan | DeletePlan


def plan_insert(request: DataRequest, model: Model, role: str, settings: Settings) -> InsertPlan:
    """Plan a POST.

    Raises:
        DataError: 42501 no policy; PGRST102 the body; PGRST204 an unknown column; 428C9 a generated one; 22xxx a value;
            42P10 a conflict target that is no unique key; 54000 (413) too many rows.
    """
    model.policies.of(Verb.INSERT, role)
    payload = _payload(request, settings)
    if len(payload.rows) > settings.max_batch:
        message = f"more than {settings.max_batch} rows in one request"
        raise DataError(413, "54000", message, hint="Send them in several requests.")
    preferences = request.preferences
    rules = insert_rules(
        model, payload.columns, role, preferences.resolution, request.on_conflict, is_shown=wants_rows(request)
    )
    groups = _grouped(rules.columns, payload, _absent(request))
    return new_tuple(InsertPlan, (rules, groups, payload.rows[0] if len(payload.rows) == 1 else {}))


@kept("insert_rules", 512)
def insert_rules(
    model: Model,
    names: tuple[str, ...],
    role: str,
    resolution: str | None,
    on_conflict: tuple[str, ...] | None,
    *,
    is_shown: bool,
) -> InsertRules:
    """Resolve everything of an insert but its values.

    Raises:
        DataError: 42501, 42703, 428C9, 42P10, PGRST204.
    """
    allowed, forced = model.policies.of(Verb.INSERT, role), _forced(model, names, role)
    visible = model.policies.of(Verb.SELECT, role) if is_shown else None
    return InsertRules(
        model=model,
        columns=tuple(_writable(model, name) for name in names),
        fill=_fill(model, names, role),
        check=_all(allowed, *forced, visible),
        conflict=_conflict(model, names, role, resolution, on_conflict, is_shown=is_shown),
    )


def plan_update(
    request: DataRequest, model: Model, role: str, settings: Settings, filters: Picked | None
) -> UpdatePlan:
    """Plan a PATCH; `filters` picks among the rows the policies leave.

    Raises:
        DataError: as `plan_insert`; 21000 no filter where one is required.
    """
    rows = picked(model, Verb.UPDATE, role, filters)
    payload = _payload(request, settings)
    columns = [_writable(model, name) for name in payload.columns]
    if columns:
        _want_filter(model, settings, filters, "UPDATE")
    row = payload.rows[0] if payload.rows else {}
    values = tuple(zip(columns, _values(columns, row, _absent(request)), strict=True)) if row else ()
    filled = tuple(sorted(name for name in payload.columns if name in model.fill))
    check = _check_of_update(model, filled, role, is_shown=wants_rows(request))
    return UpdatePlan(model, values, rows, check, row)


@kept("update_checks", 256)
def _check_of_update(model: Model, filled: tuple[str, ...], role: str, *, is_shown: bool) -> Clause:
    """What each updated row must pass; kept, because its statement is found by it."""
    check = _all(model.policies.of(Verb.UPDATE, role), *_forced(model, filled, role))
    return _all(check, model.policies.of(Verb.SELECT, role)) if is_shown else check


def plan_delete(model: Model, role: str, settings: Settings, filters: Picked | None) -> DeletePlan:
    """Plan a DELETE, whose body is ignored; `filters` picks among the rows the policies leave.

    Raises:
        DataError: 42501 no policy; 21000 no filter where one is required.
    """
    rows = picked(model, Verb.DELETE, role, filters)
    _want_filter(model, settings, filters, "DELETE")
    return DeletePlan(model, rows)


def picked(model: Model, verb: Verb, role: str, filters: Picked | None) -> Picked:
    """Pick among the rows that the policies leave."""
    asked = filters or Picked(sa.true(), {}, is_kept=True, kind=None)
    condition = (_condition if asked.is_kept else _condition.__wrapped__)(model, verb, role, asked.condition)
    return asked._replace(condition=condition)


@kept("picked_rows", 512)
def _condition(model: Model, verb: Verb, role: str, filters: Clause) -> Clause:
    policy, visible = model.policies.of(verb, role), model.policies.of(Verb.SELECT, role)
    return _all(visible, policy, filters)


def _payload(request: DataRequest, settings: Settings) -> Payload:
    return read_payload(
        request.body, request.content_type, request.columns, settings.max_batch, settings.max_json_depth
    )


def wants_rows(request: DataRequest) -> bool:
    """Say whether the written rows are given back."""
    return request.preferences.returns == "representation"


def _all(*clauses: Clause | None) -> Clause:
    """Join conditions, each once; TRUE if there is nothing to ask."""
    asked = {id(clause): clause for clause in clauses if clause is not None and not isinstance(clause, sa.True_)}
    return sa.and_(*asked.values()) if asked else sa.true()


def _want_filter(model: Model, settings: Settings, filters: Picked | None, word: str) -> None:
    is_required = settings.require_write_filter if model.require_write_filter is None else model.require_write_filter
    if is_required and filters is None:
        raise DataError(400, "21000", f"{word} requires a WHERE clause")


def _writable(model: Model, name: str) -> Column:
    column = model.writable.get(name)
    if column is not None:
        return column
    if name in model.columns:
        message = f'cannot insert a non-DEFAULT value into column "{name}"'
        raise DataError(400, "428C9", message, details=f'Column "{name}" is a generated column.')
    raise DataError(400, "PGRST204", f"Could not find the '{name}' column of '{model.name}' in the schema cache")


def _absent(request: DataRequest) -> _Default | None:
    """What a missing key stands for: NULL, or the column's default if the caller prefers that."""
    return DEFAULT if request.preferences.missing == "default" else None


def _values(columns: Iterable[Column], row: Mapping[str, Any], absent: _Default | None) -> tuple[Any, ...]:
    values: list[Any] = []
    try:
        for column in columns:
            value = row.get(column.name, absent)
            values.append(value if value is None or value is DEFAULT else column.wire.parse_json(value))
    except RecursionError:
        raise DataError(400, "PGRST102", "Empty or invalid json") from None
    return tuple(values)


def _grouped(columns: tuple[Column, ...], payload: Payload, absent: _Default | None) -> tuple[RowGroup, ...]:
    """SQLite has no DEFAULT in VALUES: rows that leave different columns to their defaults are different statements."""
    rows = tuple([_values(columns, row, absent) for row in payload.rows])
    if absent is None and rows:
        return (new_tuple(RowGroup, (columns, rows, tuple(range(len(rows))))),)
    groups: dict[tuple[bool, ...], list[tuple[int, tuple[Any, ...]]]] = {}
    for place, values in enumerate(rows):
        is_given = tuple(value is not DEFAULT for value in values)
        groups.setdefault(is_given, []).append((place, tuple(value for value in values if value is not DEFAULT)))
    return tuple(
        RowGroup(
            columns=tuple(column for column, given in zip(columns, is_given, strict=True) if given),
            rows=tuple(values for _, values in members),
            places=tuple(place for place, _ in members),
        )
        for is_given, members in groups.items()
    )


def _fill(model: Model, given: Iterable[str], role: str) -> Mapping[str, Any]:
    """What the server sets; the service role speaks for everybody and has no `me`, so it sets what it wants itself."""
    if role == SERVICE_ROLE:
        return {}
    return {name: value for name, value in model.fill.items() if name not in given}


def _forced(model: Model, given: Iterable[str], role: str) -> list[Clause]:
    """A filled column that the caller sends must hold what the server would have set."""
    if role == SERVICE_ROLE:
        return []
    forced = [(model.table.c[_key(model, name)], model.fill[name]) for name in given if name in model.fill]
    return [column.is_not_distinct_from(value) for column, value in forced]


def _key(model: Model, name: str) -> str:
    return next(str(column.key) for column in model.table.columns if column.name == name)


def _conflict(
    model: Model,
    given: Iterable[str],
    role: str,
    resolution: str | None,
    on_conflict: tuple[str, ...] | None,
    *,
    is_shown: bool,
) -> Conflict | None:
    """Without `on_conflict` the primary key decides; a table without one has plain inserts only."""
    names = tuple(dict.fromkeys(on_conflict or model.primary_key))
    if resolution is None or not names:
        return None
    if on_conflict:
        for name in names:
            model.column(name)
    if frozenset(names) not in model.unique_keys:
        message = "there is no unique or exclusion constraint matching the ON CONFLICT specification"
        raise DataError(400, "42P10", message)
    if resolution == "ignore-duplicates":
        return Conflict(names, merges=False)
    policy = model.policies.of(Verb.UPDATE, role)
    visible = model.policies.of(Verb.SELECT, role)
    merged = _all(policy, *_forced(model, given, role))
    if is_shown:
        merged = _all(merged, visible)
    return Conflict(names, merges=True, rows=_all(visible, policy), merged=merged)


def refuse_rows(model: Model, role: str) -> DataError:
    """Make the refusal of rows that a policy does not let in."""
    return row_refused(model.name, role)
