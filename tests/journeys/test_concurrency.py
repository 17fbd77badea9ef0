"""Many at one time, over HTTP, against two workers: one user, one successor, and an end that all workers see."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.journeys.project import Answer, Project, open_sessions

REFRESH = "/auth/v1/token?grant_type=refresh_token"


def _refresh(project: Project, token: str) -> Answer:
    return project.ask("POST", REFRESH, {"refresh_token": token})


def test_a_hundred_sign_ups_with_one_address_make_one_user(project: Project) -> None:
    def sign_up(number: int) -> Answer:
        address = "Ana@Example.org" if number % 2 else "ana@example.org"
        return project.ask("POST", "/auth/v1/signup", {"email": address, "password": "correct horse battery"})

    with project.serving(), ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(sign_up, range(100)))
        won = [answer for answer in answers if answer.status == 200]
        assert 1 == len(won)
        assert {200, 422, 503} >= {answer.status for answer in answers}
        assert {"user_already_exists"} == {answer.body["error_code"] for answer in answers if answer.status == 422}
        me: Any = project.ask("GET", "/auth/v1/user", token=won[0].body["access_token"]).body
        assert "ana@example.org" == me["email"]
    assert "1\n" == project.run("-c", COUNT_USERS)


COUNT_USERS = """
from app import app
extension = app.extensions["portero"]
print(extension.freeze(app).database.fetch_all("SELECT count(*) FROM portero_users", ())[0][0])
extension.close(app)
"""


def test_twenty_refreshes_at_one_time_have_one_successor_and_a_grandparent_ends_the_session(project: Project) -> None:
    ((_, first),) = open_sessions(project, "ana@example.org", 1)
    with project.serving(), ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: _refresh(project, first), range(20)))
        assert [200] * 20 == [answer.status for answer in answers]
        (second,) = {answer.body["refresh_token"] for answer in answers}
        third = _refresh(project, second).body
        assert 200 == project.ask("GET", "/auth/v1/user", token=third["access_token"]).status

        stolen = _refresh(project, first)
        assert (400, "refresh_token_already_used") == (stolen.status, stolen.body["error_code"])
        for _ in range(6):  # both workers
            assert 403 == project.ask("GET", "/auth/v1/user", token=third["access_token"]).status
            assert 401 == project.ask("GET", "/rest/v1/notes", token=third["access_token"]).status
        assert 400 == _refresh(project, third["refresh_token"]).status
