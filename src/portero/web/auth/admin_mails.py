"""`/admin/mails`: what became of mails, and once more; an extension (auth.md §7). No text and no address leaves."""

from __future__ import annotations

from typing import Any

from flask import Response

from portero.errors import AuthError
from portero.store import outbox
from portero.store.outbox import OutgoingMailRecord, State
from portero.web.auth import paging
from portero.web.auth.call import Call, answer
from portero.web.auth.shapes import rfc3339


def get(call: Call) -> Response:
    """Answer with one page, newest first; `state` is waiting, failed or sent."""
    asked, state = paging.read(call), call.query("state") or ""
    if state and state not in outbox.STATES:
        raise AuthError(400, "validation_failed", f"state is one of {', '.join(outbox.STATES)}")
    wanted: State | None = state or None
    with call.runtime.database.reading() as connection:
        found = outbox.page(connection, wanted, offset=asked.offset, limit=asked.size)
        counts = outbox.counts(connection)
    total = sum(counts.values()) if wanted is None else counts[wanted]
    headers = paging.headers(call.request.path, asked, total, {"state": state} if state else {})
    return answer({"mails": [_json(record) for record in found], "counts": counts}, headers=headers)


def retry(call: Call) -> Response:
    """Make one due now that waits or was given up."""
    with call.runtime.database.writing() as connection:
        count = outbox.retry(connection, call.now, call.path_id("mail_id"))
    if not count:
        raise AuthError(404, "validation_failed", "There is no such mail that waits or failed and is worth sending")
    call.identity.mail_bell.ring()
    return answer({})


def _json(record: OutgoingMailRecord) -> dict[str, Any]:
    instants = {
        name: getattr(record, name) for name in ("created_at", "expires_at", "next_try_at", "sent_at", "failed_at")
    }
    return {
        "id": str(record.id),
        "kind": record.kind,
        "user_id": None if record.user_id is None else str(record.user_id),
        "state": record.state,
        "tries": record.tries,
        "last_fault": record.last_fault,
        **{name: None if at is None else rfc3339(at) for name, at in instants.items()},
    }
