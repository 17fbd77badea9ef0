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
from argon2.low_level import Type, hash_secret_raw

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
    assert Passwords().hash("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("costs", [(1, 8), (2, 19456), (3, 2049)])
def test_every_hash_is_argon2_cffis_to_the_byte(costs: tuple[int, int]) -> None:
    passwords, salt = Passwords(1, time_cost=costs[0], memory_cost=costs[1]), b"salt of 16 bytes"
    for password in (b"x", b"", b"a\0b", "contraseña".encode(), b"y" * 4096):
        assert hash_secret_raw(password, salt, *costs, 1, 32, Type.ID) == passwords._tag(password, salt)


def test_each_verifies_what_the_other_hashed() -> None:
    ours, theirs = Passwords(1, time_cost=1, memory_cost=64), argon2.PasswordHasher(1, 64, 1)
    assert theirs.verify(ours.hash("correct horse"), "correct horse") is True
    assert ours.verify("correct horse", theirs.hash("correct horse")) is True
    assert ours.verify("wrong horse", theirs.hash("correct horse")) is False


def test_a_hash_of_more_lanes_is_verified_and_to_be_replaced(passwords: Passwords) -> None:
    stored = argon2.PasswordHasher(1, 64, 2).hash("correct horse")
    assert passwords.verify("correct horse", stored) is True
    assert passwords.verify("wrong horse", stored) is False
    assert passwords.needs_rehash(stored) is True


def test_hashes_at_one_time_are_right() -> None:
    passwords = Passwords(3, time_cost=1, memory_cost=512)
    stored = {password: passwords.hash(password) for password in ("one", "two")}
    asked = [(typed, kept) for typed in stored for kept in stored] * 4
    with ThreadPoolExecutor(12) as threads:
        fits = list(threads.map(lambda pair: passwords.verify(pair[0], stored[pair[1]]), asked))
    assert fits == [typed == kept for typed, kept in asked]


def test_others_run_while_a_hash_is_computed() -> None:
    passwords, begins, rounds = Passwords(1, time_cost=100, memory_cost=8192), threading.Barrier(2), 0

    def hash_at_length() -> None:
        begins.wait()
        passwords.hash("x")

    hashing = threading.Thread(target=hash_at_length)
    hashing.start()
    begins.wait()
    while hashing.is_alive():
        hashing.join(0.001)
        rounds += 1
    assert rounds > 10


def test_where_there_is_no_memory_for_a_hash_it_is_asked_for_later() -> None:
    """No fault: others' hashes end, and with them their memory."""
    program = (
        "import resource; from portero.crypto.passwords import Passwords; from portero.errors import TooBusy\n"
        "passwords = Passwords(1, memory_cost=4 * 1024 * 1024)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))\n"
        "try: passwords.hash('x')\n"
        "except TooBusy as refusal: print(refusal)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "there is no memory to hash a password in\n" == done.stdout


def test_nobody_has_no_password(passwords: Passwords) -> None:
    for password in ("", "password", "correct horse"):
        assert passwords.verify(password, None) is False


def test_a_stranger_costs_the_same_work_as_a_user(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(passwords, "_fits_argon2", lambda data, stored: bool(asked.append(stored)))
    passwords.verify("x", None)
    passwords.verify("x", "not a hash at all")
    passwords.verify("x" * 5000, argon2.PasswordHasher(1, 8, 1).hash("x" * 5000))
    assert [passwords.needs_rehash(stored) for stored in asked] == [False] * 3


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
