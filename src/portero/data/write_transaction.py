"""One write inside its transaction: its statements in order, policies checked on the rows as stored, rows read back.

It neither begins nor ends the transaction: what raises here, `writes` undoes. It plans and answers nothing.

Obeys contract data.md §4.7, §4.10, §4.12 and docs/explanation/policies.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from portero.data import keys, prepared_writes, would_be, write_plan, write_sql
from portero.data.answer import check_affected, not_single
from portero.data.binds import KEYS
from portero.data.caller import ME_ID, ME_ROLE
from portero.data.catalogue import Column, Model
from portero.data.database_errors import Known, check_keys, check_once
from portero.data.dialects import Sql
from portero.data.execute import ResultSet
from portero.data.nodes import DataRequest, Preferences, ReadShape
from portero.data.policy import Clause, Verb
from portero.data.reads import Reads
from portero.data.row_version import check_version, version_of
from portero.data.write_answer import Written
from portero.data.write_filters import WriteFilters
from portero.data.write_plan import DEFAULT, DeletePlan, InsertPlan, InsertRules, RowGroup, UpdatePlan, WritePlan
from portero.principal import Principal
from portero.records import dataclass
from portero.store.driver_calls import settle

Key = tuple[Any, ...]


class _Stored(NamedTuple):
    """A row that an insert left in the table.

    Attributes:
        key: its values of `Model.row_key`.
        is_new: it was not there before; otherwise it was merged into.
        place: its position in the body; None where the database does not tell which row of its group it is.
    """

    key: Key
    is_new: bool
    place: int | None


@dataclass(frozen=True, slots=True)
class WriteTransaction:
    """What one write needs of its transaction.

    Attributes:
        reads: what reads rows back.
        filters: writes the write's own filters.
        options: SQLAlchemy's execution options: where it keeps what it compiles.
        connection: in the transaction.
        request: the write; what it wants to see of its rows counts.
        principal: who asks.
        now: aware UTC.
    """

    reads: Reads
    filters: WriteFilters
    options: Mapping[str, Any]
    connection: sa.Connection
    request: DataRequest
    principal: Principal
    now: datetime

    def write(self, plan: WritePlan) -> Written:
        """Do what was planned.

        Raises:
            DataError: any refusal; the transaction must be undone then.
            sqlalchemy.exc.DBAPIError: the database's own.
        """
        if self.request.if_match and self.request.method != "POST":
            self._check_version(plan)
        match plan:
            case InsertPlan():
                return self._insert(plan)
            case UpdatePlan():
                return self._update(plan)
            case DeletePlan():
                return self._delete(plan)

    @property
    def _sql(self) -> Sql:
        return self.reads.sql

    @property
    def _caller(self) -> dict[str, Any]:
        return caller_of(self.principal)

    def _execute(self, statement: sa.Executable, **values: Any) -> Any:
        return self.connection.execute(statement, self._caller | values, execution_options=self.options)

    def _check_version(self, plan: WritePlan) -> None:
        """The row is locked before it is looked at; one that the caller cannot see is not there."""
        role = self.principal.role
        if isinstance(plan, InsertPlan):
            asked = self.filters.picked(self.request, role)
            rows = write_plan.picked(plan.model, Verb.SELECT, role, asked)
        else:
            rows = plan.rows
        statement = write_sql.rows_to_lock(plan.model, rows.condition).limit(2)
        found = [tuple(row) for row in self._execute(statement, **rows.values)]
        version = None
        if len(found) == 1:
            whole = DataRequest("GET", plan.model.name, ReadShape(plan.model.name), (), Preferences())
            version = version_of(self.reads.keyed(self.connection, whole, self.principal, found, self.now).body)
        check_version(self.request.if_match, version, len(found))

    def _insert(self, plan: InsertPlan) -> Written:
        model, conflict = plan.model, plan.rules.conflict
        stored = [each for group in plan.groups for each in self._stored(plan, group)]
        new = [each.key for each in stored if each.is_new]
        merged = [each.key for each in stored if not each.is_new]
        self._check_policy(model, plan.rules.check, new)
        if conflict is not None and conflict.merged is not None:
            self._check_policy(model, conflict.merged, merged)
        placed = {each.place: each.key for each in stored if each.place is not None}
        rows = [placed[place] for place in sorted(placed)] if len(placed) == len(stored) else new + merged
        return self._as_demanded(Written(len(rows), len(new), self._read_back(rows), self._location(model, rows)))

    def _stored(self, plan: InsertPlan, group: RowGroup) -> list[_Stored]:
        """Insert rows of the same columns, and tell what became of each."""
        check_keys(group.columns, group.rows, Known(plan.model, self.principal.role))
        merged = self._merged_places(plan, group)
        found = self._inserted(plan.rules, group)
        places: Sequence[int | None] = group.places
        if len(found) != len(group.rows):
            if plan.rules.conflict is not None and plan.rules.conflict.merges:
                raise write_plan.refuse_rows(plan.model, self.principal.role)
            places = [None] * len(found)
        return [
            _Stored(key, is_new and at not in merged, place)
            for at, ((key, is_new), place) in enumerate(zip(found, places, strict=True))
        ]

    def _location(self, model: Model, rows: list[Key]) -> Mapping[str, str] | None:
        if self.request.preferences.returns != "headers-only" or len(rows) != 1 or not model.primary_key:
            return None
        pairs = zip(model.primary_key, rows[0], strict=True)
        return {name: str(value) for name, value in pairs if name in model.columns}

    def _merged_places(self, plan: InsertPlan, group: RowGroup) -> set[int]:
        """Which rows of a group will be merged, on SQLite: its RETURNING does not tell, and nobody else writes.

        The keys of what is written do not tell either: where the conflict is another's, a merge may change them.
        """
        conflict = plan.rules.conflict
        if conflict is None or not conflict.merges or self._sql.name != "sqlite":
            return set()
        places = {column.name: place for place, column in enumerate(group.columns)}
        filled = {name: self._fill_value(value) for name, value in plan.rules.fill.items() if name in conflict.columns}
        if not all(name in places or name in filled for name in conflict.columns):
            return set()  # left to a default: nothing to meet
        values = [
            [row[places[name]] if name in places else filled[name] for name in conflict.columns] for row in group.rows
        ]
        check_once(values)
        columns = {str(column.name): column for column in plan.model.table.columns}
        text = keys.key_text(values, [columns[name].type for name in conflict.columns], self._sql)
        return set(prepared_writes.conflicting(plan.model, conflict, self._sql).all(self.connection, **{KEYS: text}))

    def _fill_value(self, value: Any) -> Any:
        """The value that a fill's expression has for this caller."""
        if not isinstance(value, sa.ColumnElement):
            return value
        return self.connection.execute(sa.select(value), self._caller).scalar()

    def _inserted(self, rules: InsertRules, group: RowGroup) -> list[tuple[Key, bool]]:
        """Insert rows; give the keys of those that are in the table now, and whether the database calls them new."""
        sql, width = self._sql, len(rules.model.row_key)
        caller = self._caller if rules.fill or rules.conflict else {}
        if rules.conflict:
            caller = caller | {write_sql.beside_the_values(name): fact for name, fact in caller.items()}
        rows: list[Any] = bound_rows(group, caller)
        ignores = rules.conflict is not None and not rules.conflict.merges and not isinstance(rules.check, sa.True_)
        goes_alone = sql.name == "sqlite" and _asks_the_row(rules)
        prepared = prepared_writes.insert_of(rules, group.columns, sql) if goes_alone or len(rows) == 1 else None
        if prepared is not None:
            made: list[Sequence[Any]] = [prepared.run(self.connection, row) for row in rows]
        else:
            statement = write_sql.insert_rows(rules, group.columns, sql)
            # DEFAULT VALUES makes one row at a time; a row that is left out has to be told from its neighbours.
            batches: Sequence[Any] = [rows] if group.columns and not (ignores or goes_alone) else rows
            made = [self.connection.execute(statement, each, execution_options=self.options).all() for each in batches]
        left_out = [row for row, given in zip(rows, made, strict=True) if not given] if ignores else []
        if not would_be.are_let_in(self.connection, rules, group.columns, left_out, sql):
            raise write_plan.refuse_rows(rules.model, self.principal.role)
        found = [row for batch in made for row in batch]
        return [(tuple(row[:width]), len(row) == width or bool(row[width])) for row in found]

    def _update(self, plan: UpdatePlan) -> Written:
        if not plan.values:
            return self._as_demanded(Written(0, rows=self._read_back([])))
        columns, values = zip(*plan.values, strict=True)
        check_keys(columns, [values], Known(plan.model, self.principal.role))
        rows = self._updated(plan, columns, values)
        self._check_policy(plan.model, plan.check, rows)
        return self._as_demanded(Written(len(rows), rows=self._read_back(rows)))

    def _updated(self, plan: UpdatePlan, columns: tuple[Column, ...], values: tuple[Any, ...]) -> list[Key]:
        """Update rows; give their keys as they are afterwards."""
        model, rows = plan.model, plan.rows
        # The column's own default may be a function of Python's: what it gives is for one statement only.
        is_kept = rows.is_kept and not any(value is DEFAULT for value in values)
        prepared = prepared_writes.update_of(model, rows.condition, columns, self._sql) if is_kept else None
        if prepared is None:
            return [tuple(row) for row in self._execute(write_sql.update_rows(plan, self._sql), **rows.values)]
        return prepared.all(self.connection, **self._caller, **rows.values, **write_sql.bound(values))

    def _delete(self, plan: DeletePlan) -> Written:
        if not write_plan.wants_rows(self.request):
            return self._as_demanded(Written(self._deleted(plan)))
        found = self._locked(plan)
        written = self._as_demanded(Written(len(found), rows=self._read_back(found)))
        self._deleted(plan, **{KEYS: self._key_text(plan.model, found)})
        return written

    def _locked(self, plan: DeletePlan) -> list[Key]:
        """Lock rows, so that they go as they were shown; give their keys."""
        model, rows = plan.model, plan.rows
        if not rows.is_kept:
            return list(map(tuple, self._execute(write_sql.rows_to_lock(model, rows.condition), **rows.values)))
        prepared = prepared_writes.rows_to_lock(model, rows.condition, self._sql)
        return prepared.all(self.connection, **self._caller, **rows.values)

    def _deleted(self, plan: DeletePlan, **keyed: str) -> int:
        """Delete rows, or of them those of some keys; give how many there were."""
        model, rows = plan.model, plan.rows
        if rows.is_kept:
            prepared = prepared_writes.deletion_of(model, rows.condition, self._sql, is_keyed=bool(keyed))
            return prepared.changed(self.connection, **self._caller, **rows.values, **keyed)
        statement = write_sql.delete_rows(model, rows.condition)
        if keyed:
            statement = write_sql.delete_keyed(model, rows.condition, self._sql)
        count: int = self._execute(statement, **rows.values, **keyed).rowcount
        return count

    def _check_policy(self, model: Model, check: Clause, rows: list[Key]) -> None:
        """The rows are checked as the database has them: defaults, triggers and conversions included."""
        if not rows or isinstance(check, sa.True_):
            return

        def judge(passing: list[int]) -> None:
            if passing != [len(set(rows))]:
                raise write_plan.refuse_rows(model, self.principal.role)

        statement = prepared_writes.passing(model, check, self._sql)
        statement.judged(self.connection, judge, **self._caller, **{KEYS: self._key_text(model, rows)})

    def _key_text(self, model: Model, rows: list[Key]) -> str:
        return keys.key_text(list(dict.fromkeys(rows)), [column.type for column in model.row_key], self._sql)

    def _read_back(self, rows: list[Key]) -> ResultSet | None:
        if not write_plan.wants_rows(self.request):
            return None
        return self.reads.keyed(self.connection, self.request, self.principal, rows, self.now)

    def _as_demanded(self, written: Written) -> Written:
        """What the caller demanded of the number of rows, once the policies have spoken; a refusal undoes it."""
        settle(self.connection)
        if self.request.method in ("PATCH", "DELETE"):
            check_affected(written.affected, self.request.preferences)
        count = written.affected if written.rows is None else written.rows.size
        if self.request.shape.media.kind == "object" and count != 1:
            raise not_single(count)
        return written


def _asks_the_row(rules: InsertRules) -> bool:
    """Say whether a policy is asked of rows that an insert would merge into.

    SQLAlchemy repeats the text of a row's values for many rows, and wherever else it stands: of two columns it is
    `(?, ?)`, which on SQLite is also the text of a list of two that a policy compares with.
    """
    return rules.conflict is not None and not isinstance(rules.conflict.rows, sa.True_ | None)


def caller_of(principal: Principal) -> dict[str, Any]:
    """Give the caller's facts that policies and fills ask for, by the names of their binds."""
    return {ME_ID: principal.user_id, ME_ROLE: principal.role}


def bound_rows(group: RowGroup, caller: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give rows as a statement's parameters, the caller's facts beside the values."""
    return [{**write_sql.bound(row), **caller} for row in group.rows]
