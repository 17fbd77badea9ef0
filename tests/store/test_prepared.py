"""Tests of portero.store.prepared, on both databases: what goes in and out is what SQLAlchemy would give."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from portero.errors import DatabaseUnavailable
from portero.store import driver_calls, prepared, users
from portero.store.engine import Database
from portero.store.prepared import Prepared
from portero.store.tables import IDENTITIES, User
from portero.store.users import UserRecord

USERS = User.__table__
EMAILS = Prepared(
    sa.select(USERS.c.email, USERS.c.created_at).where(USERS.c.id == sa.bindparam("user_id"), USERS.c.aud != "nobody"),
    tuple,
)
WITH_IDENTITY = Prepared(
    sa.select(USERS.c.email, IDENTITIES.c.provider)
    .outerjoin(IDENTITIES, IDENTITIES.c.user_id == USERS.c.id)
    .where(USERS.c.id == sa.bindparam("user_id")),
    tuple,
)
RENAME = prepared.changing(
    sa.update(USERS).where(USERS.c.id == sa.bindparam("user_id")).values(username=sa.bindparam("name"))
)


def test_values_come_out_as_through_sqlalchemy(database: Database, ana: UserRecord) -> None:
    every = Prepared(sa.select(*USERS.c), prepared.made_by(UserRecord, USERS.c.keys()))
    with database.reading() as connection:
        row = connection.execute(sa.select(*USERS.c)).mappings().one()
        assert [UserRecord(**row)] == every.all(connection) == every.fetch(database)
        assert ana == every.first(connection)


def test_a_statement_takes_its_values_each_time_and_keeps_its_constants(database: Database, ana: UserRecord) -> None:
    for _ in range(2):
        assert [("ana@example.org", ana.created_at)] == EMAILS.fetch(database, user_id=ana.id)
        assert [] == EMAILS.fetch(database, user_id=uuid4())
    with database.reading() as connection:
        assert EMAILS.first(connection, user_id=uuid4()) is None


def test_a_change_stands_with_its_transaction_and_falls_with_it(database: Database, ana: UserRecord) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as connection:
        assert RENAME.changed(connection, user_id=ana.id, name="lost") == 1
        raise ZeroDivisionError
    with database.writing() as connection:
        assert RENAME.changed(connection, user_id=uuid4(), name="nobody") == 0
        assert RENAME.changed(connection, user_id=ana.id, name="kept") == 1
    with database.reading() as connection:
        assert ["kept"] == connection.execute(sa.select(USERS.c.username)).scalars().all()


def test_one_reading_connection_sees_one_state_throughout(database: Database, ana: UserRecord) -> None:
    with database.reading() as before:
        assert EMAILS.first(before, user_id=ana.id)
        with database.writing() as connection:
            connection.execute(sa.update(USERS).values(email="other@example.org"))
        assert ("ana@example.org", ana.created_at) == EMAILS.first(before, user_id=ana.id)


def test_what_the_database_refuses_is_sqlalchemys_error_and_names_no_value(
    database: Database, ana: UserRecord, now: datetime
) -> None:
    twin = asdict(UserRecord(email=ana.email, password_hash="a secret", created_at=now, updated_at=now))
    with pytest.raises(sa.exc.IntegrityError) as refused, database.writing() as connection:
        prepared.inserting(USERS).changed(connection, **twin)
    assert "a secret" not in str(refused.value)


ONE = Prepared(sa.select(sa.literal_column("1")), tuple)


def _refuse(found: list[tuple[int]]) -> None:
    raise PermissionError(found)


def test_nothing_is_committed_before_a_judge_has_spoken(database: Database, ana: UserRecord) -> None:
    """Whether a statement of ours follows, one of SQLAlchemy's, or none; in a transaction alone or with others."""

    def write(connection: sa.Connection) -> None:
        RENAME.changed(connection, user_id=ana.id, name="lost")
        ONE.judged(connection, _refuse)

    def write_more(connection: sa.Connection) -> None:
        ONE.judged(connection, _refuse)
        RENAME.changed(connection, user_id=ana.id, name="lost")

    def write_otherwise(connection: sa.Connection) -> None:
        ONE.judged(connection, _refuse)
        connection.execute(sa.update(USERS).values(username="lost"))
        raise AssertionError("the judge speaks first")

    for work in (write, write_more, write_otherwise):
        with pytest.raises(PermissionError), database.writing() as connection:
            work(connection)
        with pytest.raises(PermissionError):
            database.write_together(work)
        with database.reading() as connection:
            assert "lost" not in connection.execute(sa.select(USERS.c.username)).scalars().all()


def test_a_judge_that_agrees_is_heard_once_and_in_order(database: Database, ana: UserRecord) -> None:
    heard: list[str] = []
    for name in ("ana-1", "ana-2", "ana-3"):
        with database.writing() as connection:
            ONE.judged(connection, lambda found: heard.append(f"first {found}"))
            ONE.judged(connection, lambda found: heard.append(f"second {found}"))
            assert RENAME.changed(connection, user_id=ana.id, name=name) == 1
            assert ["first [(1,)]", "second [(1,)]"] == heard
            heard.clear()
            ONE.judged(connection, lambda found: heard.append("last"))
            driver_calls.settle(connection)
            assert ["last"] == heard
            heard.clear()
    with database.reading() as connection:
        assert ["ana-3"] == connection.execute(sa.select(USERS.c.username)).scalars().all()


def test_what_waited_in_a_transaction_that_was_undone_is_not_asked_in_the_next(
    database: Database, ana: UserRecord
) -> None:
    if database.dialect_name == "postgresql":
        with pytest.raises(ZeroDivisionError), database.writing() as connection:
            ONE.judged(connection, _refuse)
            raise ZeroDivisionError
    with database.writing() as connection:
        assert RENAME.changed(connection, user_id=ana.id, name="kept") == 1


def test_work_is_done_again_only_when_its_connection_was_lost_before_the_commit(database: Database) -> None:
    tried = []

    def work(connection: sa.Connection) -> int:
        tried.append(1)
        if database.dialect_name == "postgresql":
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
        raise ValueError("no more than once")

    expected = (DatabaseUnavailable, 2) if database.dialect_name == "postgresql" else (ValueError, 1)
    with pytest.raises(expected[0]):
        database.write_together(work)
    assert expected[1] == len(tried)


def test_a_new_value_does_not_make_sqlite_compile_a_statement_anew(tmp_path: Path, now: datetime) -> None:
    """Also where the index has been analysed, by which SQLite would judge the value: compiling asks the authorizer."""
    database = Database.open(f"sqlite:///{tmp_path / 'analysed.db'}")
    asked: list[Any] = []
    with database.writing() as connection:
        User.metadata.create_all(connection)
        rows = [UserRecord(email=f"{number}@example.org", created_at=now, updated_at=now) for number in range(100)]
        for row in rows:
            users.insert(connection, row)
        connection.exec_driver_sql("ANALYZE")
    database.close()  # what was analysed is read when a connection is opened
    with database.writing() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_authorizer(lambda *action: asked.append(action) or 0)
        found = [WITH_IDENTITY.first(connection, user_id=rows[0].id)]
        while_compiling = len(asked)
        found += [WITH_IDENTITY.first(connection, user_id=row.id) for row in rows[1:]]
        assert while_compiling == len(asked) > 0
    assert [(row.email, None) for row in rows] == found
    database.close()
