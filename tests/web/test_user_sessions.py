"""`/user/sessions`: what a user sees of the own sessions, and how they end: by hand, by time, by a newer one."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from tests.identity.people import happenings
from tests.web.callers import Api, code_of, now
from tests.web.conftest import Make
from tests.web.test_auth import AN_ID, AN_INSTANT

from portero.store import factors, sessions
from portero.store.factors import FactorRecord
from portero.store.sessions import SessionRecord
from portero.store.tables import Session
from portero.web.sweep_worker import sweep_now


def test_a_user_sees_the_own_sessions_newest_first(any_api: Api) -> None:
    any_api.sign_up("bob@example.org")
    any_api.sign_up()
    present = any_api.sign_in().get_json()
    found = any_api.call("GET", "/user/sessions", token=present["access_token"], headers={"User-Agent": "x"})
    assert [True, False] == [session["current"] for session in found.get_json()]
    assert {
        "id": AN_ID,
        "created_at": AN_INSTANT,
        "refreshed_at": None,
        "ip": "127.0.0.1",
        "user_agent": found.get_json()[0]["user_agent"],
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": found.get_json()[0]["amr"][0]["timestamp"]}],
        "current": True,
    } == found.get_json()[0]


def test_a_user_ends_one_session_and_nobody_elses(any_api: Api) -> None:
    """Threats SE-16: another's session is not there, and stands."""
    bob, first, second = any_api.sign_up("bob@example.org"), any_api.sign_up(), any_api.sign_in().get_json()
    token = second["access_token"]
    (bobs,) = any_api.call("GET", "/user/sessions", token=bob["access_token"]).get_json()
    path = "/user/sessions"
    for other in (bobs["id"], str(uuid4())):
        assert (404, "session_not_found") == code_of(any_api.call("DELETE", f"{path}/{other}", token=token))
    assert (404, "validation_failed") == code_of(any_api.call("DELETE", f"{path}/7", token=token))
    assert 200 == any_api.call("GET", "/user", token=bob["access_token"]).status_code
    other = any_api.call("GET", path, token=token).get_json()[1]["id"]
    answer = any_api.call("DELETE", f"{path}/{other}", token=token)
    assert (204, b"") == (answer.status_code, answer.get_data())
    assert (403, "session_not_found") == code_of(any_api.call("GET", "/user", token=first["access_token"]))
    assert 200 == any_api.call("GET", "/user", token=token).status_code
    assert 1 == happenings(any_api.context).count("session_ended")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/user/sessions"), ("DELETE", "/user/sessions/9d1e5f8c-6a43-4a57-8f7e-0d6b1c2a3e4f")]
)
def test_nobody_sees_sessions(api: Api, method: str, path: str) -> None:
    assert (401, "no_authorization") == code_of(api.call(method, path))


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("session_time_box", "Invalid Refresh Token: Session Expired"),
        ("session_idle", "Invalid Refresh Token: Session Expired (Inactivity)"),
    ],
)
def test_time_ends_a_session_at_its_refresh(make: Make, setting: str, sentence: str) -> None:
    api = make(**{setting: 1})
    session = api.sign_up()
    time.sleep(1.1)
    assert [] == api.call("GET", "/user/sessions", token=session["access_token"]).get_json()
    answer = api.refresh(session["refresh_token"])
    assert (400, {"code": "session_expired", "message": sentence}) == (answer.status_code, answer.get_json())
    assert (403, "session_not_found") == code_of(api.call("GET", "/user", token=session["access_token"]))


@pytest.mark.parametrize("limit", ["time_box", "idle", "single", "low_aal", "sweep"])
def test_what_a_limit_ended_is_refused_at_both_apis_at_the_next_request(make_any: Make, limit: str) -> None:
    wanted = {
        "single": {"session_single": True},
        "low_aal": {"session_low_aal": 60},
        "sweep": {"session_time_box": 60},
    }.get(limit, {f"session_{limit}": 60})
    api = make_any(**wanted)
    session = api.sign_up()
    token = session["access_token"]

    def at_both() -> list[int]:
        rest = api.app.test_client().get("/rest/v1/", headers={"Authorization": f"Bearer {token}"})
        return [api.call("GET", "/user", token=token).status_code, rest.status_code]

    assert [200, 200] == at_both()
    with api.context.database.writing() as connection:
        if limit == "single":
            later = SessionRecord(user_id=UUID(session["user"]["id"]), created_at=now() + timedelta(seconds=5))
            sessions.insert(connection, later)
        else:
            connection.execute(sa.update(Session.__table__).values(created_at=now() - timedelta(minutes=2)))
        if limit == "low_aal":
            factor = FactorRecord(
                user_id=UUID(session["user"]["id"]), factor_type="totp", status="verified",
                created_at=now(), updated_at=now(),
            )  # fmt: skip
            factors.insert(connection, factor)
    if limit == "sweep":
        assert 1 == sweep_now(api.runtime).sessions
    else:
        assert (400, "session_expired") == code_of(api.refresh(session["refresh_token"]))
    assert [403, 401] == at_both()


def test_a_newer_session_ends_the_older_at_its_refresh_where_one_is_wanted(make: Make) -> None:
    api = make(session_single=True)
    first = api.sign_up()
    first = api.refresh(first["refresh_token"]).get_json()
    second = api.sign_in().get_json()
    assert 200 == api.call("GET", "/user", token=first["access_token"]).status_code
    answer = api.refresh(first["refresh_token"])
    message = "Invalid Refresh Token: Session Expired (Revoked by Newer Login)"
    assert (400, {"code": "session_expired", "message": message}) == (answer.status_code, answer.get_json())
    assert 200 == api.refresh(second["refresh_token"]).status_code
    assert "session_ended" in happenings(api.context)
