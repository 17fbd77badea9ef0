"""The soak of `benchmarks/soak.py` in small, and that it would see what it looks for."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from benchmarks import soak
from benchmarks.soak_http import Answer
from benchmarks.soak_ledger import Ledger
from benchmarks.soak_load import Fault, Person, Players, Session, Task

from portero.crypto import refresh_tokens
from portero.events import Event, Happening
from portero.store import audit, sessions, users
from portero.store.engine import Database
from portero.store.sessions import SessionRecord
from portero.store.users import UserRecord

PLAN = soak.Plan(
    users=200, seconds=3, refreshes=60, workers=2, clients=8, time_box=8, idle=5, sweep_every=1, look_every=0.5
)
LONG = 3600


def test_nobody_sees_another_no_session_forks_and_what_is_over_is_swept(database_url: str, tmp_path: Path) -> None:
    """Users come and go at random through two workers; their sessions live for seconds, and are swept."""
    seen = soak.run(PLAN, database_url, tmp_path)
    assert [] == seen["wrong"]
    assert 0 == seen["faults"]
    assert [] == [name for name in seen["statuses"] if int(name.split()[1]) >= 429]
    assert 60 <= seen["generations"]


@pytest.fixture
def known(sqlite_database: Database) -> list[dict[str, Any]]:
    """Two sessions of two users, as the database has them and as their users know them."""
    made = []
    now = datetime.now(UTC)
    for counter in (1, 2):
        user = UserRecord(email=f"user{counter}@example.org", created_at=now, updated_at=now)
        session = SessionRecord(user_id=user.id, created_at=now, refreshed_at=now, refresh_counter=counter)
        with sqlite_database.writing() as connection:
            users.insert(connection, user)
            sessions.insert(connection, session)
            audit.record(connection, Event(Happening.SIGNED_IN, now, user.id, session.id))
            for _ in range(counter):
                audit.record(connection, Event(Happening.SESSION_REFRESHED, now, user.id, session.id))
        made.append({"id": str(session.id), "user": str(user.id), "counter": counter, "reuses": 0, "is_over": False})
        made[-1] |= {"opened_at": now.timestamp(), "touched_at": now.timestamp()}
    return made


def _ledger(database: Database, known: Sequence[dict[str, Any]]) -> Ledger:
    return Ledger(str(database.url), known, LONG, LONG, LONG)


def test_the_ledger_finds_nothing_where_nothing_is(sqlite_database: Database, known: list[dict[str, Any]]) -> None:
    ledger = _ledger(sqlite_database, known)
    assert [] == ledger.check()
    assert [] == ledger.check_swept(datetime.now(UTC))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda each: each | {"is_over": True}, "has a row, though it has ended"),
        (lambda each: each | {"counter": 7}, "is not what its user knows"),
        (lambda each: each | {"user": str(uuid4())}, "is not what its user knows"),
        (lambda each: each | {"id": str(uuid4())}, "has no row, though it stands"),
        (lambda each: each | {"id": str(uuid4())}, "is nobody's"),
        (lambda each: each | {"reuses": 1}, "stands otherwise in the audit"),
    ],
)
def test_the_ledger_finds_a_session_that_is_not_what_its_user_knows(
    sqlite_database: Database,
    known: list[dict[str, Any]],
    change: Callable[[dict[str, Any]], dict[str, Any]],
    sentence: str,
) -> None:
    changed = [change(known[0]), known[1]]
    assert any(sentence in line for line in _ledger(sqlite_database, changed).check())


def test_the_ledger_finds_what_a_sweep_left(sqlite_database: Database, known: list[dict[str, Any]]) -> None:
    with sqlite_database.writing() as connection:
        old = SessionRecord(user_id=UUID(known[0]["user"]), created_at=datetime.now(UTC) - timedelta(seconds=2 * LONG))
        sessions.insert(connection, old)
    found = _ledger(sqlite_database, known).check_swept(datetime.now(UTC))
    assert ["overdue sessions after a sweep: 1 instead of 0"] == found


MOMENT = (time.time(), time.time())
ANA, EVA = (Person(str(uuid4()), f"{name}@example.org", "", "") for name in ("ana", "eva"))
OLD_ID, NEW_ID = str(uuid4()), str(uuid4())


def granted(*, to: Person = ANA, named: Person = ANA, sid: str = OLD_ID, counter: int = 1, key: bytes = b"k") -> Answer:
    """An answer to a refresh: whose token it brings, whom it names, of which session, with which number."""
    claims = base64.urlsafe_b64encode(json.dumps({"sub": to.id, "session_id": sid}).encode()).decode()
    token = refresh_tokens.encode(UUID(sid), counter, key * 32)
    user = {"id": named.id, "email": named.email}
    return Answer(200, {}, {"access_token": f"x.{claims}.x", "refresh_token": token, "user": user})


def judged(*answers: Answer, time_box: float = LONG) -> Session:
    """Ana's session after these answers to refreshes with its first token."""
    players = Players(Task(0, [], 0, 0, 1, 1, time_box, LONG))
    session = Session(OLD_ID, ANA.id, "", [""], MOMENT, MOMENT)
    for answer in answers:
        players.judge(ANA, session, 0, answer, time.time())
    return session


def test_a_successor_that_is_given_twice_is_one() -> None:
    assert 1 == judged(granted(), granted()).counter


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([granted(), granted(key=b"x")], "forked"),
        ([granted(counter=2)], "the successor is"),
        ([granted(sid=NEW_ID)], "the successor is"),
        ([granted(to=EVA)], "somebody else"),
        ([granted(named=EVA)], "somebody else"),
        ([Answer(400, {}, {})], "answered 400"),
    ],
)
def test_an_answer_that_cannot_be_is_a_fault(answers: list[Answer], sentence: str) -> None:
    with pytest.raises(Fault, match=sentence):
        judged(*answers)


def test_a_session_may_be_over_when_its_time_is() -> None:
    """And only then; a refresh long after it is a fault."""
    assert judged(Answer(400, {}, {}), time_box=0).is_over
    with pytest.raises(Fault, match="after its time"):
        judged(granted(), time_box=-10)
