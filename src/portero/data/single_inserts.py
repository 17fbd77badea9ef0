"""The everyday insert on SQLite, one row in one statement: what writes it also says whether it may be there.

RETURNING gives the row as it is stored, defaults and generated columns included, so the check and the JSON stand in it,
and whether the caller's session stands: three statements' work in one. It is done so only where nothing else can have a
hand in the row: not in a view or a virtual table, nor where a trigger or an `ON CONFLICT` of the schema is. What needs
more than the row (an upsert, an embed, a policy with a subquery) goes the longer way of `writes` too.

On PostgreSQL RETURNING is asked before triggers of partitions, rules and the functions of a policy have had their say:
there the longer way is the only one. What a table is like is looked up once; a trigger that comes while the application
runs counts after the next start. It holds no values and no caller. Obeys contract data.md §4.7, §4.10 and
docs/explanation/speed.md.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from portero.data import prepared_writes, write_plan, write_sql
from portero.data.catalogue import Column
from portero.data.conversions import Place, conversions_of, converted
from portero.data.database_errors import Known, check_keys
from portero.data.execute import ResultSet
from portero.data.nodes import DataRequest, ReadShape
from portero.data.parameters import Process
from portero.data.policy import held_to_caller
from portero.data.read_plan import keys_of
from portero.data.read_sql import ReadSql
from portero.data.reads import Reads
from portero.data.row_version import is_whole
from portero.data.sources import source_of
from portero.data.standing import check_session, session_ended, standing_of
from portero.data.write_answer import Written
from portero.data.write_plan import InsertPlan, InsertRules
from portero.errors import DataError
from portero.figures import CacheFigures, of_lru
from portero.principal import Principal
from portero.records import dataclass, new_tuple
from portero.store.engine import Database
from portero.store.prepared import Prepared

Clause = sa.ColumnElement[Any]
_ONE: Clause = sa.literal_column("1")
#: What SQLite is to do at a conflict, in the words of a schema.
_CONFLICT = re.compile(r"\bON\s+CONFLICT\b")
_TABLE = sa.text("SELECT type, sql FROM sqlite_master WHERE tbl_name = :name COLLATE NOCASE AND type <> 'index'")


@dataclass(frozen=True, slots=True, eq=False)
class _Kind:
    """One kind of insert.

    Attributes:
        statement: tells of the row its JSON or NULL, whether it passes, whether the session stands.
        has_key: a column of the primary key is given.
        keys: the members of the row, in order.
        conversions: places of the JSON whose values Python converts.
    """

    statement: prepared_writes.TellingInsert
    has_key: bool
    keys: tuple[str, ...]
    conversions: tuple[tuple[Place, Process], ...]

    def shown(self, found: bytes | None) -> ResultSet | None:
        if found is None:
            return None
        body = b"[%b]" % found
        return ResultSet(converted(body, self.conversions) if self.conversions else body, 1, None, 0, self.keys)


class SingleInsert(NamedTuple):
    """One insert, ready to run in a transaction.

    Attributes:
        standing: asks whether the caller's session stands, as the statement itself does of callers who have one.
    """

    kind: _Kind
    plan: InsertPlan
    standing: Prepared[int | None]

    def run(self, connection: sa.Connection, principal: Principal, now: datetime) -> Written:
        """Insert the row in the connection's transaction, which the caller ends, and undoes if this raises.

        Raises:
            DataError: PGRST303 (401) the session has ended; 42501 the row does not pass its policy; 22xxx its key.
            sqlalchemy.exc.DBAPIError: as the database says it.
        """
        kind, [group] = self.kind, self.plan.groups
        try:
            if kind.has_key:
                check_keys(group.columns, group.rows, Known(self.plan.model, principal.role))
            shown, passes, stands = kind.statement.run(connection, group.rows[0], principal, now)
        except (DataError, sa.exc.DBAPIError):
            if _is_begun(connection):
                # Whose session has ended is not told what is in the table already.
                check_session(connection, self.standing, principal, now)
            raise
        if not stands:
            raise session_ended()
        if not passes:
            raise write_plan.refuse_rows(self.plan.model, principal.role)
        return Written(1, 1, kind.shown(shown))


class SingleInserts:
    """Knows which inserts can be done so, and keeps their statements.

    Args:
        database: asked once what a table is like.
        reads: writes a row's JSON.
        standing: the column that says whether the caller's session stands.
    """

    def __init__(self, database: Database, reads: Reads, standing: Clause) -> None:
        self._database = database
        self._reads = reads
        self._standing = standing
        self._is_served = reads.sql.name == "sqlite"
        self._asks = standing_of(standing, reads.sql)
        self._plain: dict[str, bool] = {}
        self._kept = lru_cache(512)(self._made)

    def caches(self) -> dict[str, CacheFigures]:
        """Give the figures of the kinds of inserts that are kept."""
        return {"single_inserts": of_lru(self._kept.cache_info())}

    def of(self, plan: write_plan.WritePlan, request: DataRequest, principal: Principal) -> SingleInsert | None:
        """Give how a write is done in one statement; None where it needs the longer way.

        Raises:
            DatabaseUnavailable: what a table is like that was never written cannot be asked now.
        """
        if not self._is_served or not isinstance(plan, InsertPlan) or request.method != "POST":
            return None
        rules, groups = plan.rules, plan.groups
        if len(groups) != 1 or len(groups[0].rows) != 1 or rules.conflict is not None:
            return None
        returns = request.preferences.returns
        is_shown = returns == "representation"
        if returns == "headers-only" or (is_shown and not _is_plainly_whole(request.shape)):
            return None
        if not self._is_plain(rules.model.table):
            return None
        kind = self._kept(rules, groups[0].columns, principal.role, is_shown, principal.session_id is not None)
        return None if kind is None else new_tuple(SingleInsert, (kind, plan, self._asks))

    def _is_plain(self, table: sa.Table) -> bool:
        """Say whether a table is there, and nothing but the statement decides what becomes of its rows."""
        found = self._plain.get(table.fullname)
        if found is not None:
            return found
        if table.schema is not None:
            return False
        with self._database.reading() as connection:
            made = connection.execute(_TABLE, {"name": table.name}).all()
        if not made:
            return False  # and not remembered: who makes it may make triggers with it
        [(_, sql), *others] = made
        text = str(sql).upper()
        is_plain = not others and text.startswith("CREATE TABLE") and _CONFLICT.search(text) is None
        self._plain[table.fullname] = is_plain
        return is_plain

    def _made(
        self, rules: InsertRules, columns: tuple[Column, ...], role: str, is_shown: bool, is_guarded: bool
    ) -> _Kind | None:
        if any(isinstance(each, sa.SelectBase) for each in visitors.iterate(rules.check)):
            return None
        sql, model = self._reads.sql, rules.model
        stands = write_sql.OfTheTables(self._standing) if is_guarded else _ONE
        told = [sa.null(), sa.case((rules.check, _ONE), else_=sa.null()), stands]
        keys: tuple[str, ...] = ()
        conversions: tuple[tuple[Place, Process], ...] = ()
        if is_shown:
            node = self._reads.planner(role).plan(ReadShape(model.name)).root
            source = source_of(model.table, held_to_caller(node.policy))
            told[0] = sql.body(ReadSql(sql, self._reads.limits).row(node, source))
            keys, conversions = keys_of(node), tuple(conversions_of(node))
        statement = prepared_writes.telling_insert(rules, columns, sql, told)
        has_key = any(column.name in model.primary_key for column in columns)
        return None if statement is None else _Kind(statement, has_key, keys, conversions)


def _is_plainly_whole(shape: ReadShape) -> bool:
    return is_whole(shape) and not (shape.filters or shape.orders or shape.pages or shape.count)


def _is_begun(connection: sa.Connection) -> bool:
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.in_transaction)
