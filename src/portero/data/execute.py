"""A compiled read, and how it runs: fill the slots and the caller's facts, one statement, one row.

Nothing of a caller is kept in a compiled read: `me.*` are put in at each execution. Obeys docs/explanation/speed.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from portero.data.binds import Codec
from portero.data.conversions import Place, conversions_of, converted, forms_of
from portero.data.dialects import Sql
from portero.data.nodes import Media
from portero.data.operators import Limits
from portero.data.parameters import Layout, Parameters, Process, layout_of
from portero.data.read_plan import ReadPlan, keys_of
from portero.data.read_sql import ReadSql
from portero.data.read_statement import rows_to_estimate, statement_of
from portero.data.request import read_offset
from portero.figures import kept
from portero.principal import Principal
from portero.records import dataclass, new_tuple
from portero.store.documents import document
from portero.store.long_statements import LONGEST_KEPT
from portero.store.prepared import written_out

Headers = tuple[tuple[str, str], ...]
_EXPLAIN = "EXPLAIN (FORMAT JSON) "
NO_FORMS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRead:
    """One statement, ready for any caller of its role.

    Attributes:
        sql: the text, in the driver's paramstyle.
        layout: its parameters.
        numbers: (place in the text, slot, codec) of those of the request's values that stand in it.
        offset: the slot of the top's offset, or None.
        keys: the members of a row, in order (the header line of CSV).
        zone: the time zone that instants are shown in, where the database has to be told.
        conversions: places of the body whose values Python converts.
        forms: of CSV, the columns whose JSON does not show their type.
        estimate: what PostgreSQL is asked for a planned or estimated count, with its parameters as in the statement.
        weight: about how many bytes all of it holds.
    """

    sql: str
    layout: Layout
    offset: int | None
    keys: tuple[str, ...]
    media: Media
    is_counted: bool
    is_guarded: bool
    numbers: tuple[tuple[str, int, Codec], ...] = ()
    zone: str | None = None
    conversions: tuple[tuple[Place, Process], ...] = ()
    forms: Mapping[str, str] = field(default_factory=dict)
    estimate: CompiledRead | None = None
    weight: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class FilledRead:
    """A compiled read with the request's values in place; the caller's facts are still to come."""

    compiled: CompiledRead
    sql: str
    parameters: Parameters
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRead:
    """One read, ready to run for any caller of its role.

    Attributes:
        headers: those the request alone decides.
        estimate: what PostgreSQL's planner is asked for a count that need not be exact.
        is_row: it may give one whole row, which then has a version.
    """

    filled: FilledRead
    media: Media
    headers: Headers
    estimate: FilledRead | None = None
    is_row: bool = False


class ResultSet(NamedTuple):
    """What the one row said.

    Attributes:
        body: the JSON array.
        size: rows in it.
        total: rows without the page, or None if nobody asked.
        offset: where the page begins.
        keys: the members of a row, in order.
        stands: the caller's session stands (True for callers without one).
        is_exact: `total` was counted, not estimated.
        forms: as of `CompiledRead`.
    """

    body: bytes
    size: int
    total: int | None
    offset: int
    keys: tuple[str, ...] = ()
    stands: bool = True
    is_exact: bool = True
    forms: Mapping[str, str] = NO_FORMS


def compile_read(plan: ReadPlan, sql: Sql, limits: Limits, standing: sa.ColumnElement[Any] | None) -> CompiledRead:
    """Turn a plan into SQL text with codecs and holes.

    Raises:
        DataError: an operator or cast that is not served.
    """
    writer = ReadSql(sql, limits, zone=plan.shape.zone, counts=plan.shape.count == "exact")
    compiled = _compiled(writer, statement_of(writer, plan, standing), plan, standing is not None)
    is_postgresql = sql.name == "postgresql"
    if plan.shape.count not in ("planned", "estimated") or not is_postgresql:
        return replace(compiled, zone=plan.shape.zone if is_postgresql else None)
    estimator = ReadSql(sql, limits)
    estimate = _compiled(estimator, rows_to_estimate(estimator, plan.root), plan, False)
    return replace(compiled, zone=plan.shape.zone, estimate=replace(estimate, sql=_EXPLAIN + estimate.sql))


def _compiled(writer: ReadSql, statement: sa.Select[Any], plan: ReadPlan, is_guarded: bool) -> CompiledRead:
    sql = writer.sql
    compiled = statement.compile(dialect=sql.compiler)
    written = written_out(compiled)
    return CompiledRead(
        sql=written.sql,
        layout=layout_of(written, writer.binds, compiled),
        offset=plan.root.offset,
        keys=keys_of(plan.root),
        media=plan.shape.media,
        is_counted=plan.shape.count is not None,
        is_guarded=is_guarded,
        numbers=tuple((name, slot, codec) for name, (slot, codec) in writer.binds.numbers.items()),
        conversions=tuple(conversions_of(plan.root)),
        forms=forms_of(plan.root) if plan.shape.media.kind == "csv" else {},
    )


def fill(compiled: CompiledRead, values: Sequence[str]) -> FilledRead:
    """Put a request's values in place.

    Raises:
        DataError: a value that is none of its column's type, a list too long, a bad limit.
    """
    parameters = compiled.layout.filled(values)
    sql = compiled.sql
    if compiled.numbers:
        place = _placed if len(sql) <= LONGEST_KEPT else _placed.__wrapped__
        sql = place(sql, tuple([(name, codec(values[slot])) for name, slot, codec in compiled.numbers]))
    offset = 0 if compiled.offset is None else read_offset(values[compiled.offset])
    return FilledRead(compiled, sql, parameters, offset)


@kept("placed_numbers", 1024)
def _placed(sql: str, numbers: tuple[tuple[str, int], ...]) -> str:
    """Put numbers into the text; requests that ask for the same page share one text."""
    for name, number in numbers:
        sql = sql.replace(name, f"{number:d}")
    return sql


def parameters_of(filled: FilledRead, principal: Principal, now: datetime, keys: str | None = None) -> Parameters:
    """Give the parameters of one execution; `keys` are those of a keyed read."""
    return filled.compiled.layout.complete(filled.parameters, principal, now, keys)


def result_of(filled: FilledRead, row: Sequence[Any]) -> ResultSet:
    """Read the one row of a read."""
    compiled = filled.compiled
    body: bytes = row[0]
    if compiled.conversions:
        body = converted(body, compiled.conversions)
    total = row[2] if compiled.is_counted else None
    stands = not compiled.is_guarded or row[-1] == 1
    made = (body, row[1], total, filled.offset, compiled.keys, stands, True, compiled.forms)
    return new_tuple(ResultSet, made)


def run_on(
    connection: sa.Connection,
    filled: FilledRead,
    principal: Principal,
    now: datetime,
    keys: str | None = None,
    *,
    prepares: bool = True,
) -> ResultSet:
    """Run a read inside the connection's transaction, which keeps the read's time zone.

    Args:
        connection: one of the database's own.
        filled: the read.
        principal: who asks.
        now: aware UTC.
        keys: those of a keyed read.
        prepares: as for `documents.document`.

    Raises:
        sqlalchemy.exc.DBAPIError: as the database says it; `refusal_of_read` names it.
        DatabaseUnavailable: the connection was lost.
    """
    if filled.compiled.zone is not None:
        set_zone(connection, filled.compiled.zone)
    parameters = parameters_of(filled, principal, now, keys)
    return result_of(filled, document(connection, filled.sql, parameters, prepares=prepares))


def run_prepared_on(
    connection: sa.Connection, prepared: PreparedRead, principal: Principal, now: datetime, most: int
) -> ResultSet:
    """Run a read and the estimate it asks for, as `run_on`; `most` as for `planned_total`.

    Raises:
        sqlalchemy.exc.DBAPIError: as `run_on`.
        DatabaseUnavailable: as `run_on`.
    """
    result = run_on(connection, prepared.filled, principal, now, prepares=False)
    if prepared.estimate is None:
        return result
    parameters = tuple(parameters_of(prepared.estimate, principal, now))
    return estimated(result, connection.exec_driver_sql(prepared.estimate.sql, parameters).scalar(), most)


def set_zone(connection: sa.Connection, zone: str) -> None:
    """Let this transaction on PostgreSQL show instants in a zone."""
    connection.execute(sa.select(sa.func.set_config("TimeZone", zone, True)))


def estimated(result: ResultSet, plan: Any, most: int) -> ResultSet:
    """Let the result say what PostgreSQL's planner thinks of the number of rows; as `planned_total`."""
    return result._replace(total=planned_total(result.total, plan, most), is_exact=False)


def planned_total(total: int | None, plan: Any, most: int) -> int:
    """Choose what a planned or estimated count says.

    >>> planned_total(None, [{"Plan": {"Plan Rows": 70}}], 0)
    70
    >>> planned_total(12, [{"Plan": {"Plan Rows": 70}}], 1000), planned_total(1001, [{"Plan": {"Plan Rows": 70}}], 1000)
    (12, 1001)

    Args:
        total: rows counted, up to one more than `most`; None where nothing was counted (`planned`).
        plan: what PostgreSQL's EXPLAIN gave.
        most: up to so many rows an estimated count is exact.
    """
    planned = int(plan[0]["Plan"]["Plan Rows"])
    if total is None:
        return planned
    return total if total <= most else max(total, planned)
