"""`GET /admin/audit`: what happened, newest first (contract auth.md §6). Entries hold no secret."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from flask import Response

from portero.errors import AuthError
from portero.events import Happening
from portero.identity import admin
from portero.store import audit
from portero.store.audit import Entry
from portero.web.auth import paging
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import rfc3339

_KNOWN: Final = frozenset(Happening)


def get(call: Call) -> Response:
    """Answer with one page; `query=author:<id or address>` or `query=action:<name>` narrows it."""
    asked, query = paging.read(call), call.query("query") or ""
    user_id, happening = _narrowed(call, query)
    with call.identity.database.reading() as connection:
        found, total = audit.page(
            connection, offset=asked.offset, limit=asked.size, user_id=user_id, happening=happening
        )
    more = {"query": query} if query else {}
    return answer([_json(entry) for entry in found], headers=paging.headers(call.request.path, asked, total, more))


def _narrowed(call: Call, query: str) -> tuple[UUID | None, str | None]:
    scope, _, wanted = query.partition(":")
    if not query:
        return None, None
    if scope == "action" and wanted in _KNOWN:
        return None, wanted
    if scope == "author" and wanted and "\0" not in wanted:
        return _author(call, wanted), None
    raise AuthError(400, "validation_failed", "Invalid query: author:<id or address> and action:<name> are understood")


def _author(call: Call, wanted: str) -> UUID:
    """Return whom an id or a name means; an id of somebody who was deleted still has entries."""
    try:
        return UUID(wanted)
    except ValueError:
        account = admin.find(call.identity, wanted)
    return UUID(int=0) if account is None else account.user.id


def _json(entry: Entry) -> dict[str, Any]:
    event = entry.event
    payload: dict[str, Any] = {"action": event.happening.value, "timestamp": rfc3339(event.at)}
    if event.user_id is not None:
        payload["actor_id"] = str(event.user_id)
    if event.session_id is not None:
        payload["session_id"] = str(event.session_id)
    payload["traits"] = dict(event.details)
    return {
        "id": str(entry.id),
        "payload": payload,
        "created_at": rfc3339(event.at),
        "ip_address": event.address,
    }
