"""Tests of portero.store.writer_turn: two turns on one file are two processes to the kernel."""

from __future__ import annotations

import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portero.errors import DatabaseUnavailable
from portero.store.writer_turn import WriterTurn


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[tuple[WriterTurn, WriterTurn]]:
    one, two = WriterTurn(tmp_path / "db.writer"), WriterTurn(tmp_path / "db.writer")
    yield one, two
    one.close()
    two.close()


def test_a_turn_that_is_given_back_goes_to_the_one_that_waits(turns: tuple[WriterTurn, WriterTurn]) -> None:
    one, two = turns
    for _ in range(3):
        one.take(1)
        threading.Timer(0.02, one.give_back).start()
        started = time.monotonic()
        two.take(5)
        assert 0.01 < time.monotonic() - started < 2
        two.give_back()


def test_a_turn_that_is_kept_too_long_is_not_waited_for(turns: tuple[WriterTurn, WriterTurn]) -> None:
    one, two = turns
    one.take(1)
    with pytest.raises(DatabaseUnavailable):
        two.take(0.02)
    one.give_back()


class Interrupted(BaseException):
    pass


def test_who_is_interrupted_while_waiting_leaves_the_turn_to_others(turns: tuple[WriterTurn, WriterTurn]) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    one, two = turns
    one.take(1)
    former = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(2):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(Interrupted):
                two.take(30)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    one.give_back()
    two.take(5)
    two.give_back()
    one.take(5)
    one.give_back()


def test_what_comes_too_late_is_given_back_at_once(turns: tuple[WriterTurn, WriterTurn]) -> None:
    one, two = turns
    one.take(1)
    with pytest.raises(DatabaseUnavailable):
        two.take(0.02)
    one.give_back()
    two.take(1)
    with pytest.raises(DatabaseUnavailable):
        one.take(0)
    two.give_back()
    one.take(1)
    one.give_back()


def test_a_turn_dies_with_its_file_and_the_file_is_private(
    turns: tuple[WriterTurn, WriterTurn], tmp_path: Path
) -> None:
    one, two = turns
    one.take(1)
    one.close()
    two.take(0)
    assert stat.S_IMODE((tmp_path / "db.writer").stat().st_mode) == 0o600


def test_a_child_lets_go_of_the_parents_turn(turns: tuple[WriterTurn, WriterTurn]) -> None:
    one, two = turns
    one.take(1)
    one.after_fork()
    one.after_fork()
    two.take(0)
