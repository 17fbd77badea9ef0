"""Writes, from the plan to what was written: one transaction, policies checked on the rows as stored, all or nothing.

In the transaction, in this order: the session stands → the statement → the new rows pass their policies → what the
caller demanded (one row, at most N rows) → the rows are read back through the normal read, with its policies. Whatever
fails undoes everything. The transaction is entered after everything that needs no database: bodies, names, types.

Obeys contract data.md §4.7, §4.10, §4.12 and design house.md §4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from portero.data import keys, prepared_writes, would_be, write_plan, write_sql
from portero.data.answer import check_affected, not_single
from portero.data.binds import KEYS
from portero.data.caller import ME_ID, ME_ROLE
from portero.data.catalogue import Model
from portero.data.database_errors import Known, check_keys, check_once, refusal_of
from portero.data.execute import ResultSet
from portero.data.nodes import DataAnswer, DataRequest, Preferences, ReadShape
from portero.data.policy import Clause, Verb
from portero.data.prefer import applied
from portero.data.put import check_put
from portero.data.reads import Reads
from portero.data.row_version import check_no_version, check_version, is_whole, version_of
from portero.data.shape_budget import KnownKinds
from portero.data.single_inserts import SingleInserts
from portero.data.standing import check_session, standing_of
from portero.data.target_names import warnings
from portero.data.undone import Undone, is_undone
from portero.data.write_answer import Written, write_answer
from portero.data.write_heads import WriteHeads
from portero.data.write_plan import DeletePlan, InsertPlan, UpdatePlan, WritePlan
from portero.figures import CacheFigures
from portero.principal import Principal
from portero.records import dataclass
from portero.settings import Settings
from portero.store.compiled_statements import CompiledStatements
from portero.store.engine import Database
from portero.store.group_commit import Undo
from portero.store.prepared import settle

Keys = list[tuple[Any, ...]]
#: Rows of an insert that shares its transaction with others; more would keep them waiting.
_MOST_TOGETHER = 20
#: Statements of callers' filters that SQLAlchemy need not write again; they push out none of Portero's own.
_STATEMENTS = 256


class Writes:
    """Plans and runs writes.

    Args:
        database: the store.
        settings: batch limits, required filters, how transactions end.
        reads: what reads rows back, and writes a write's filters.
        standing: the column that says whether the caller's session stands.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        reads: Reads,
        standing: sa.ColumnElement[Any],
    ) -> None:
        self.database = database
        self.settings = settings
        self.reads = reads
        self.standing = standing_of(standing, reads.sql)
        self._single = SingleInserts(database, reads, standing)
        self._kinds = KnownKinds()
        self._overrides = settings.transaction_end.endswith("-override")
        self.heads = WriteHeads(settings)
        self.compiled = CompiledStatements(_STATEMENTS)

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of writes that are kept without their bodies, and of what they are run by."""
        own = {"write_statements": self.compiled.figures(), "paid_kinds": self._kinds.figures()}
        return self.heads.caches() | own | self._single.caches()

    def answer(
        self, request: DataRequest, principal: Principal, now: datetime, whose: Callable[[], str] | None = None
    ) -> DataAnswer:
        """Write, and answer; `whose` as for `Reads.prepare`.

        Raises:
            DataError: any refusal; nothing is written then.
            DatabaseUnavailable: the database cannot be asked now.
        """
        return self.answer_of(request, self.run(request, principal, now, whose))

    def answer_of(self, request: DataRequest, written: Written) -> DataAnswer:
        """Answer what was written."""
        asked = request.preferences
        upserts = asked.resolution is not None and (
            request.on_conflict is not None or bool(self.reads.catalogue.model(request.model).primary_key)
        )
        followed = applied(asked, method=request.method, upserts=upserts, overrides_transaction=self._overrides)
        answer = write_answer(request, written, followed)
        rows = written.rows
        if rows is not None and rows.size == 1 and request.method != "DELETE" and is_whole(request.shape):
            answer.headers.append(("ETag", version_of(rows.body)))
        answer.headers.extend(warnings(request.shape))
        return answer

    def plan(self, request: DataRequest, role: str) -> WritePlan:
        """Resolve and type a write; the database is not asked.

        Raises:
            DataError: any refusal of a name, a body, a value, or a verb without a policy.
        """
        model = self.reads.catalogue.model(request.model)
        if request.method == "POST" and request.if_match:
            check_no_version(request.if_match)
        if request.method == "PUT":
            request = check_put(request, model, self.settings.max_json_depth)
        if request.method in ("POST", "PUT"):
            return write_plan.plan_insert(request, model, role, self.settings)
        filters = self.reads.where(request, role)
        if request.method == "PATCH":
            return write_plan.plan_update(request, model, role, self.settings, filters)
        return write_plan.plan_delete(request, model, role, self.settings, filters)

    def run(
        self, request: DataRequest, principal: Principal, now: datetime, whose: Callable[[], str] | None = None
    ) -> Written:
        """Write, or refuse and leave everything as it was.

        Raises:
            DataError: any refusal; 42501 for a row that its policy does not allow.
            DatabaseUnavailable: the database cannot be asked now.
        """
        plan = self.plan(request, principal.role)
        self.pay(plan, principal.role, whose)
        single = self._single.of(plan, request, principal)
        if single is None and write_plan.wants_rows(request):
            # What takes time is done before the one writer is asked for.
            self.reads.keyed_statement(request, principal.role, whose)

        def work(connection: sa.Connection) -> Written:
            if single is not None:
                written = single.run(connection, principal, now)
            else:
                check_session(connection, self.standing, principal, now, with_next=True)
                written = self.perform(connection, request, plan, principal, now)
            if is_undone(self.settings, request.preferences):
                raise Undone(written)
            return written

        try:
            if single is None and isinstance(plan, InsertPlan) and plan.size > _MOST_TOGETHER:
                return self.database.do_alone(work)
            undo = Undo.SAVEPOINT if single is None else Undo.STATEMENT
            return self.database.write_together(work, undo=undo)
        except Undone as undone:
            made: Written = undone.made
            return made
        except sa.exc.DBAPIError as error:
            raise self.refusal(error, plan, principal) from error

    def pay(self, plan: WritePlan, role: str, whose: Callable[[], str] | None) -> None:
        """Have the caller's budget pay for the statement of each new choice of columns.

        Raises:
            DataError: PORTERO429.
        """
        for group in plan.groups if isinstance(plan, InsertPlan) else ():
            if self._kinds.has_new((plan.model.name, role, group.columns)):
                self.reads.pay(role, whose)
                self._kinds.add((plan.model.name, role, group.columns))

    def perform(
        self, connection: sa.Connection, request: DataRequest, plan: WritePlan, principal: Principal, now: datetime
    ) -> Written:
        """Write on this connection, whose transaction the caller ends.

        Raises:
            DataError: any refusal; the transaction must be undone then.
            sqlalchemy.exc.DBAPIError: the database's own; `refusal` names it.
        """
        return _Work(self, connection, request, principal, now).write(plan)

    def refusal(self, error: sa.exc.DBAPIError, plan: WritePlan, principal: Principal) -> Exception:
        """Name what the database refused of a write; what no request can cause is given back as it is.

        Raises:
            DatabaseUnavailable: whether a new row's policy allows it cannot be asked now.
        """
        found = refusal_of(error, _known(plan, principal.role))
        if found is not None and found.code in would_be.TELLING and isinstance(plan, InsertPlan):
            caller, sql = _caller_of(principal), self.reads.sql
            with self.database.reading() as connection:
                allowed = [
                    would_be.are_let_in(connection, plan.rules, group.columns, _bound(group, caller), sql)
                    for group in plan.groups
                ]
            if not all(allowed):
                return write_plan.refuse_rows(plan.model, principal.role)
        return found or error


def _known(plan: WritePlan, role: str) -> Known:
    if isinstance(plan, DeletePlan):
        return Known(plan.model, role, deletes=True)
    return Known(plan.model, role, plan.sent)


def _caller_of(principal: Principal) -> dict[str, Any]:
    return {ME_ID: principal.user_id, ME_ROLE: principal.role}


def _bound(group: write_plan.RowGroup, caller: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows as a statement's parameters, the caller's facts beside the values."""
    return [write_sql.bound(row) | caller for row in group.rows]


