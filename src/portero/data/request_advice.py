"""Which columns callers filter and order by without an index: for `portero doctor --requests`.

Requests are taken as they were sent, from an access log or a list, and only read: the database is asked which indexes
it has, and no request is run. Of conditions that must all hold one with an index is enough, as it is if the policy
finds the caller's rows by one; what no ordinary index serves (`neq`, `not`, `ilike`, places in documents) is passed
over. The numbers are of requests, so that what is asked most stands first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import Any, Final
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy.sql import operators

from portero.data.catalogue import Catalogue, Model
from portero.data.index_advice import first_columns, looked_up
from portero.data.nodes import Condition, HttpRequest
from portero.data.policy import Verb
from portero.data.read_plan import PlannedCondition, PlannedExpression, PlannedNode, PlannedTree, Planner
from portero.data.request import read_request
from portero.errors import DataError
from portero.principal import SERVICE_ROLE
from portero.records import dataclass
from portero.settings import Settings

#: What an index on the column serves; a pattern only if it begins with what it looks for.
_SERVED: Final = frozenset({"eq", "in", "gt", "gte", "lt", "lte", "is"})
_REQUEST: Final = re.compile(r"(?:\b(GET|HEAD|PATCH|DELETE)\s+)?(?<![\w/])(/[^\s\"]*)")
_MOST_LINES: Final = 1_000_000
_MOST_KINDS: Final = 10_000


@dataclass(slots=True)
class Advice:
    """What a list of requests came to.

    Attributes:
        sentences: what has no index, most asked first.
        read: lines that held a request to a table.
        passed_over: lines that held none, or one that is refused.
    """

    sentences: list[str] = field(default_factory=list)
    read: int = 0
    passed_over: int = 0


def advice_of(catalogue: Catalogue, connection: sa.Connection, settings: Settings, lines: Iterable[str]) -> Advice:
    """Look through requests.

    Args:
        catalogue: the exposed models.
        connection: to ask for indexes.
        settings: where the data API is served, and its limits.
        lines: an access log, or requests such as `GET /rest/v1/notes?title=eq.x` or `/notes?order=at.desc`.
    """
    advice = Advice()
    wanted: Counter[tuple[str, str, str]] = Counter()
    planner = Planner(catalogue, SERVICE_ROLE, settings.max_rows, aggregates=True)
    for http, count in _counted(lines, settings.data_path, advice).items():
        try:
            root = planner.plan(read_request(http, settings).shape).root
        except DataError:
            advice.passed_over += count
            continue
        advice.read += count
        for each in _unserved(root, connection):
            wanted[each] += count
    for (table, column, what), count in wanted.most_common():
        who = f"1 request {what}s" if count == 1 else f"{count} requests {what}"
        advice.sentences.append(f"No index on {table}.{column}: {who} by it. Say index=True, and write a migration")
    return advice


def _counted(lines: Iterable[str], mount: str, advice: Advice) -> Counter[HttpRequest]:
    """Count requests that are the same; values make many kinds, of which only so many are kept."""
    found: Counter[HttpRequest] = Counter()
    for _, line in zip(range(_MOST_LINES), lines, strict=False):
        request = _request(line, mount)
        if request is None or (request not in found and len(found) >= _MOST_KINDS):
            advice.passed_over += bool(line.strip())
        else:
            found[request] += 1
    return found


def _request(line: str, mount: str) -> HttpRequest | None:
    """Find the request in a line; the filters of a write are read as those of a read."""
    match = _REQUEST.search(line)
    if match is None:
        return None
    path, _, query = match[2].partition("?")
    is_logged = path.startswith(f"{mount}/")
    if not is_logged and match[1] is None and not line.strip().startswith("/"):
        return None
    name = unquote(path.removeprefix(mount) if is_logged else path)
    return None if name.startswith(("/rpc/", "/-/")) or name == "/" else HttpRequest("GET", name, query)


def _unserved(node: PlannedNode, connection: sa.Connection) -> Iterator[tuple[str, str, str]]:
    """Give (table, column, what is done with it) of a node's filters and first order.

    An embed finds its rows by the relation, whose index `missing_indexes` looks for: its filters come after.
    """
    served = first_columns(node.model.table, connection)
    filtered = list(_conjuncts(node.filters))
    alternatives = [set(each) for each in filtered]
    held = _policy_columns(node.model)
    if not (served & held or any(each <= served for each in alternatives)):
        names = dict.fromkeys(name for each in filtered for name in each if name not in served)
        yield from ((str(node.model.table.name), name, "filter") for name in names)
        first = node.orders[0] if node.orders and not filtered else None
        if first is not None and not first.steps and first.embed is None and first.column.name not in served:
            yield str(node.model.table.name), first.column.name, "order"


def _conjuncts(filters: Sequence[PlannedExpression]) -> Iterator[tuple[str, ...]]:
    """Give, of each condition that must hold, the columns that all need an index for it to be served by one."""
    for one in filters:
        if isinstance(one, PlannedCondition):
            if _is_servable(one.condition):
                yield (one.column.name,)
        elif isinstance(one, PlannedTree) and not one.is_negated:
            if one.joiner == "and":
                yield from _conjuncts(one.operands)
                continue
            inside = [list(_conjuncts([operand])) for operand in one.operands]
            if all(inside):
                yield tuple(dict.fromkeys(name for each in inside for name in each[0]))


def _is_servable(condition: Condition) -> bool:
    is_plain = not condition.is_negated and not condition.field.steps and condition.modifier is None
    return is_plain and condition.operator in _SERVED


def _policy_columns(model: Model) -> set[str]:
    """The columns by which the select policy finds the caller's rows, where it must hold: not of `a | b`."""
    clause = model.policies.select
    parts: list[Any] = [clause]
    if isinstance(clause, sa.sql.elements.BooleanClauseList) and clause.operator is operators.and_:
        parts = list(clause.clauses)
    plain = [part for part in parts if isinstance(part, sa.BinaryExpression)]
    found = [each for part in plain for each in looked_up(model, Verb.SELECT, part)]
    return {name for each in found if each.table is model.table for name in each.columns}
