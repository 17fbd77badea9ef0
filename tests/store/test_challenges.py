"""Tests of portero.store.challenges and portero.store.recovery_codes, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from tests.at_once import at_once

from portero.store import challenges, factors, recovery_codes
from portero.store.challenges import ChallengeRecord
from portero.store.engine import Database
from portero.store.factors import FactorRecord
from portero.store.recovery_codes import RecoveryCodeRecord
from portero.store.tables import CHALLENGES
from portero.store.users import UserRecord

LIFE = timedelta(minutes=5)


@pytest.fixture
def factor(database: Database, ana: UserRecord, now: datetime) -> FactorRecord:
    made = FactorRecord(user_id=ana.id, factor_type="totp", created_at=now, updated_at=now)
    with database.writing() as connection:
        factors.insert(connection, made)
    return made


@pytest.fixture
def challenge(database: Database, factor: FactorRecord, now: datetime) -> ChallengeRecord:
    made = ChallengeRecord(factor_id=factor.id, address="192.0.2.1", created_at=now, expires_at=now + LIFE)
    with database.writing() as connection:
        challenges.insert(connection, made)
    return made


def test_a_challenge_is_found_by_its_own_factor_only(database: Database, challenge: ChallengeRecord) -> None:
    with database.reading() as connection:
        assert challenge == challenges.of_factor(connection, challenge.factor_id, challenge.id)
        assert challenges.of_factor(connection, uuid4(), challenge.id) is None


def test_a_challenge_takes_so_many_tries(database: Database, challenge: ChallengeRecord) -> None:
    with database.writing() as connection:
        assert [True, True, False] == [challenges.take_try(connection, challenge.id, 2) for _ in range(3)]


def test_an_answered_challenge_takes_no_more(database: Database, challenge: ChallengeRecord, now: datetime) -> None:
    with database.writing() as connection:
        assert [True, False] == [challenges.spend(connection, challenge.id, now) for _ in range(2)]
        assert not challenges.take_try(connection, challenge.id, 5)


def test_of_twenty_tries_at_once_five_are_taken(database: Database, challenge: ChallengeRecord) -> None:
    """Threats MF-03: counted before the code is looked at."""

    def take(_: int) -> bool:
        with database.writing() as connection:
            return challenges.take_try(connection, challenge.id, 5)

    assert 5 == sum(at_once(take))


def test_of_twenty_answers_at_once_one_spends_it(database: Database, challenge: ChallengeRecord, now: datetime) -> None:
    """Threats MF-08."""

    def spend(_: int) -> bool:
        with database.writing() as connection:
            return challenges.spend(connection, challenge.id, now)

    assert 1 == sum(at_once(spend))


def test_a_new_challenge_takes_away_those_whose_time_is_over(
    database: Database, challenge: ChallengeRecord, now: datetime
) -> None:
    later = ChallengeRecord(factor_id=challenge.factor_id, created_at=now + LIFE, expires_at=now + 2 * LIFE)
    with database.writing() as connection:
        challenges.insert(connection, later)
        assert challenges.of_factor(connection, challenge.factor_id, challenge.id) is None
        found = sa.select(CHALLENGES.c.id)
        assert [] == connection.execute(found.where(challenges.over(now + LIFE))).all()
        assert 1 == len(connection.execute(found.where(challenges.over(now + 2 * LIFE))).all())


def codes_of(factor: FactorRecord, count: int) -> list[RecoveryCodeRecord]:
    return [RecoveryCodeRecord(factor_id=factor.id, sealed_digest=bytes([number])) for number in range(count)]


def test_a_new_set_of_codes_replaces_the_former_one(database: Database, factor: FactorRecord) -> None:
    """Threats MF-07."""
    former, present = codes_of(factor, 3), codes_of(factor, 2)
    with database.writing() as connection:
        recovery_codes.replace(connection, factor.id, former)
        recovery_codes.replace(connection, factor.id, present)
        assert {code.id for code in present} == {code.id for code in recovery_codes.of_factor(connection, factor.id)}
        assert factors.delete(connection, factor.id)
        assert [] == recovery_codes.of_factor(connection, factor.id)


def test_of_twenty_uses_of_a_code_at_once_one_is_good(database: Database, factor: FactorRecord, now: datetime) -> None:
    """Threats MF-08."""
    code, other = codes_of(factor, 2)
    with database.writing() as connection:
        recovery_codes.replace(connection, factor.id, [code, other])

    def spend(_: int) -> bool:
        with database.writing() as connection:
            return recovery_codes.spend(connection, code.id, now)

    assert 1 == sum(at_once(spend))
    with database.reading() as connection:
        kept = {each.id: each.used_at for each in recovery_codes.of_factor(connection, factor.id)}
    assert {code.id: now, other.id: None} == kept


def test_a_digest_is_sealed_anew_if_nobody_changed_it(database: Database, factor: FactorRecord) -> None:
    (code,) = codes_of(factor, 1)
    with database.writing() as connection:
        recovery_codes.replace(connection, factor.id, [code])
        assert not recovery_codes.reseal(connection, code.id, b"another", b"anew")
        assert recovery_codes.reseal(connection, code.id, code.sealed_digest, b"anew")
        assert [b"anew"] == [each.sealed_digest for each in recovery_codes.of_factor(connection, factor.id)]
