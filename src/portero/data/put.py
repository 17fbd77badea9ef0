"""PUT: one row, named by its whole primary key in the query and again in the body (contract data.md §4.7, §4.10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from portero.data.catalogue import Model
from portero.data.nodes import Condition, DataRequest, Page
from portero.data.payload import read_payload
from portero.data.request import read_offset
from portero.errors import DataError


def check_put(request: DataRequest, model: Model, deepest: int = 32) -> DataRequest:
    """Turn a PUT into the upsert it means; its JSON may be nested `deepest` deep.

    Raises:
        DataError: PGRST105 (405) other filters than the key's; PGRST114 (400) a page; PGRST115 (400) another key in the
            body; 42703; 22xxx.
    """
    if any(not page.path and not _is_whole(page, request) for page in request.shape.pages):
        raise DataError(400, "PGRST114", "limit/offset querystring parameters are not allowed for PUT")
    key = _key(request, model)
    request = request._replace(columns=None)  # PUT writes the whole row
    payload = read_payload(request.body, request.content_type, None, 1, deepest)
    row: Mapping[str, Any] = payload.rows[0] if len(payload.rows) == 1 else {}
    if any(row.get(name) is None or model.column(name).wire.parse_json(row[name]) != key[name] for name in key):
        raise DataError(400, "PGRST115", "Payload values do not match URL in primary key column(s)")
    preferences = replace(request.preferences, resolution="merge-duplicates")
    return request._replace(preferences=preferences, on_conflict=model.primary_key)


def _key(request: DataRequest, model: Model) -> dict[str, Any]:
    """The key's values, off `?id=eq.7`."""
    conditions = request.shape.filters
    found = {
        one.expression.field.name: request.values[one.expression.slot]
        for one in conditions
        if isinstance(one.expression, Condition)
        and not one.path
        and _is_plain_eq(one.expression)
        and one.expression.slot is not None
    }
    if len(found) != len(conditions) or set(found) != set(model.primary_key) or not found:
        message = "Filters must include all and only primary key columns with 'eq' operators"
        raise DataError(405, "PGRST105", message)
    return {name: model.column(name).wire.parse(text) for name, text in found.items()}


def _is_whole(page: Page, request: DataRequest) -> bool:
    """An offset of nothing leaves all rows."""
    return page.limit is None and page.offset is not None and read_offset(request.values[page.offset]) == 0


def _is_plain_eq(one: Condition) -> bool:
    return one.operator == "eq" and not one.is_negated and one.modifier is None and not one.field.steps
