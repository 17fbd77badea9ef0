"""`/admin/mails`: administrators see what became of mails, and never what they say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from tests.web.administering import Admin
from tests.web.callers import Api, code_of, now
from tests.web.conftest import Make, make_api

from portero.identity import mail_delivery
from portero.identity.mail import Message
from portero.identity.mail_delivery import Undeliverable

SOON = timedelta(hours=1)


class Picky:
    """A transport that refuses some addresses for good, has no time for others, and sends the rest."""

    keeps_text = False

    def send(self, message: Message, message_id: str, at: datetime) -> None:
        if message.to.startswith("gone"):
            raise Undeliverable("the mail server says 550")
        if message.to.startswith("slow"):
            raise TimeoutError


@pytest.fixture
def any_admin(database_url: str) -> Iterator[Admin]:
    """An administrator who looks at a sent mail, a failed one and one that waits, on each kind of database."""
    api = make_api(database_url)
    for name in ("gone", "slow", "fine"):
        assert 200 == api.call("POST", "/otp", {"email": f"{name}@example.org"}).status_code
    mail_delivery.send_due(api.context, Picky(), now())
    yield Admin(api)
    api.runtime.database.close()


def states(admin: Admin) -> dict[str, str]:
    found = admin.call("GET", "/admin/mails").get_json()["mails"]
    return {mail["state"]: mail["last_fault"] for mail in found}


def test_what_became_of_mails_is_shown_without_addresses_and_texts(any_admin: Admin) -> None:
    answer = any_admin.call("GET", "/admin/mails")
    body = answer.get_json()
    assert {"waiting": 1, "failed": 1, "sent": 1} == body["counts"]
    assert "3" == answer.headers["X-Total-Count"]
    assert {"sent": "", "failed": "the mail server says 550", "waiting": "TimeoutError"} == states(any_admin)
    assert "example.org" not in answer.get_data(as_text=True)
    expected = {"id", "kind", "user_id", "state", "tries", "last_fault"}
    expected |= {"created_at", "expires_at", "next_try_at", "sent_at", "failed_at"}
    assert all(expected == set(mail) for mail in body["mails"])


def test_it_is_paged_and_narrowed(any_admin: Admin) -> None:
    answer = any_admin.call("GET", "/admin/mails?state=failed&per_page=1")
    assert ["failed"] == [mail["state"] for mail in answer.get_json()["mails"]]
    assert ("1", '</auth/v1/admin/mails?page=1&per_page=1&state=failed>; rel="last"') == (
        answer.headers["X-Total-Count"], answer.headers["Link"],
    )  # fmt: skip
    assert [] == any_admin.call("GET", "/admin/mails?page=2").get_json()["mails"]
    assert (400, "validation_failed") == code_of(any_admin.call("GET", "/admin/mails?state=lost"))


def test_a_mail_that_failed_is_sent_when_it_is_tried_again(any_admin: Admin) -> None:
    ids = {mail["state"]: mail["id"] for mail in any_admin.call("GET", "/admin/mails").get_json()["mails"]}
    for state in ("failed", "waiting"):
        answer = any_admin.call("POST", f"/admin/mails/{ids[state]}/retry")
        assert (200, {}) == (answer.status_code, answer.get_json())

    class Taking(Picky):
        def send(self, message: Message, message_id: str, at: datetime) -> None:
            sent.append(message_id)

    sent: list[str] = []
    assert 2 == mail_delivery.send_due(any_admin.api.context, Taking(), now())
    assert {ids["failed"], ids["waiting"]} == set(sent)
    assert {"sent": ""} == states(any_admin)


def test_what_was_sent_is_over_or_is_not_there_is_not_tried_again(any_admin: Admin) -> None:
    ids = {mail["state"]: mail["id"] for mail in any_admin.call("GET", "/admin/mails").get_json()["mails"]}
    with any_admin.api.context.database.writing() as connection:
        connection.exec_driver_sql("UPDATE portero_outbox SET expires_at = created_at WHERE failed_at IS NOT NULL")
    for mail_id in (ids["sent"], ids["failed"], str(uuid4()), "x"):
        assert (404, "validation_failed") == code_of(any_admin.call("POST", f"/admin/mails/{mail_id}/retry"))


def test_it_is_for_administrators(make: Make, api: Api) -> None:
    token = api.sign_up()["access_token"]
    assert (403, "not_admin") == code_of(api.call("GET", "/admin/mails", token=token))
    assert (401, "no_authorization") == code_of(api.call("POST", f"/admin/mails/{uuid4()}/retry"))
