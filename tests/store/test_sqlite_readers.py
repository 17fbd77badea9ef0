"""Tests of portero.store.sqlite_readers: who takes which reader, and who waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from portero.store import sqlite_readers
from portero.store.sqlite_readers import Clock, Reader, Readers


def _opened() -> Reader:
    return Reader(Clock(1), object(), object())


def _taken(readers: Readers) -> Reader:
    try:
        return readers.free.pop()
    except IndexError:
        return readers.another()


@pytest.fixture
def readers() -> Readers:
    return Readers(_opened)


def test_the_reader_that_was_given_back_last_is_taken_first(readers: Readers) -> None:
    first, second = _taken(readers), _taken(readers)
    readers.give_back(first)
    readers.give_back(second)
    assert [_taken(readers) for _ in range(2)] == [second, first]


def test_who_finds_none_free_gets_the_next_that_is_given_back(
    readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_readers, "_MOMENT", 30)
    taken = [_taken(readers) for _ in range(sqlite_readers._USUAL)]
    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(_taken, readers)
        _until(lambda: readers.waiting == 1)
        readers.give_back(taken[2])
        assert waits.result(10) is taken[2]
    assert readers.waiting == 0


def test_a_crowd_shares_the_usual_readers_and_nobody_is_forgotten(
    readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_readers, "_MOMENT", 30)
    held: list[Reader] = []
    guard = threading.Lock()

    def read(_: int) -> None:
        reader = _taken(readers)
        with guard:
            assert reader not in held
            held.append(reader)
        time.sleep(0.0001)
        with guard:
            held.remove(reader)
        readers.give_back(reader)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(read, range(2_000), timeout=25))
    assert (len(readers.free), readers.waiting, readers.is_any_taken()) == (sqlite_readers._USUAL, 0, False)


def test_one_that_cannot_be_opened_leaves_its_place() -> None:
    answers: list[Callable[[], Reader]] = [_opened, _refused]

    def connect() -> Reader:
        return answers.pop()()

    readers = Readers(connect)
    with pytest.raises(OSError, match="none"):
        _taken(readers)
    assert isinstance(_taken(readers), Reader)


def _refused() -> Reader:
    raise OSError("none")


def _until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not holds() and time.monotonic() < ends:
        time.sleep(0.001)
    assert holds()
