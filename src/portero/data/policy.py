"""Which rows who may read and write: policies as SQLAlchemy expressions over the row and the caller.

`expose` marks a model and holds no application state. At freeze every policy is called once, under a guard that turns
truth-testing a clause (`and`, `or`, `not`, `if`, `in`) into an error. The caller's facts are bound parameters or
subqueries on the caller's own row, so that one statement serves all callers. Nothing here executes SQL.

Obeys design house.md §4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

import sqlalchemy as sa

ME_ID: Final = "portero_me_id"
ME_ROLE: Final = "portero_me_role"

Clause = sa.ColumnElement[bool]
Policy = Callable[[Any], Clause]
T = TypeVar("T", bound=type)


class Verb(StrEnum):
    """What a policy is about."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """What `expose` or `expose_table` says about one model; policies are not evaluated yet."""

    target: type | sa.Table
    policies: Mapping[Verb, Policy]
    fill: Mapping[str, Any]
    hidden: tuple[str, ...]
    name: str | None
    columns: tuple[str, ...] | None
    max_rows: int | None
    aggregates: bool | None
    require_write_filter: bool | None


@dataclass(frozen=True, slots=True, eq=False)
class Policies:
    """The evaluated policies of one model: expressions over its own table, None where a verb has no policy."""

    select: Clause | None
    insert: Clause | None
    update: Clause | None
    delete: Clause | None

    def of(self, verb: Verb, role: str) -> Clause:
        """Give the condition for a caller of this role: TRUE for `service_role`, the policy for everybody else.

        Raises:
            DataError: 42501 (403; 401 for `anon`): the verb has no policy.
        """
        raise NotImplementedError
