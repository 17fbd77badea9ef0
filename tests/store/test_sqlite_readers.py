"""Tests of portero.store.sqlite_readers: who takes which reader, and who waits."""

from __future__ import annotations

import sqlite3
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
        _until(lambda: readers.is_watched)
        readers.give_back(taken[2])
        assert waits.result(10) is taken[2]
    assert not readers.is_watched


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
    assert (len(readers.free), readers.is_watched) == (sqlite_readers._USUAL, False)


def test_one_that_cannot_be_opened_leaves_its_place() -> None:
    answers: list[Callable[[], Reader]] = [_opened] + [_refused] * sqlite_readers._USUAL

    def connect() -> Reader:
        return answers.pop()()

    readers = Readers(connect)
    for _ in range(sqlite_readers._USUAL):
        with pytest.raises(OSError, match="none"):
            _taken(readers)
    assert isinstance(_taken(readers), Reader)


def test_short_reads_never_open_more_than_a_crowd_gets(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_readers, "_MOMENT", 0.0005)
    ends = time.monotonic() + 1.5

    def read(_: int) -> None:
        while time.monotonic() < ends:
            reader = _taken(readers)
            reader.clock.started = time.monotonic() + 10  # short, however slow this machine is
            readers.give_back(reader)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(read, range(16), timeout=25))
    assert sqlite_readers._USUAL <= len(readers.free) <= sqlite_readers._CROWD


def test_what_is_read_on_is_closed_when_it_is_given_back() -> None:
    closed: list[int] = []

    class Connection:
        def close(self) -> None:
            closed.append(id(self))

    readers = Readers(lambda: Reader(Clock(1), Connection(), object()))
    first, second = _taken(readers), _taken(readers)
    readers.give_back(first)
    assert not readers.close_if_idle()
    assert (closed, readers.free) == ([], [first])
    readers.close()
    assert closed == [id(first.connection)]
    readers.give_back(second)
    assert closed == [id(first.connection), id(second.connection)]


def test_idle_readers_are_closed_and_others_opened_after_them() -> None:
    readers = Readers(lambda: Reader(Clock(1), sqlite3.connect(":memory:"), object()))
    taken = [_taken(readers) for _ in range(sqlite_readers._USUAL)]
    for each in taken:
        readers.give_back(each)
    assert readers.close_if_idle()
    assert _taken(readers) not in taken


def _refused() -> Reader:
    raise OSError("none")


def _until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not holds() and time.monotonic() < ends:
        time.sleep(0.001)
    assert holds()
