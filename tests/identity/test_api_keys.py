"""API keys give their role as long as they hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from portero.crypto import api_keys as form
from portero.errors import InvalidToken, TokenFault
from portero.events import Happening
from portero.identity.api_keys import BELIEVED_FOR, ApiKeys
from portero.principal import Principal
from portero.store import audit
from portero.store.engine import Database

AT = datetime(2027, 1, 15, 8, tzinfo=UTC)
NOW = AT.timestamp()


@pytest.fixture
def keys(sqlite_database: Database) -> ApiKeys:
    return ApiKeys(sqlite_database)


def fault(keys: ApiKeys, key: str, now: float = NOW) -> TokenFault:
    with pytest.raises(InvalidToken) as refusal:
        keys.principal(key, now)
    return refusal.value.fault


def test_a_key_gives_the_role_of_its_kind_on_either_database(database: Database) -> None:
    keys = ApiKeys(database)
    assert Principal("anon") == keys.principal(keys.create("publishable", "web", AT).value, NOW)
    assert Principal("service_role") == keys.principal(keys.create("secret", "jobs", AT).value, NOW)
    assert keys.ensure_publishable(AT).startswith("sb_publishable_")


def test_a_secret_key_is_not_in_the_database(keys: ApiKeys, sqlite_database: Database) -> None:
    """SE-14."""
    made = keys.create("secret", "jobs", AT)
    assert made.record.value is None
    assert made.value not in repr(made)
    assert made.record.hint == made.value[:14]
    with sqlite_database.reading() as connection:
        dump = str(connection.exec_driver_sql("SELECT * FROM portero_api_keys").all())
    assert made.value not in dump
    assert made.value[14:40] not in dump


def test_a_publishable_key_can_be_shown_again(keys: ApiKeys) -> None:
    made = keys.create("publishable", "web", AT)
    assert [made.value] == [record.value for record in keys.listing()]


@pytest.mark.parametrize("key", ["", "x", "sb_secret_x", "eyJ.eyJ.x", "sb_publishable_" + "A" * 41, "ÿ" * 60])
def test_what_is_no_key_is_refused_without_asking_the_database(keys: ApiKeys, key: str) -> None:
    keys._database.close()
    assert TokenFault.KEY is fault(keys, key)


def test_an_unknown_key_is_refused(keys: ApiKeys) -> None:
    assert TokenFault.KEY is fault(keys, form.generate("secret"))
    assert TokenFault.KEY is fault(keys, form.generate("publishable"))


@pytest.mark.parametrize("kind", ["publishable", "secret"])
def test_a_key_that_expired_is_refused(keys: ApiKeys, kind: form.ApiKeyKind) -> None:
    made = keys.create(kind, "short", AT, expires_at=AT + timedelta(hours=1))
    assert keys.principal(made.value, NOW + 3599)
    assert TokenFault.KEY is fault(keys, made.value, NOW + 3600 + BELIEVED_FOR)


def test_a_revoked_secret_key_is_refused_at_once_by_every_worker(keys: ApiKeys, sqlite_database: Database) -> None:
    other = ApiKeys(sqlite_database)
    made = keys.create("secret", "jobs", AT)
    assert other.principal(made.value, NOW)
    assert keys.revoke(made.record.id, AT) is True
    assert TokenFault.KEY is fault(other, made.value)
    assert TokenFault.KEY is fault(keys, made.value)


def test_a_revoked_publishable_key_is_refused_within_a_second(keys: ApiKeys, sqlite_database: Database) -> None:
    other = ApiKeys(sqlite_database)
    made = keys.create("publishable", "web", AT)
    assert other.principal(made.value, NOW)
    keys.revoke(made.record.id, AT)
    assert TokenFault.KEY is fault(keys, made.value)
    assert other.principal(made.value, NOW + 0.9)
    assert TokenFault.KEY is fault(other, made.value, NOW + 1)


def test_a_key_is_revoked_once(keys: ApiKeys) -> None:
    made = keys.create("secret", "jobs", AT)
    assert [True, False, False] == [keys.revoke(each, AT) for each in (made.record.id, made.record.id, uuid4())]


def test_a_new_key_holds_at_once_in_every_worker(keys: ApiKeys, sqlite_database: Database) -> None:
    assert ApiKeys(sqlite_database).principal(keys.create("publishable", "web", AT).value, NOW)


def test_workers_that_start_together_make_one_publishable_key(database: Database) -> None:
    workers = [ApiKeys(database) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        made = set(threads.map(lambda each: each.ensure_publishable(AT), workers))
    assert 1 == len(made)
    assert made == {workers[0].ensure_publishable(AT)}


def test_a_revoked_publishable_key_is_replaced_when_one_is_needed(keys: ApiKeys) -> None:
    first = keys.ensure_publishable(AT)
    keys.revoke(keys.listing()[0].id, AT)
    assert first != keys.ensure_publishable(AT)


def test_what_is_believed_is_bounded(keys: ApiKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portero.identity.api_keys._MOST_REMEMBERED", 2)
    for number in range(5):
        keys.principal(keys.create("publishable", str(number), AT).value, NOW)
    assert len(keys._believed) <= 2


def test_how_often_a_key_is_believed_is_counted(keys: ApiKeys) -> None:
    public, secret = (keys.create(kind, "jobs", AT).value for kind in ("publishable", "secret"))
    for key in (public, public, public, secret, secret):
        keys.principal(key, NOW)
    assert (2, 3, 1) == keys.figures()[:3]


def test_making_and_revoking_is_in_the_audit_without_the_key(keys: ApiKeys, sqlite_database: Database) -> None:
    made = keys.create("secret", "jobs", AT)
    keys.revoke(made.record.id, AT)
    with sqlite_database.reading() as connection:
        events = audit.latest(connection, 10)
    assert {Happening.API_KEY_CREATED, Happening.API_KEY_REVOKED} == {event.happening for event in events}
    assert made.value not in repr(events)
