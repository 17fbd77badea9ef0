"""Writes, from the request to the answer: one transaction (`write_transaction`), all or nothing.

In the transaction, in this order: the session stands → the statement → the new rows pass their policies → the rows are
read back through the normal read, with its policies → what the caller demanded (one row, at most N rows). Whatever
fails undoes everything. The transaction is entered after everything that needs no database: bodies, names, types.

Obeys contract data.md §4.7, §4.10, §4.12 and docs/explanation/policies.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from portero.data import would_be, write_plan
from portero.data.database_errors import Known, refusal_of
from portero.data.nodes import DataAnswer, DataRequest
from portero.data.prefer import applied
from portero.data.put import check_put
from portero.data.reads import Reads
from portero.data.row_version import check_no_version, is_whole, version_of
from portero.data.shape_budget import KnownKinds, Payer
from portero.data.single_inserts import SingleInserts
from portero.data.standing import check_session, standing_of
from portero.data.target_names import warnings
from portero.data.undone import Undone, is_undone
from portero.data.write_answer import Written, write_answer
from portero.data.write_filters import WriteFilters
from portero.data.write_heads import WriteHeads
from portero.data.write_plan import DeletePlan, InsertPlan, WritePlan
from portero.data.write_transaction import WriteTransaction, bound_rows, caller_of
from portero.figures import CacheFigures
from portero.principal import Principal
from portero.settings import Settings
from portero.store.compiled_statements import CompiledStatements
from portero.store.engine import Database
from portero.store.group_commit import Undo

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
        self.filters = WriteFilters(reads)
        self.compiled = CompiledStatements(_STATEMENTS)

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of writes that are kept without their bodies, and of what they are run by."""
        own = {"write_statements": self.compiled.figures(), "paid_kinds": self._kinds.figures()}
        return self.heads.caches() | self.filters.caches() | own | self._single.caches()

    def answer(
        self, request: DataRequest, principal: Principal, now: datetime, payer: Payer | None = None
    ) -> DataAnswer:
        """Write, and answer; `payer` as for `Reads.prepare`.

        Raises:
            DataError: any refusal; nothing is written then.
            DatabaseUnavailable: the database cannot be asked now.
        """
        return self.answer_of(request, self.run(request, principal, now, payer))

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
        filters = self.filters.picked(request, role)
        if request.method == "PATCH":
            return write_plan.plan_update(request, model, role, self.settings, filters)
        return write_plan.plan_delete(model, role, self.settings, filters)

    def run(self, request: DataRequest, principal: Principal, now: datetime, payer: Payer | None = None) -> Written:
        """Write, or refuse and leave everything as it was.

        Raises:
            DataError: any refusal; 42501 for a row that its policy does not allow.
            DatabaseUnavailable: the database cannot be asked now.
        """
        plan = self.plan(request, principal.role)
        self.pay(plan, principal.role, payer)
        single = self._single.of(plan, request, principal)
        if single is None and write_plan.wants_rows(request):
            # What takes time is done before the one writer is asked for.
            self.reads.keyed_statement(request, principal.role, payer)

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

    def pay(self, plan: WritePlan, role: str, payer: Payer | None) -> None:
        """Have the caller's budget pay for each new kind of statement: other columns, other filters.

        Raises:
            DataError: PORTERO429.
        """
        for kind in plan.kinds:
            if self._kinds.has_new((role, kind)):
                self.reads.pay(role, payer)
                self._kinds.add((role, kind))

    def perform(
        self, connection: sa.Connection, request: DataRequest, plan: WritePlan, principal: Principal, now: datetime
    ) -> Written:
        """Write on this connection, whose transaction the caller ends.

        Raises:
            DataError: any refusal; the transaction must be undone then.
            sqlalchemy.exc.DBAPIError: the database's own; `refusal` names it.
        """
        options = self.compiled.options
        transaction = WriteTransaction(self.reads, self.filters, options, connection, request, principal, now)
        return transaction.write(plan)

    def refusal(self, error: sa.exc.DBAPIError, plan: WritePlan, principal: Principal) -> Exception:
        """Name what the database refused of a write; what no request can cause is given back as it is.

        Raises:
            DatabaseUnavailable: whether a new row's policy allows it cannot be asked now.
        """
        found = refusal_of(error, _known(plan, principal.role))
        if found is not None and found.code in would_be.TELLING and isinstance(plan, InsertPlan):
            caller, sql = caller_of(principal), self.reads.sql
            with self.database.reading() as connection:
                allowed = [
                    would_be.are_let_in(connection, plan.rules, group.columns, bound_rows(group, caller), sql)
                    for group in plan.groups
                ]
            if not all(allowed):
                return write_plan.refuse_rows(plan.model, principal.role)
        return found or error


def _known(plan: WritePlan, role: str) -> Known:
    if isinstance(plan, DeletePlan):
        return Known(plan.model, role, deletes=True)
    return Known(plan.model, role, plan.sent)
