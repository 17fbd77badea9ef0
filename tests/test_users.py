"""`portero.users`: what a developer's own code does to users, in an application context."""

from __future__ import annotations

from uuid import uuid4

import pytest
from tests.identity.people import PASSWORD
from tests.web.callers import Api, code_of
from tests.web.conftest import Make, any_api, api, make  # noqa: F401 - fixtures
from tests.web.test_factors import ann_on

import portero
from portero import AuthError
from portero.crypto.passwords import Passwords


def test_a_user_is_brought_along_with_id_and_hash_and_changed_in_one_go(any_api: Api) -> None:  # noqa: F811
    with any_api.app.app_context():
        stored, user_id = Passwords(1, time_cost=1, memory_cost=8).hash(PASSWORD), uuid4()
        made = portero.users.create(email="ann@example.org", password_hash=stored, id=user_id, email_confirm=False)
        assert (user_id, None) == (made.id, made.email_confirmed_at)
        changed = portero.users.update(
            user_id, email="new@example.org", email_confirm=True, role="editor", app_metadata={"org": 7}
        )
        assert ("new@example.org", "editor", 7) == (changed.email, changed.role, changed.app_metadata["org"])
        assert portero.sign_in("new@example.org", PASSWORD).user.id == user_id


def test_sessions_are_seen_and_ended_one_by_one(any_api: Api) -> None:  # noqa: F811
    """Threats SE-16: a session of somebody else is not there."""
    first, second = any_api.sign_up(), any_api.sign_in().get_json()
    with any_api.app.app_context():
        user = portero.users.find("ann@example.org")
        bob = portero.users.create(email="bob@example.org")
        assert user is not None
        newest, oldest = portero.users.sessions(user.id)
        with pytest.raises(AuthError, match="session_not_found"):
            portero.users.end_session(bob.id, oldest.id)
        portero.users.end_session(user.id, oldest.id)
        assert [newest] == list(portero.users.sessions(user.id))
    assert (403, "session_not_found") == code_of(any_api.call("GET", "/user", token=first["access_token"]))
    assert 200 == any_api.call("GET", "/user", token=second["access_token"]).status_code


def test_a_lost_factor_is_removed(api: Api) -> None:  # noqa: F811
    ann = ann_on(api).raised()
    with api.app.app_context():
        user = portero.users.find("ann@example.org")
        assert user is not None
        (factor,) = portero.users.factors(user.id)
        assert factor.id == portero.users.remove_factor(user.id, factor.id).id
        assert () == portero.users.factors(user.id)
    assert "factors" not in ann.user()


def test_links_are_mailed_or_handed_over(api: Api) -> None:  # noqa: F811
    with api.app.app_context():
        invited = portero.users.invite("ann@example.org", data={"team": 7})
        assert 7 == invited.user_metadata["team"]
        link = portero.users.generate_link("recovery", "ann@example.org", redirect_to="http://127.0.0.1:8000/new")
    assert ["invite"] == [mail.kind for mail in api.mails]
    assert api.follow(link.issued.url).headers["Location"].startswith("http://127.0.0.1:8000/new#access_token=")


def test_a_softly_deleted_user_keeps_the_row(api: Api) -> None:  # noqa: F811
    with api.app.app_context():
        made = portero.users.create(email="ann@example.org")
        portero.users.delete(made.id, softly=True)
        left = portero.users.find(str(made.id))
        assert left is not None and left.deleted_at is not None
        assert portero.users.create(email="ann@example.org").id != made.id
