"""A compiled read, and how it runs: fill the slots and the caller's facts, one statement, one row.

Nothing of a caller is kept in a compiled read: `me.*` are holes filled at each execution. Obeys design hot-path.md §2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from portero.data.binds import KEYS, Codec
from portero.data.caller import ME_ID, ME_ROLE, ME_TEXT
from portero.data.conversions import Place, conversions_of, converted, forms_of
from portero.data.dialects import Sql
from portero.data.nodes import Media
from portero.data.operators import Limits
from portero.data.read_plan import ReadPlan, keys_of
from portero.data.read_sql import ReadSql
from portero.data.request import read_offset
from portero.principal import Principal
from portero.records import dataclass
from portero.store.prepared import written_out
from portero.store.sessions import NOW, SESSION_ID

_EXPLAIN = "EXPLAIN (FORMAT JSON) "
NO_FORMS: Mapping[str, str] = {}
FACTS = (ME_ID, ME_TEXT, ME_ROLE, SESSION_ID, NOW, KEYS)
#: Those of them that differ between the requests of one token.
_PASSING = frozenset({NOW, KEYS})
Process = Callable[[Any], Any]
Hole = tuple[int, str, Process | None, str | None]


@dataclass(frozen=True, slots=True, eq=False)
class CompiledRead:
    """One statement, ready for any caller of its role.

    Attributes:
        sql: the text, in the driver's paramstyle.
        template: the parameters, with the constants in place.
        codecs: (position, slot, codec) of the request's values.
        numbers: (place in the text, slot, codec) of those that stand in it.
        holes: (position, fact, process, name among the caller's `forms`) of the caller's facts.
        offset: the slot of the top's offset, or None.
        keys: the members of a row, in order (the header line of CSV).
        zone: the time zone that instants are shown in, where the database has to be told.
        conversions: places of the body whose values Python converts.
        forms: of CSV, the columns whose JSON does not show their type.
        estimate: what PostgreSQL is asked for a planned or estimated count, with its parameters as in the statement.
    """

    sql: str
    template: tuple[Any, ...]
    codecs: tuple[tuple[int, int, Codec], ...]
    holes: tuple[Hole, ...]
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


@dataclass(frozen=True, slots=True, eq=False)
class FilledRead:
    """A compiled read with the request's values in place; the caller's facts are still holes."""

    compiled: CompiledRead
    sql: str
    parameters: tuple[Any, ...]
    offset: int


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
    writer = ReadSql(sql, limits)
    compiled = _compiled(writer, writer.statement(plan, standing), plan, standing is not None)
    is_postgresql = sql.name == "postgresql"
    if plan.shape.count not in ("planned", "estimated") or not is_postgresql:
        return replace(compiled, zone=plan.shape.zone if is_postgresql else None)
    estimator = ReadSql(sql, limits)
    estimate = _compiled(estimator, estimator.estimated(plan.root), plan, False)
    return replace(compiled, zone=plan.shape.zone, estimate=replace(estimate, sql=_EXPLAIN + estimate.sql))


def _compiled(writer: ReadSql, statement: sa.Select[Any], plan: ReadPlan, is_guarded: bool) -> CompiledRead:
    sql = writer.sql
    compiled = statement.compile(dialect=sql.compiler)
    written = written_out(compiled)
    template: list[Any] = []
    codecs, holes = [], []
    for position, name in enumerate(written.names):
        process = written.processors.get(name)
        if name in writer.binds.codecs:
            slot, codec = writer.binds.codecs[name]
            codecs.append((position, slot, _chained(codec, process)))
            template.append(None)
        elif name in FACTS:
            # An instant is written anew only when it changed: the edge gives whole seconds.
            process = lru_cache(4)(process) if name == NOW and process is not None else process
            form = None if name in _PASSING else f"{sql.name} {name} {compiled.binds[name].type!r}"
            holes.append((position, name, process, form))
            template.append(None)
        else:
            value = written.values[name]
            template.append(process(value) if process is not None else value)
    return CompiledRead(
        sql=written.sql,
        template=tuple(template),
        codecs=tuple(codecs),
        holes=tuple(holes),
        offset=plan.root.offset,
        keys=keys_of(plan.root),
        media=plan.shape.media,
        is_counted=plan.shape.count is not None,
        is_guarded=is_guarded,
        numbers=tuple((name, slot, codec) for name, (slot, codec) in writer.binds.numbers.items()),
        conversions=tuple(conversions_of(plan.root)),
        forms=forms_of(plan.root) if plan.shape.media.kind == "csv" else {},
    )


def _chained(codec: Codec, process: Process | None) -> Codec:
    if process is None:
        return codec
    return lambda text: process(codec(text))


def fill(compiled: CompiledRead, values: Sequence[str]) -> FilledRead:
    """Put a request's values in place.

    Raises:
        DataError: a value that is none of its column's type, a list too long, a bad limit.
    """
    parameters = list(compiled.template)
    for position, slot, codec in compiled.codecs:
        parameters[position] = codec(values[slot])
    sql = compiled.sql
    if compiled.numbers:
        sql = _placed(sql, tuple([(name, codec(values[slot])) for name, slot, codec in compiled.numbers]))
    offset = 0 if compiled.offset is None else read_offset(values[compiled.offset])
    return FilledRead(compiled, sql, tuple(parameters), offset)


@lru_cache(1024)
def _placed(sql: str, numbers: tuple[tuple[str, int], ...]) -> str:
    """Put numbers into the text; requests that ask for the same page share one text."""
    for name, number in numbers:
        sql = sql.replace(name, f"{number:d}")
    return sql


def facts_of(principal: Principal, now: datetime) -> dict[str, Any]:
    """Give the caller's facts by the names of their holes."""
    user_id = principal.user_id
    return {
        ME_ID: user_id,
        ME_TEXT: None if user_id is None else str(user_id),
        ME_ROLE: principal.role,
        SESSION_ID: principal.session_id,
        NOW: now,
    }


def parameters_of(filled: FilledRead, principal: Principal, now: datetime, keys: str | None = None) -> Sequence[Any]:
    """Give the parameters of one execution; `keys` are those of a keyed read."""
    holes = filled.compiled.holes
    if not holes:
        return filled.parameters
    parameters, forms = list(filled.parameters), principal.forms
    for position, name, process, form in holes:
        if form is None:
            value = now if name == NOW else keys
            parameters[position] = value if process is None else process(value)
        elif form in forms:
            parameters[position] = forms[form]
        else:
            value = facts_of(principal, now)[name]
            parameters[position] = forms[form] = value if process is None else process(value)
    return parameters


def result_of(filled: FilledRead, row: Sequence[Any]) -> ResultSet:
    """Read the one row of a read."""
    compiled = filled.compiled
    body: bytes = row[0]
    if compiled.conversions:
        body = converted(body, compiled.conversions)
    total = row[2] if compiled.is_counted else None
    stands = not compiled.is_guarded or row[-1] == 1
    return ResultSet(body, row[1], total, filled.offset, compiled.keys, stands, True, compiled.forms)


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
