"""What a read would do, told instead of done: its plan, the policy of each node, the SQL, and the database's own plan.

For the developer at the command line; nothing here answers a request. The statement is the very one that a request of
this role runs; the database is asked to explain it, not to run it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from portero.data.caller import ME_ID, ME_ROLE
from portero.data.execute import parameters_of
from portero.data.nodes import HttpRequest
from portero.data.parameters import FACTS
from portero.data.pipeline import DataApi
from portero.data.read_plan import PlannedEmbed, PlannedNode
from portero.data.request import READ_METHODS, read_request
from portero.errors import DataError
from portero.principal import Principal
from portero.records import dataclass
from portero.store.prepared import written_out

_NAMES = {ME_ID: "me.id", ME_ROLE: "me.role"}


@dataclass(frozen=True, slots=True)
class NodeTold:
    """One place of the answer.

    Attributes:
        depth: 0 for the top.
        name: its key in the answer.
        kind: what it is: the model, the relation, the page.
        policies: (model, condition in SQL); of a many-to-many embed the junction's too.
        asked: how many conditions and orders the request put on it.
    """

    depth: int
    name: str
    kind: str
    policies: tuple[tuple[str, str], ...]
    asked: str


@dataclass(frozen=True, slots=True)
class Told:
    """A read, told; `steps` are the lines of the database's plan, indented as it nests them."""

    nodes: tuple[NodeTold, ...]
    sql: str
    parameters: tuple[Any, ...]
    steps: tuple[str, ...]


def explain(api: DataApi, http: HttpRequest, principal: Principal, now: datetime) -> Told:
    """Tell what a read would do for a caller.

    Args:
        api: the data API.
        http: a GET or HEAD.
        principal: the caller; the session's column is in the statement for every user, as in a request.
        now: aware UTC.

    Raises:
        DataError: as the read; PGRST117 (405) it is none.
    """
    if http.method not in READ_METHODS:
        raise DataError(405, "PGRST117", f"Only GET and HEAD can be explained, not {http.method[:20]}")
    request = read_request(http, api.settings)
    plan = api.reads.planner(principal.role).plan(request.shape)
    filled = api.reads.prepare(http, principal.role, guarded=principal.user_id is not None).filled
    parameters = tuple(parameters_of(filled, principal, now))
    sql = filled.sql
    return Told(
        nodes=tuple(_told(api, plan.root, 0, plan.root.model.name, None)),
        sql=sql,
        parameters=parameters,
        steps=tuple(_steps(api, sql, parameters)),
    )


def _told(api: DataApi, node: PlannedNode, depth: int, name: str, embed: PlannedEmbed | None) -> Iterator[NodeTold]:
    policies = [(node.model.name, condition_text(node.policy, node.model.table, api))]
    if embed is None:
        kind = f"{node.model.name}, at most {node.most} rows"
    else:
        kind = f"{node.model.name}, {embed.relation.cardinality}{', inner' if embed.is_inner else ''}"
        if embed.junction is not None and embed.junction_policy is not None:
            junction = embed.junction
            policies.append((junction.name, condition_text(embed.junction_policy, junction.table, api)))
    asked = f"conditions: {len(node.filters)}, orders: {len(node.orders)}"
    yield NodeTold(depth, name, kind, tuple(policies), asked)
    for each in node.embeds:
        yield from _told(api, each.node, depth + 1, each.key, each)


def condition_text(clause: sa.ColumnElement[Any], table: sa.Table, api: DataApi) -> str:
    """Write a policy's condition on a table in SQL, the caller's facts as `me.id` and `me.role`, constants in place.

    It is compiled within a statement that reads the table, as it is run: its subqueries then refer to that row.
    """
    if isinstance(clause, sa.True_):
        return "TRUE"
    kind: Any = sa.make_url(f"{api.catalogue.dialect}://").get_dialect()
    dialect = kind(paramstyle="named")
    whole: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(table).where(clause)
    written = written_out(whole.compile(dialect=dialect))
    text = written.sql.partition("WHERE ")[2]
    for name in sorted(written.values, key=len, reverse=True):
        value = _NAMES.get(name, name) if name in FACTS else repr(written.values[name])
        text = text.replace(f":{name}", value)
    return " ".join(text.split())


def _steps(api: DataApi, sql: str, parameters: tuple[Any, ...]) -> Iterator[str]:
    """Ask the database how it would go about it."""
    if api.catalogue.dialect == "postgresql":
        yield from (str(row[0]) for row in api.database.fetch_all("EXPLAIN " + sql, parameters))
        return
    depths = {0: -1}
    for step, parent, _, detail in api.database.fetch_all("EXPLAIN QUERY PLAN " + sql, parameters):
        depths[step] = depths.get(parent, -1) + 1
        yield "  " * depths[step] + str(detail)
