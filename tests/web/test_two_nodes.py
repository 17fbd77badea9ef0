"""Two nodes in the midst of a change of the secret: each serves what the other has begun (how-to/rotate-keys.md)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from tests.identity.people import SECRET
from tests.web.callers import Api
from tests.web.test_factors import Ann, ann_on

from portero import JWTManager
from portero.crypto.passwords import Passwords
from portero.identity import mail
from portero.store import outbox

NEXT = "Qw7nE3rT9yU1iO5pA2sD4fG6hJ8kL0zX"


@pytest.fixture
def nodes(database_url: str) -> Iterator[tuple[Api, Api]]:
    """One node that knows the next secret already, and one that uses it already."""
    made = _node(database_url, SECRET, NEXT), _node(database_url, NEXT, SECRET)
    yield made
    for node in made:
        node.runtime.close()


def _node(url: str, secret: str, other: str) -> Api:
    app = Flask("app")
    app.config.update(TESTING=True, JWT_SECRET_KEY=secret, JWT_SECRET_KEY_FALLBACKS=[other], PORTERO_DATABASE_URL=url)
    jwt = JWTManager(app)
    held = jwt.assemble(app, Passwords(8, time_cost=1, memory_cost=8))
    jwt.hold(app, held)
    return Api(app, held)


def test_each_takes_the_others_access_and_refresh_tokens(nodes: tuple[Api, Api]) -> None:
    session = nodes[0].sign_up()
    for node in (nodes[1], nodes[0], nodes[1]):
        assert 200 == node.call("GET", "/user", token=session["access_token"]).status_code
        session = node.refresh(session["refresh_token"]).get_json()


def test_each_knows_the_others_second_factors(nodes: tuple[Api, Api]) -> None:
    here = ann_on(nodes[0])
    there = Ann(nodes[1], here.session, here.factor)
    raised = there.raised()
    assert 200 == Ann(nodes[0], raised.session, here.factor, raised.step).verify().status_code


def test_each_sends_the_others_mails_and_takes_their_links(nodes: tuple[Api, Api]) -> None:
    for here, there in (nodes, nodes[::-1]):
        email = f"{id(here)}@example.org"
        here.sign_up(email)
        assert 200 == here.call("POST", "/recover", {"email": email}).status_code
        with there.context.database.reading() as connection:
            (record,) = [each for each in outbox.latest(connection, 10) if each.kind == "recovery"][:1]
        message = mail.read(there.context, record)
        assert message is not None
        given = {"type": "recovery", "email": email, "token": message.values["Token"]}
        assert 200 == there.call("POST", "/verify", given).status_code
