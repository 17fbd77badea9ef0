"""Passwords: verified exactly, a bounded number at one time, strangers at the price of users."""

from __future__ import annotations

import subprocess
import sys
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import argon2
import bcrypt
import pytest

from portero.crypto.passwords import Passwords, is_known_hash
from portero.errors import TooBusy


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(2, time_cost=1, memory_cost=8)


@pytest.fixture(scope="module")
def bcrypt_hash() -> str:
    return bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()


def test_the_right_password_fits_and_no_other(passwords: Passwords) -> None:
    """Threats CR-14, CR-15, CR-17: nothing is cut or folded; and two users' hashes of one password differ."""
    stored = passwords.hash("correct horse")
    assert stored != passwords.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert passwords.verify("correct horse", stored) is True
    for wrong in ("", "Correct horse", "correct horse ", "correct horse\0", "correct horse\ud800"):
        assert passwords.verify(wrong, stored) is False


def test_the_default_is_the_recommended_floor() -> None:
    """Threats CR-17; no setting goes below it."""
    assert Passwords()._hasher.hash("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_nobody_has_no_password(passwords: Passwords) -> None:
    for password in ("", "password", "correct horse"):
        assert passwords.verify(password, None) is False


def test_a_stranger_costs_the_same_work_as_a_user(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    hasher = passwords._hasher
    monkeypatch.setattr(passwords, "_fits_argon2", lambda data, stored: bool(asked.append(stored)))
    passwords.verify("x", None)
    passwords.verify("x", "not a hash at all")
    passwords.verify("x" * 5000, hasher.hash("x" * 5000))
    parameters = [argon2.extract_parameters(stored) for stored in asked]
    assert [(hasher.memory_cost, hasher.time_cost, hasher.parallelism, hasher.hash_len)] * 3 == [
        (each.memory_cost, each.time_cost, each.parallelism, each.hash_len) for each in parameters
    ]


def test_one_text_typed_on_two_keyboards_is_one_password(passwords: Passwords) -> None:
    composed = unicodedata.normalize("NFC", "contraseña")
    assert passwords.verify(unicodedata.normalize("NFD", composed), passwords.hash(composed)) is True


def test_a_bcrypt_hash_from_elsewhere_is_verified(passwords: Passwords, bcrypt_hash: str) -> None:
    assert passwords.verify("correct horse", bcrypt_hash) is True
    assert passwords.verify("wrong horse", bcrypt_hash) is False
    assert passwords.verify("correct\0horse", bcrypt_hash) is False
    assert passwords.verify("\ud800", bcrypt_hash) is False


def test_bcrypt_looks_at_72_bytes_as_it_did_where_the_hash_was_made(passwords: Passwords) -> None:
    stored = bcrypt.hashpw(b"a" * 72, bcrypt.gensalt(4)).decode()
    assert passwords.verify("a" * 80, stored) is True


def test_a_hash_of_another_kind_or_cost_is_to_be_replaced(passwords: Passwords, bcrypt_hash: str) -> None:
    assert passwords.needs_rehash(passwords.hash("x")) is False
    assert passwords.needs_rehash(bcrypt_hash) is True
    assert passwords.needs_rehash(Passwords(time_cost=2, memory_cost=8).hash("x")) is True


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain text",
        "$2b$31$" + "a" * 53,
        "$2b$03$" + "a" * 53,
        "$argon2id$v=19$m=8388608,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=8,t=1000,p=1$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=8,t=1,p=99$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=8,t=x,p=1$c2FsdHNhbHQ$aGFzaA",
        "$5$rounds=5000$salt$hash",
    ],
)
def test_a_hash_that_is_none_or_too_dear_never_fits(passwords: Passwords, stored: str) -> None:
    assert is_known_hash(stored) is False
    assert passwords.verify("x", stored) is False


def test_a_known_form_with_a_broken_inside_never_fits(passwords: Passwords) -> None:
    for filling in "./a9":
        assert passwords.verify("x", "$2b$04$" + filling * 53) is False
    assert passwords.verify("x", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA") is False


@pytest.mark.parametrize("password", ["x" * 1025, "x\ud800"])
def test_a_text_that_is_no_password_is_not_hashed(passwords: Passwords, password: str) -> None:
    with pytest.raises(ValueError, match="a password"):
        passwords.hash(password)


def test_no_more_than_the_slots_hash_at_once_and_a_flood_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threats CR-19: memory and time of a flood are those of the slots."""
    passwords = Passwords(2, time_cost=1, memory_cost=8)
    release, lock = threading.Event(), threading.Lock()
    running, most = 0, 0

    def slow(data: bytes, stored: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(10)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(passwords, "_fits_argon2", slow)
    with ThreadPoolExecutor(14) as threads:
        waiting = [threads.submit(passwords.verify, "x", None) for _ in range(14)]
        while passwords._present < 14:
            pass
        with pytest.raises(TooBusy) as refusal:
            passwords.verify("x", None)
        release.set()
        assert [False] * 14 == [each.result() for each in waiting]
    assert 1 == refusal.value.retry_after
    assert 2 == most
    assert passwords.verify("x", None) is False


def test_without_a_number_there_is_a_slot_for_each_core_that_the_process_may_use() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from portero.crypto.passwords import Passwords; print(Passwords()._slots, Passwords(3)._slots)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "3"]
