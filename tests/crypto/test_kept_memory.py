"""The memory of hashes: hashes that are argon2-cffi's to the byte, nothing left behind, no more of it than slots."""

from __future__ import annotations

import ctypes
import mmap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import argon2
import pytest
from argon2 import low_level

from portero.crypto import kept_memory
from portero.crypto.kept_memory import KeptMemory
from portero.crypto.passwords import Passwords

SALT = b"salt of 16 bytes"
COSTS = [(1, 8, 1), (2, 19456, 1), (3, 2049, 1), (2, 100, 2), (1, 4096, 4)]


def resident(memory: KeptMemory) -> int:
    """Give the KiB of a memory that the system holds pages for."""
    pages = ctypes.create_string_buffer(len(memory._region) // mmap.PAGESIZE)
    address = int(low_level.ffi.cast("uintptr_t", memory._held))
    assert ctypes.CDLL(None).mincore(ctypes.c_void_p(address), ctypes.c_size_t(len(memory._region)), pages) == 0
    return sum(page & 1 for page in pages.raw) * mmap.PAGESIZE // 1024


def is_blank(memory: KeptMemory) -> bool:
    return not memory._region[:].strip(b"\0")


@pytest.mark.parametrize(
    ("memory_cost", "lanes", "salt", "tag"),
    [
        (1 << 16, 1, b"somesalt", "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"),
        (1 << 8, 1, b"somesalt", "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"),
        (1 << 8, 2, b"somesalt", "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"),
        (1 << 16, 1, b"diffsalt", "bdf32b05ccc42eb15d58fd19b1f856b113da1e9a5874fdcc544308565aa8141c"),
    ],
)
def test_the_vectors_of_the_reference_program_come_out(memory_cost: int, lanes: int, salt: bytes, tag: str) -> None:
    assert tag == KeptMemory(2, memory_cost, lanes).tag(b"password", salt).hex()


@pytest.mark.parametrize("costs", COSTS)
def test_every_tag_is_argon2_cffis_also_in_memory_that_was_used_before(costs: tuple[int, int, int]) -> None:
    memory = KeptMemory(*costs)
    for password in (b"x", b"", b"a\0b", "contraseña".encode(), b"y" * 4096):
        plain = low_level.hash_secret_raw(password, SALT, *costs, 32, low_level.Type.ID)
        assert [plain, plain] == [memory.tag(password, SALT), memory.tag(password, SALT)]
        memory.give_back()
        assert plain == memory.tag(password, SALT)


def test_each_verifies_what_the_other_hashed() -> None:
    ours, theirs = Passwords(1, time_cost=1, memory_cost=64), argon2.PasswordHasher(1, 64, 1)
    assert theirs.verify(ours.hash("correct horse"), "correct horse") is True
    assert ours.verify("correct horse", theirs.hash("correct horse")) is True
    assert ours.verify("wrong horse", theirs.hash("correct horse")) is False


def test_nothing_of_a_hash_stays_in_the_memory() -> None:
    memory = KeptMemory(1, 19456, 1)
    memory.tag(b"correct horse", SALT)
    assert resident(memory) >= 19456
    assert is_blank(memory)


def is_given_back(memory: KeptMemory) -> bool:
    """Wait, ten seconds at most, until the system has the pages."""
    until = time.monotonic() + 10
    while resident(memory) and time.monotonic() < until:
        time.sleep(0.01)
    return resident(memory) == 0


def test_pages_stay_for_the_next_hash() -> None:
    passwords = Passwords(2, time_cost=1, memory_cost=8192, kept_for=60)
    for _ in range(2):
        passwords.verify("x", None)
        [memory] = passwords._memories
        assert resident(memory) >= 8192


def test_a_process_that_hashed_nothing_for_a_while_has_no_pages() -> None:
    passwords = Passwords(2, time_cost=1, memory_cost=8192, kept_for=0.01)
    for _ in range(2):
        passwords.verify("x", None)
        assert is_given_back(passwords._memories[0])


def test_who_watches_the_pages_ends_with_them() -> None:
    passwords = Passwords(2, time_cost=1, memory_cost=64, kept_for=0.01)
    passwords.verify("x", None)
    keeper = passwords._keeper
    if keeper is not None:  # else it has ended already
        keeper.join(10)
        assert not keeper.is_alive()
    assert passwords._keeper is None


def test_where_no_thread_can_be_started_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    passwords = Passwords(1, time_cost=1, memory_cost=8192)
    passwords.verify("x", None)
    assert 0 == resident(passwords._memories[0])


def test_hashes_at_one_time_are_right_in_no_more_memories_than_slots() -> None:
    passwords = Passwords(3, time_cost=1, memory_cost=512)
    stored = {password: passwords.hash(password) for password in ("one", "two", "three", "four")}
    asked = [(typed, kept) for typed in stored for kept in stored] * 8
    with ThreadPoolExecutor(12) as threads:
        fits = list(threads.map(lambda pair: passwords.verify(pair[0], stored[pair[1]]), asked))
    assert fits == [typed == kept for typed, kept in asked]
    assert len(passwords._memories) <= 3
    assert all(is_blank(memory) for memory in passwords._memories)


def test_an_error_in_between_gives_slot_and_memory_back() -> None:
    passwords = Passwords(1, time_cost=1, memory_cost=64)
    for _ in range(3):
        with pytest.raises(RuntimeError), passwords._slot(), passwords._memory():
            raise RuntimeError
    assert (0, 1) == (passwords._present, len(passwords._memories))
    assert passwords.verify("x", passwords.hash("x")) is True


def test_others_run_while_a_hash_is_computed() -> None:
    memory, begins, rounds = KeptMemory(50, 4096, 1), threading.Barrier(2), 0

    def hash_at_length() -> None:
        begins.wait()
        memory.tag(b"x", SALT)

    hashing = threading.Thread(target=hash_at_length)
    hashing.start()
    begins.wait()
    while hashing.is_alive():
        hashing.join(0.001)
        rounds += 1
    assert rounds > 10


@pytest.mark.parametrize(
    ("owner", "name"),
    [(low_level, "core"), (low_level, "ARGON2_VERSION"), (mmap, "MAP_PRIVATE"), (mmap.mmap, "madvise")],
)
def test_where_there_is_no_such_memory_argon2_cffi_does_it_alone(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    if owner is mmap.mmap:
        monkeypatch.setattr(kept_memory.mmap, "mmap", lambda *_, **__: bytearray(8))
    else:
        monkeypatch.delattr(owner, name)
    assert kept_memory.opened(1, 8, 1) is None
    passwords = Passwords(1, time_cost=1, memory_cost=8)
    assert passwords.verify("x", passwords.hash("x")) is True
    assert passwords.verify("y", passwords.hash("x")) is False


@pytest.mark.parametrize("found", [0, -22])
def test_a_binding_that_computes_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch, found: int) -> None:
    monkeypatch.setattr(low_level, "core", lambda context, kind: found)
    assert kept_memory.opened(1, 8, 1) is None


def test_more_memory_than_was_meant_is_not_lent() -> None:
    memory = KeptMemory(1, 8, 1)
    memory._context.m_cost = 1 << 15
    with pytest.raises(argon2.exceptions.HashingError):
        memory.tag(b"x", SALT)


def test_a_system_without_large_pages_is_as_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", 4711)
    refused = kept_memory.opened(1, 8, 1)
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE")
    missing = kept_memory.opened(1, 8, 1)
    assert refused is not None
    assert missing is not None
    assert refused.tag(b"x", SALT) == missing.tag(b"x", SALT)


def test_only_a_hash_written_exactly_as_ours_is_taken_apart_here() -> None:
    """As argon2 does, which takes no second spelling of the same bytes."""
    passwords = Passwords(1, time_cost=1, memory_cost=8)
    stored = passwords.hash("x")
    head, salt, tag = stored.rsplit("$", 2)
    others = [f"{head}${salt[:-1]}B${tag}", f"{head}${salt}${tag[:-1]}B", f"{stored}=", f"{stored}\n", f"{head}${salt}"]
    for other in others:
        assert passwords.needs_rehash(other) is True
        assert passwords.verify("x", other) is False
