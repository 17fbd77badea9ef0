"""The everyday insert, one row, in one statement: what writes it also says whether it may be there, and what it shows.

RETURNING gives the row as it is stored, defaults and generated columns included, so the check and the JSON stand in it,
and on SQLite whether the caller's session stands: three statements' work in one. What a trigger changes afterwards it
does not see; so a table with triggers is written the longer way of `writes`, which reads the row again. So is what
needs more than the row: an upsert, an embed, a policy that looks into tables.

A table's triggers are looked at once: one that comes while the application runs counts after the next start. It holds
no values and no caller. Obeys contract data.md §4.7, §4.10 and design hot-path.md §6.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from portero.data import prepared_writes, write_plan, write_sql
from portero.data.catalogue import Column, Model
from portero.data.conversions import Place, conversions_of, converted
from portero.data.database_errors import Known, check_keys
from portero.data.execute import Process, ResultSet, facts_of
from portero.data.nodes import DataRequest, ReadShape
from portero.data.read_plan import keys_of
from portero.data.read_sql import ReadSql
from portero.data.reads import Reads
from portero.data.row_version import is_whole
from portero.data.sources import Source
from portero.data.standing import check_session, session_ended, standing_of
from portero.data.write_answer import Written
from portero.data.write_plan import InsertPlan, InsertRules
from portero.errors import DataError
from portero.principal import Principal
from portero.records import dataclass
from portero.store.engine import Database
from portero.store.prepared import Prepared, settle

Clause = sa.ColumnElement[Any]
_ONE: Clause = sa.literal_column("1")
_SQLITE = sa.text("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name COLLATE NOCASE")
_POSTGRESQL = sa.text("SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(:name) AND NOT tgisinternal")


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """One kind of insert.

    Attributes:
        statement: gives of the row its JSON or NULL, whether it passes, whether the session stands.
        keys: the members of the row, in order.
        conversions: places of the JSON whose values Python converts.
    """

    statement: prepared_writes.PreparedInsert
    keys: tuple[str, ...]
    conversions: tuple[tuple[Place, Process], ...]

    def shown(self, found: Any) -> ResultSet | None:
        if found is None:
            return None
        body = b"[" + (found if type(found) is bytes else str(found).encode()) + b"]"
        return ResultSet(converted(body, self.conversions) if self.conversions else body, 1, None, 0, self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class SingleInsert:
    """One insert, ready to run in a transaction.

    Attributes:
        standing: asks whether the caller's session stands.
        is_guarded: the statement itself asks it.
    """

    kind: _Kind
    plan: InsertPlan
    standing: Prepared[int | None]
    is_guarded: bool

    def run(self, connection: sa.Connection, principal: Principal, now: datetime) -> Written:
        """Insert the row in the connection's transaction, which the caller ends, and undoes if this raises.

        Raises:
            DataError: PGRST303 (401) the session has ended; 42501 the row does not pass its policy; 22xxx its key.
            sqlalchemy.exc.DBAPIError: as the database says it.
        """
        [group] = self.plan.groups
        values = {write_sql.value_name(place): value for place, value in enumerate(group.rows[0])}
        if not self.is_guarded:
            check_session(connection, self.standing, principal, now, with_next=True)
        try:
            check_keys(group.columns, group.rows, Known(self.plan.model, principal.role))
            [(shown, passes, stands)] = self.kind.statement.run(connection, values | facts_of(principal, now))
        except (DataError, sa.exc.DBAPIError):
            if self.is_guarded and _is_begun(connection):
                # Whose session has ended is not told what is in the table already.
                check_session(connection, self.standing, principal, now)
            raise
        settle(connection)
        if not stands:
            raise session_ended()
        if not passes:
            raise write_plan.refuse_rows(self.plan.model, principal.role)
        return Written(1, 1, self.kind.shown(shown))


class SingleInserts:
    """Knows which inserts can be done so, and keeps their statements.

    Args:
        database: asked once for the triggers of a table.
        reads: writes a row's JSON.
        standing: the column that says whether the caller's session stands.
    """

    def __init__(self, database: Database, reads: Reads, standing: Clause) -> None:
        self._database = database
        self._reads = reads
        self._standing = standing
        self._asks = standing_of(standing, reads.sql)
        self._is_triggered: dict[str, bool] = {}
        self._kept = lru_cache(1024)(self._made)

    def of(self, plan: write_plan.WritePlan, request: DataRequest, principal: Principal) -> SingleInsert | None:
        """Give how a write is done in one statement; None where it needs the longer way.

        Raises:
            DatabaseUnavailable: the triggers of a table that was never written cannot be asked now.
        """
        if not isinstance(plan, InsertPlan) or plan.rules.conflict is not None or request.method != "POST":
            return None
        if len(plan.groups) != 1 or len(plan.groups[0].rows) != 1:
            return None
        returns, shape = request.preferences.returns, request.shape
        is_shown = returns == "representation"
        if returns == "headers-only" or (is_shown and not (is_whole(shape) and _is_plain(shape))):
            return None
        if self._has_triggers(plan.model):
            return None
        # On PostgreSQL a statement that was refused ends the transaction: the session is asked ahead of it, in the same
        # message.
        is_guarded = principal.session_id is not None and self._reads.sql.name == "sqlite"
        kind = self._kept(plan.rules, plan.groups[0].columns, principal.role, is_shown, is_guarded)
        return None if kind is None else SingleInsert(kind, plan, self._asks, is_guarded)

    def _has_triggers(self, model: Model) -> bool:
        table = model.table
        found = self._is_triggered.get(table.fullname)
        if found is None:
            is_sqlite = self._reads.sql.name == "sqlite"
            name = table.name if is_sqlite else self._reads.sql.compiler.identifier_preparer.format_table(table)
            with self._database.reading() as connection:
                count = connection.execute(_SQLITE if is_sqlite else _POSTGRESQL, {"name": name}).scalar_one()
            found = self._is_triggered[table.fullname] = bool(count)
        return found

    def _made(
        self, rules: InsertRules, columns: tuple[Column, ...], role: str, is_shown: bool, is_guarded: bool
    ) -> _Kind | None:
        if any(isinstance(each, sa.SelectBase) for each in visitors.iterate(rules.check)):
            return None
        sql, model = self._reads.sql, rules.model
        stands = write_sql.OfTheTables(self._standing) if is_guarded else _ONE
        returned = [sa.null(), sa.case((rules.check, _ONE), else_=sa.null()), stands]
        keys: tuple[str, ...] = ()
        conversions: tuple[tuple[Place, Process], ...] = ()
        if is_shown:
            node = self._reads.planner(role).plan(ReadShape(model.name)).root
            source = Source(model.table, {column.name: column for column in model.table.columns})
            returned[0] = sql.body(ReadSql(sql, self._reads.limits).row(node, source))
            keys, conversions = keys_of(node), tuple(conversions_of(node))
        statement = prepared_writes.insert_returning(rules, columns, sql, returned)
        return None if statement is None else _Kind(statement, keys, conversions)


def _is_plain(shape: ReadShape) -> bool:
    return not (shape.filters or shape.orders or shape.pages or shape.count)


def _is_begun(connection: sa.Connection) -> bool:
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.in_transaction)