@dataclass(frozen=True, slots=True)
class _Work:
    """One write inside its transaction."""

    writes: Writes
    connection: sa.Connection
    request: DataRequest
    principal: Principal
    now: datetime

    def write(self, plan: WritePlan) -> Written:
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
    def _caller(self) -> dict[str, Any]:
        return _caller_of(self.principal)

    def _run(self, statement: sa.Executable, **values: Any) -> Any:
        return self.connection.execute(statement, self._caller | values, execution_options=self.writes.compiled.options)

    def _check_version(self, plan: WritePlan) -> None:
        """The row is locked before it is looked at; one that the caller cannot see is not there."""
        rows = plan.model.policies.of(Verb.SELECT, self.principal.role) if isinstance(plan, InsertPlan) else plan.rows
        filters = self.writes.reads.where(self.request, self.principal.role) if isinstance(plan, InsertPlan) else None
        statement = write_sql.rows_to_lock(plan.model, rows if filters is None else sa.and_(rows, filters))
        found = [tuple(row) for row in self._run(statement.limit(2))]
        version = None
        if len(found) == 1:
            whole = DataRequest("GET", plan.model.name, ReadShape(plan.model.name), (), Preferences())
            reads = self.writes.reads
            version = version_of(reads.keyed(self.connection, whole, self.principal, found, self.now).body)
        check_version(self.request.if_match, version, len(found))

    def _insert(self, plan: InsertPlan) -> Written:
        merges = plan.rules.conflict is not None and plan.rules.conflict.merges
        new: Keys = []
        merged: Keys = []
        placed: dict[int, tuple[Any, ...]] = {}
        for group in plan.groups:
            check_keys(group.columns, group.rows, Known(plan.model, self.principal.role))
            there = self._there(plan, group)
            found = self._inserted(plan, group)
            for place, (row, is_new) in enumerate(found):
                (new if is_new and place not in there else merged).append(row)
            if len(found) == len(group.rows):
                placed.update(zip(group.places, (row for row, _ in found), strict=True))
            elif merges:
                raise write_plan.refuse_rows(plan.model, self.principal.role)
        self._check(plan.model, plan.rules.check, new)
        if plan.rules.conflict is not None and plan.rules.conflict.merged is not None:
            self._check(plan.model, plan.rules.conflict.merged, merged)
        every = new + merged
        rows = [placed[place] for place in sorted(placed)] if len(placed) == len(every) else every
        return self._judged(Written(len(rows), len(new), self._read_back(rows), self._location(plan.model, rows)))

    def _location(self, model: Model, rows: Keys) -> Mapping[str, str] | None:
        if self.request.preferences.returns != "headers-only" or len(rows) != 1 or not model.primary_key:
            return None
        pairs = zip(model.primary_key, rows[0], strict=True)
        return {name: str(value) for name, value in pairs if name in model.columns}

    def _there(self, plan: InsertPlan, group: write_plan.RowGroup) -> set[int]:
        """The places of a group's rows that will be merged, on SQLite: its RETURNING does not tell, nobody else writes.

        The keys of what is written do not tell either: where the conflict is another's, a merge may change them.
        """
        conflict = plan.rules.conflict
        if conflict is None or not conflict.merges or self.writes.reads.sql.name != "sqlite":
            return set()
        places = {column.name: place for place, column in enumerate(group.columns)}
        filled = {name: self._filled(value) for name, value in plan.rules.fill.items() if name in conflict.columns}
        if not all(name in places or name in filled for name in conflict.columns):
            return set()  # left to a default: nothing to meet
        values = [
            [row[places[name]] if name in places else filled[name] for name in conflict.columns] for row in group.rows
        ]
        check_once(values)
        columns = {str(column.name): column for column in plan.model.table.columns}
        text = keys.key_text(values, [columns[name].type for name in conflict.columns], self.writes.reads.sql)
        statement = write_sql.conflicting_rows(plan.model, conflict, self.writes.reads.sql)
        return set(self.connection.scalars(statement, {KEYS: text}))

    def _filled(self, value: Any) -> Any:
        """The value that a fill's expression has for this caller."""
        if not isinstance(value, sa.ColumnElement):
            return value
        return self.connection.execute(sa.select(value), self._caller).scalar()

    def _inserted(self, plan: InsertPlan, group: write_plan.RowGroup) -> list[tuple[tuple[Any, ...], bool]]:
        rules, sql, width = plan.rules, self.writes.reads.sql, len(plan.model.row_key)
        statement = write_sql.insert_rows(rules, group.columns, sql)
        there = (
            {write_sql.beside_the_values(name): fact for name, fact in self._caller.items()} if rules.conflict else {}
        )
        rows: list[Any] = _bound(group, self._caller | there if rules.fill or rules.conflict else {})
        if len(rows) == 1 and rules.conflict is None:
            prepared = prepared_writes.insert_of(rules, group.columns, sql)
            if prepared is not None:
                return [(row[:width], True) for row in prepared.run(self.connection, rows[0])]
        ignores = rules.conflict is not None and not rules.conflict.merges and not isinstance(rules.check, sa.True_)
        # DEFAULT VALUES makes one row at a time; a row that is left out has to be told from its neighbours.
        batches: Sequence[Any] = [rows] if group.columns and not ignores else rows
        options = self.writes.compiled.options
        made = [self.connection.execute(statement, batch, execution_options=options).all() for batch in batches]
        left_out = [row for row, given in zip(rows, made, strict=True) if not given] if ignores else []
        if not would_be.are_let_in(self.connection, rules, group.columns, left_out, sql):
            raise write_plan.refuse_rows(plan.model, self.principal.role)
        found = [row for batch in made for row in batch]
        return [(tuple(row[:width]), len(row) == width or bool(row[width])) for row in found]

    def _update(self, plan: UpdatePlan) -> Written:
        if not plan.values:
            return self._judged(Written(0, rows=self._read_back([])))
        columns, values = zip(*plan.values, strict=True)
        check_keys(columns, [values], Known(plan.model, self.principal.role))
        statement = write_sql.update_rows(plan, self.writes.reads.sql)
        rows = [tuple(row) for row in self._run(statement)]
        self._check(plan.model, plan.check, rows)
        return self._judged(Written(len(rows), rows=self._read_back(rows)))

    def _delete(self, plan: DeletePlan) -> Written:
        if not write_plan.wants_rows(self.request):
            affected = self._run(write_sql.delete_rows(plan)).rowcount
            return self._judged(Written(affected))
        rows = [tuple(row) for row in self._run(write_sql.rows_to_delete(plan))]
        written = self._judged(Written(len(rows), rows=self._read_back(rows)))
        statement = write_sql.delete_keyed(plan, self.writes.reads.sql)
        self._run(statement, **{KEYS: self._text(plan.model, rows)})
        return written

    def _check(self, model: Model, check: Clause, rows: Keys) -> None:
        """The rows are checked as the database has them: defaults, triggers and conversions included."""
        if not rows or isinstance(check, sa.True_):
            return
        statement = prepared_writes.passing(model, check, self.writes.reads.sql)

        def judge(passing: list[int]) -> None:
            if passing != [len(set(rows))]:
                raise write_plan.refuse_rows(model, self.principal.role)

        statement.judged(self.connection, judge, **self._caller, **{KEYS: self._text(model, rows)})

    def _text(self, model: Model, rows: Keys) -> str:
        return keys.key_text(
            list(dict.fromkeys(rows)), [column.type for column in model.row_key], self.writes.reads.sql
        )

    def _read_back(self, rows: Keys) -> ResultSet | None:
        if not write_plan.wants_rows(self.request):
            return None
        return self.writes.reads.keyed(self.connection, self.request, self.principal, rows, self.now)

    def _judged(self, written: Written) -> Written:
        """What the caller demanded of the number of rows, once the policies have spoken; a refusal undoes it."""
        settle(self.connection)
        if self.request.method in ("PATCH", "DELETE"):
            check_affected(written.affected, self.request.preferences)
        count = written.affected if written.rows is None else written.rows.size
        if self.request.shape.media.kind == "object" and count != 1:
            raise not_single(count)
        return written
