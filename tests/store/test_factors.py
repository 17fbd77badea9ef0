"""Tests of portero.store.factors, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from tests.at_once import at_once

from portero.store import factors, users
from portero.store.engine import Database
from portero.store.factors import FactorRecord
from portero.store.tables import FACTORS
from portero.store.users import UserRecord


@pytest.fixture
def factor(database: Database, ana: UserRecord, now: datetime) -> FactorRecord:
    made = FactorRecord(
        user_id=ana.id,
        factor_type="totp",
        friendly_name="phone",
        sealed_secret=b"sealed",
        created_at=now,
        updated_at=now,
    )
    with database.writing() as connection:
        factors.insert(connection, made)
    return made


def held(database: Database, user: UserRecord) -> list[FactorRecord]:
    with database.reading() as connection:
        return list(factors.of_user(connection, user.id))


def test_a_factor_comes_back_as_it_went_in(database: Database, ana: UserRecord, factor: FactorRecord) -> None:
    assert [factor] == held(database, ana)
    assert "sealed" not in repr(factor).replace("sealed_secret", "")


def test_a_user_has_one_factor_of_each_name(database: Database, factor: FactorRecord) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.writing() as connection:
        factors.insert(connection, replace(factor, id=uuid4()))


def test_a_factor_is_verified_once(database: Database, ana: UserRecord, factor: FactorRecord, now: datetime) -> None:
    later = now + timedelta(minutes=1)
    with database.writing() as connection:
        assert [True, False] == [factors.verify(connection, factor.id, later) for _ in range(2)]
    assert [replace(factor, status="verified", updated_at=later)] == held(database, ana)


def test_a_step_and_all_before_it_are_spent_together(database: Database, factor: FactorRecord) -> None:
    with database.writing() as connection:
        taken = [factors.take_step(connection, factor.id, step) for step in (7, 7, 6, 8, 8, 7)]
    assert [True, False, False, True, False, False] == taken


def test_of_twenty_that_take_a_step_at_once_one_has_it(database: Database, factor: FactorRecord) -> None:
    """Threats MF-08."""

    def take(_: int) -> bool:
        with database.writing() as connection:
            return factors.take_step(connection, factor.id, 7)

    assert [True] == [taken for taken in at_once(take) if taken]


def test_unverified_factors_of_a_type_go_and_verified_ones_stay(
    database: Database, ana: UserRecord, factor: FactorRecord, now: datetime
) -> None:
    other = replace(factor, id=uuid4(), friendly_name="tablet", status="verified")
    codes = replace(factor, id=uuid4(), friendly_name="codes", factor_type="recovery_code")
    with database.writing() as connection:
        factors.insert(connection, other)
        factors.insert(connection, codes)
        assert 1 == factors.delete_unverified(connection, ana.id, "totp")
    assert {other.id, codes.id} == {each.id for each in held(database, ana)}


def test_stale_factors_go_of_one_user_or_of_everybody(
    database: Database, ana: UserRecord, factor: FactorRecord, now: datetime
) -> None:
    with database.writing() as connection:
        bob = users.insert(connection, UserRecord(email="bob@example.org", created_at=now, updated_at=now))
        factors.insert(connection, replace(factor, id=uuid4(), user_id=bob.id))
        factors.insert(connection, replace(factor, id=uuid4(), user_id=bob.id, friendly_name="ok", status="verified"))
        assert 0 == factors.delete_stale(connection, now, ana.id)
        assert 1 == factors.delete_stale(connection, now + timedelta(seconds=1), ana.id)
        found = sa.select(FACTORS.c.id).where(factors.stale_before(now + timedelta(seconds=1)))
        assert 1 == len(connection.execute(found).all())
        factors.delete_stale(connection, now + timedelta(seconds=1), bob.id)
    assert ["ok"] == [each.friendly_name for each in held(database, bob)]


def test_a_challenge_is_noted_and_a_secret_is_sealed_anew(
    database: Database, ana: UserRecord, factor: FactorRecord, now: datetime
) -> None:
    with database.writing() as connection:
        factors.note_challenge(connection, factor.id, now)
        assert not factors.reseal(connection, factor.id, b"another", b"anew")
        assert factors.reseal(connection, factor.id, b"sealed", b"anew")
    assert [replace(factor, last_challenged_at=now, sealed_secret=b"anew")] == held(database, ana)


def test_factors_are_paged_by_id_and_grouped_by_user(database: Database, ana: UserRecord, factor: FactorRecord) -> None:
    others = [replace(factor, id=uuid4(), friendly_name=str(number)) for number in range(4)]
    with database.writing() as connection:
        for other in others:
            factors.insert(connection, other)
        first = factors.page(connection, None, 3)
        second = factors.page(connection, first[-1].id, 3)
        assert {} == factors.of_users(connection, [uuid4()])
        assert {ana.id} == set(factors.of_users(connection, [ana.id, uuid4()]))
    assert (3, 2) == (len(first), len(second))
    assert 5 == len({each.id for each in [*first, *second]})


def test_factors_go_with_their_user(database: Database, ana: UserRecord, factor: FactorRecord) -> None:
    with database.writing() as connection:
        assert users.delete(connection, ana.id)
        assert [] == factors.of_user(connection, ana.id)
        assert not factors.delete(connection, factor.id)
