"""`/admin/users`: what administrators do to users (contract auth.md §6). The gate has judged who asks."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from flask import Response

from portero.errors import AuthError
from portero.identity import admin, admin_update, mfa, sessions, soft_deletion
from portero.identity.admin import NewUser
from portero.identity.admin_update import Changes
from portero.principal import AUTHENTICATED
from portero.web.auth import body, paging
from portero.web.auth.body import Body
from portero.web.auth.call import Call, answer
from portero.web.auth.durations import go_duration
from portero.web.auth.shapes import factor_json, listed_session_json, user_json

_SORTS: Final = {"": False, "created_at": False, "created_at desc": False, "created_at asc": True}
_NIL: Final = UUID(int=0)


def page(call: Call) -> Response:
    """Answer with one page of users, newest first; `filter`, `email` and `sort` narrow and turn it."""
    asked = paging.read(call)
    more = {name: call.query(name) or "" for name in ("filter", "email", "sort")}
    if more["sort"] not in _SORTS:
        raise AuthError(400, "validation_failed", "Bad Sort Parameters: users are sorted by created_at asc or desc")
    found = admin.page(
        call.identity,
        number=asked.number,
        size=asked.size,
        holding=_no_nul(more["filter"]),
        email=_no_nul(more["email"]) or None,
        oldest_first=_SORTS[more["sort"]],
    )
    kept = {name: value for name, value in more.items() if value}
    shown = {"users": [user_json(account) for account in found.accounts], "aud": AUTHENTICATED}
    return answer(shown, headers=paging.headers(call.request.path, asked, found.total, kept))


def create(call: Call) -> Response:
    """Make a user; nothing is mailed."""
    given = body.read(call.request)
    ban = _ban(given)
    new = NewUser(
        id=_new_id(given),
        aud=given.text("aud") or AUTHENTICATED,
        role=given.text("role") or AUTHENTICATED,
        email=given.text("email"),
        phone=given.text("phone"),
        password=given.text("password"),
        password_hash=given.text("password_hash"),
        email_confirm=given.flag("email_confirm", default=False),
        phone_confirm=given.flag("phone_confirm", default=False),
        user_metadata=given.mapping("user_metadata") or {},
        app_metadata=given.mapping("app_metadata") or {},
        banned_until=call.now + min(ban, admin.FOREVER) if isinstance(ban, timedelta) else None,
        judge_password=False,
    )
    return answer(user_json(admin.create(call.identity, new, call.now, call.caller)))


def get(call: Call) -> Response:
    """Answer with a user."""
    return answer(user_json(admin.get(call.identity, call.path_id("user_id"))))


def put(call: Call) -> Response:
    """Change a user."""
    user_id, given = call.path_id("user_id"), body.read(call.request)
    wanted = Changes(
        email=given.text("email"),
        email_confirm=given.flag("email_confirm", default=False),
        phone=given.text("phone"),
        phone_confirm=given.flag("phone_confirm", default=False),
        password=given.text("password"),
        password_hash=given.text("password_hash"),
        role=given.text("role") or None,
        user_metadata=given.mapping("user_metadata"),
        app_metadata=given.mapping("app_metadata"),
        ban=_ban(given),
    )
    return answer(user_json(admin_update.update(call.identity, user_id, wanted, call.caller, call.now)))


def delete(call: Call) -> Response:
    """Delete a user, or with `should_soft_delete` everything about them but the row."""
    user_id, given = call.path_id("user_id"), body.read_optional(call.request)
    if given.flag("should_soft_delete", default=False):
        soft_deletion.delete_softly(call.identity, user_id, call.caller, call.now)
    else:
        admin.delete(call.identity, user_id, call.now)
    return answer({})


def factors(call: Call) -> Response:
    """Answer with a user's factors; an empty list where there are none."""
    account = admin.get(call.identity, call.path_id("user_id"))
    return answer([factor_json(factor) for factor in account.factors])


def delete_factor(call: Call) -> Response:
    """Remove a user's factor and answer with what it was; sessions it raised fall back to aal1."""
    user_id, factor_id = call.path_id("user_id"), call.path_id("factor_id")
    return answer(factor_json(mfa.remove(call.identity, user_id, factor_id, call.now)))


def put_factor(call: Call) -> Response:
    """Give a user's factor another name and answer with it."""
    user_id, factor_id = call.path_id("user_id"), call.path_id("factor_id")
    name = body.read(call.request).text("friendly_name")
    if name is None:
        raise AuthError(400, "validation_failed", "friendly_name is what can be changed")
    return answer(factor_json(mfa.rename(call.identity, user_id, factor_id, name, call.now)))


def list_sessions(call: Call) -> Response:
    """Answer with a user's sessions, newest first."""
    found = sessions.of_user(call.identity, admin.get(call.identity, call.path_id("user_id")).user.id, call.now)
    return answer([listed_session_json(session) for session in found])


def end_session(call: Call) -> Response:
    """End one session of a user."""
    sessions.end_one(call.identity, call.path_id("user_id"), call.path_id("session_id"), call.caller, call.now)
    return answer({})


def end_sessions(call: Call) -> Response:
    """End all sessions of a user."""
    admin.end_sessions(call.identity, call.path_id("user_id"), call.now)
    return answer({})


def _new_id(given: Body) -> UUID | None:
    text = given.text("id")
    if not text:
        return None
    try:
        found = UUID(text)
    except ValueError:
        raise AuthError(400, "validation_failed", "ID must conform to the uuid v4 format") from None
    if found == _NIL:
        raise AuthError(400, "validation_failed", "ID cannot be a nil uuid")
    return found


def _ban(given: Body) -> timedelta | Literal["none"] | None:
    text = given.text("ban_duration")
    if not text:
        return None
    return "none" if text == "none" else go_duration(text)


def _no_nul(text: str) -> str:
    """Refuse what no text of a database holds.

    Raises:
        AuthError: 400 validation_failed.
    """
    if "\0" in text:
        raise AuthError(400, "validation_failed", "A text of the query holds a NUL character")
    return text
