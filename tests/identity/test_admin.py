"""What administrators do to users: audited, and what takes a right away ends the sessions at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from tests.identity.people import HOME, NOW, PASSWORD, happenings, signed_up

from portero.crypto.passwords import Passwords
from portero.errors import AuthError
from portero.identity import admin, sessions, sign_in
from portero.identity.admin import NewUser
from portero.identity.context import IdentityContext
from portero.store.tables import OwnTable

OTHER = "eight dry stones"


def refusal(call: Callable[..., Any], *args: Any, **more: Any) -> tuple[int, str]:
    with pytest.raises(AuthError) as caught:
        call(*args, **more)
    return caught.value.status, caught.value.code


def test_a_made_user_is_confirmed_and_has_an_identity(any_context: IdentityContext) -> None:
    new = NewUser(email="Ann@example.org", username="Ann", password=PASSWORD, user_metadata={"a": 1}, role="editor")
    made = admin.create(any_context, new, NOW)
    assert ("ann@example.org", "ann", "editor", NOW) == (
        made.user.email,
        made.user.username,
        made.user.role,
        made.user.email_confirmed_at,
    )
    assert {"a": 1, "email_verified": True} == made.user.user_metadata
    assert ["email"] == [identity.provider for identity in made.identities]
    assert made == admin.get(any_context, made.user.id)
    assert ["user_created"] == happenings(any_context)


def test_a_user_can_be_brought_along_with_id_and_hash(context: IdentityContext) -> None:
    stored, user_id = Passwords(1, time_cost=1, memory_cost=8).hash(PASSWORD), uuid4()
    admin.create(context, NewUser(username="ann", password_hash=stored, id=user_id), NOW)
    assert user_id == sign_in.with_password(context, "ann", PASSWORD, HOME, NOW).user.id


@pytest.mark.parametrize(
    ("expected", "new"),
    [
        ((400, "validation_failed"), NewUser()),
        ((400, "validation_failed"), NewUser(email="nobody")),
        ((400, "validation_failed"), NewUser(username="a@b")),
        ((400, "validation_failed"), NewUser(username="\u00e4nn")),
        ((400, "validation_failed"), NewUser(username="bob", role="a b")),
        ((400, "validation_failed"), NewUser(username="bob", password=PASSWORD, password_hash="x")),
        ((400, "validation_failed"), NewUser(username="bob", password_hash="$5$x")),
        ((422, "weak_password"), NewUser(username="bobby", password="bobby-2026!")),
        ((422, "email_exists"), NewUser(email="ann@EXAMPLE.org")),
        ((422, "user_already_exists"), NewUser(username="ANN")),
        ((422, "user_already_exists"), NewUser(username="ann", email="other@example.org")),
    ],
)
def test_which_users_cannot_be_made(any_context: IdentityContext, expected: tuple[int, str], new: NewUser) -> None:
    admin.create(any_context, NewUser(email="ann@example.org", username="ann"), NOW)
    assert expected == refusal(admin.create, any_context, new, NOW)


def test_users_are_found_by_every_name_they_have(context: IdentityContext) -> None:
    made = admin.create(context, NewUser(email="ann@example.org", username="ann"), NOW)
    for name in ("ANN@example.org", "Ann", str(made.user.id)):
        assert made == admin.find(context, name)
    for name in ("bob", "bob@example.org", str(uuid4())):
        assert admin.find(context, name) is None


def test_a_page_holds_the_newest_first_and_the_number_of_all(any_context: IdentityContext) -> None:
    for number in range(5):
        admin.create(any_context, NewUser(username=f"u{number}"), NOW + timedelta(seconds=number))
    found = admin.page(any_context, number=2, size=2)
    assert 5 == found.total
    assert ["u2", "u1"] == [account.user.username for account in found.accounts]
    assert () == admin.page(any_context, number=4, size=2).accounts


@pytest.mark.parametrize(("number", "size"), [(0, 50), (1, 0), (1, 1001), (-1, 5)])
def test_pages_start_at_one_and_end_at_a_thousand(context: IdentityContext, number: int, size: int) -> None:
    assert (400, "validation_failed") == refusal(admin.page, context, number=number, size=size)


TAKEN_AWAY: list[tuple[str, Callable[[IdentityContext, UUID], Any]]] = [
    ("user_banned", lambda context, user_id: admin.ban(context, user_id, NOW)),
    ("user_deleted", lambda context, user_id: admin.delete(context, user_id, NOW)),
    ("password_changed", lambda context, user_id: admin.set_password(context, user_id, OTHER, NOW)),
    ("role_changed", lambda context, user_id: admin.set_role(context, user_id, "editor", NOW)),
    ("session_ended", lambda context, user_id: admin.end_sessions(context, user_id, NOW)),
]


@pytest.mark.parametrize(("happening", "take_away"), TAKEN_AWAY)
def test_what_takes_a_right_away_ends_the_sessions_and_is_audited(
    any_context: IdentityContext, happening: str, take_away: Callable[[IdentityContext, UUID], Any]
) -> None:
    """Threats SE-04, SE-05, SE-07: in one transaction, so no token outlives the right it was given for."""
    ann, bob = signed_up(any_context), signed_up(any_context, "bob@example.org")
    take_away(any_context, ann.user.id)
    with pytest.raises(AuthError):
        sessions.refresh(any_context, ann.refresh_token, HOME, NOW)
    assert sessions.refresh(any_context, bob.refresh_token, HOME, NOW).user.id == bob.user.id
    assert {happening, "session_ended"} <= set(happenings(any_context))


EVERY = [
    *(take_away for _, take_away in TAKEN_AWAY),
    admin.get,
    lambda context, user_id: admin.unban(context, user_id, NOW),
    lambda context, user_id: admin.set_metadata(context, user_id, NOW, app_metadata={}),
]


@pytest.mark.parametrize("call", EVERY)
def test_nobody_is_not_found(context: IdentityContext, call: Callable[[IdentityContext, UUID], Any]) -> None:
    assert (404, "user_not_found") == refusal(call, context, uuid4())
    assert [] == happenings(context)


def test_a_deleted_address_is_free_and_its_id_is_not(context: IdentityContext) -> None:
    """Threats SE-05: who registers the address again is somebody else."""
    ann = signed_up(context)
    admin.delete(context, ann.user.id, NOW)
    assert ann.user.id != signed_up(context).user.id


def test_a_user_whom_rows_of_the_application_refer_to_is_not_deleted(any_context: IdentityContext) -> None:
    """The database says no; the sessions stand as before, because it was one transaction."""
    ann = signed_up(any_context)
    metadata = sa.MetaData()
    OwnTable.metadata.tables["portero_users"].to_metadata(metadata)
    notes = sa.Table(
        "notes", metadata, sa.Column("owner_id", sa.Uuid, sa.ForeignKey("portero_users.id", ondelete="RESTRICT"))
    )
    with any_context.database.writing() as connection:
        notes.create(connection)
        connection.execute(sa.insert(notes).values(owner_id=ann.user.id))
    assert (409, "conflict") == refusal(admin.delete, any_context, ann.user.id, NOW)
    assert sessions.refresh(any_context, ann.refresh_token, HOME, NOW).user.id == ann.user.id


def test_a_ban_lasts_as_long_as_it_was_given_for(context: IdentityContext) -> None:
    ann = signed_up(context)
    assert NOW + timedelta(hours=1) == admin.ban(context, ann.user.id, NOW, timedelta(hours=1)).user.banned_until
    assert admin.unban(context, ann.user.id, NOW).user.banned_until is None
    assert ann.user.id == sign_in.with_password(context, "ann@example.org", PASSWORD, HOME, NOW).user.id
    assert (400, "validation_failed") == refusal(admin.ban, context, ann.user.id, NOW, timedelta(0))


def test_a_password_set_by_an_administrator_is_judged_like_anybodys(context: IdentityContext) -> None:
    ann = signed_up(context)
    assert (422, "weak_password") == refusal(admin.set_password, context, ann.user.id, "password1", NOW)
    assert (400, "validation_failed") == refusal(admin.set_role, context, ann.user.id, "", NOW)


def test_metadata_is_merged_and_sessions_stand(any_context: IdentityContext) -> None:
    ann = signed_up(any_context)
    changes: dict[str, Any] = {"app_metadata": {"org": 7, "providers": None}, "user_metadata": {"colour": "red"}}
    found = admin.set_metadata(any_context, ann.user.id, NOW, **changes).user
    assert {"provider": "email", "org": 7} == found.app_metadata
    assert "red" == found.user_metadata["colour"]
    assert sessions.refresh(any_context, ann.refresh_token, HOME, NOW).user.app_metadata["org"] == 7
