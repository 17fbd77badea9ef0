"""Tests of portero.cli.worker_process, with real processes."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from portero.cli import worker_process

BORN = """
    import os, signal, time
    from portero.cli.worker_process import stop_from_birth

    signal.signal(signal.SIGTERM, lambda number, frame: None)
    stop_from_birth()
    ends = []
    for _ in range(20):
        child = os.fork()
        if child == 0:
            for _ in range(300):
                time.sleep(0.1)
            os._exit(0)
        os.kill(child, signal.SIGTERM)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.kill(os.getpid(), signal.SIGTERM)
    print(set(ends), "the parent has its own handler")
"""

INHERITED = """
    import os, select
    from portero.cli.worker_process import Alarm

    alarm = Alarm(lambda: False)
    worker = os.fork()
    if worker == 0:
        alarm.set()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
    heard = [bool(select.select([alarm._heard], [], [], 0)[0])]
    alarm.set()
    heard.append(bool(select.select([alarm._heard], [], [], 0)[0]))
    print(f"the worker {code}: {heard[0]}, the server: {heard[1]}")
"""

HAS_BATCHES = hasattr(os, "SCHED_BATCH")  # Linux has


@pytest.fixture
def own_scheduling() -> Iterator[None]:
    before = os.sched_getscheduler(0) if HAS_BATCHES else 0
    yield
    if HAS_BATCHES:
        os.sched_setscheduler(0, before, os.sched_param(0))


class Forked:
    """A worker as granian holds it."""

    idx = 0

    def __init__(self, target: Callable[[], object] = os.getpid) -> None:
        self.inner = multiprocessing.get_context("fork").Process(target=target)

    def start(self) -> None:
        self.inner.start()

    def join(self, timeout: float | None = None) -> None:
        self.inner.join(timeout)

    def is_alive(self) -> bool:
        return self.inner.is_alive()


def test_as_many_workers_as_cores_have_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5, 2})
    assert [2, 5] == worker_process.cores_for(2)
    assert [(), (), ()] == [worker_process.cores_for(workers) for workers in (1, 3, 4)]
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert () == worker_process.cores_for(1)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert () == worker_process.cores_for(2)


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_worker_keeps_to_its_core_from_its_start_on() -> None:
    core = max(os.sched_getaffinity(0))
    asked, told = multiprocessing.Event(), multiprocessing.SimpleQueue()

    def tell() -> None:
        asked.wait(30)
        told.put(os.sched_getaffinity(0))

    worker = Forked(tell)
    worker_process.keep_to_core(worker, core)
    worker.start()
    asked.set()
    assert {core} == told.get()
    worker.join()
    assert os.sched_getaffinity(0) >= {core}


def test_a_stop_ends_a_child_that_was_just_born_and_no_other_process() -> None:
    command = [sys.executable, "-c", textwrap.dedent(BORN)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert f"{ {-signal.SIGTERM} } the parent has its own handler\n" == run.stdout


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_worker_that_another_thread_has_waited_for_is_not_taken_for_one_that_refuses_to_stop() -> None:
    worker = Forked()
    worker.start()
    worker_process.be_patient(worker)
    assert worker.inner.pid is not None
    os.waitpid(worker.inner.pid, 0)
    assert worker.is_alive()

    def note() -> None:
        time.sleep(0.05)
        worker.inner._popen.returncode = 0  # type: ignore[attr-defined]

    other = threading.Thread(target=note)
    other.start()
    worker.join(1)
    assert not worker.is_alive()
    other.join()


def test_threads_share_two_arenas_where_the_c_library_has_arenas(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    assert ("glibc" == platform.libc_ver()[0]) is worker_process.share_arenas()


def test_who_sets_the_arenas_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "8")
    assert not worker_process.share_arenas()


def test_a_workers_threads_take_short_turns() -> None:
    before = sys.getswitchinterval()
    try:
        worker_process.take_short_turns()
        assert sys.getswitchinterval() <= 0.001
    finally:
        sys.setswitchinterval(before)


@pytest.mark.usefixtures("own_scheduling")
def test_threads_that_begin_later_run_as_a_batch_and_who_set_it_before_decides() -> None:
    assert worker_process.run_as_batch() is HAS_BATCHES
    assert not worker_process.run_as_batch()
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(_is_batch).result() is HAS_BATCHES


@pytest.mark.usefixtures("own_scheduling")
@pytest.mark.parametrize("name", ["sched_getscheduler", "sched_setscheduler"])
def test_a_system_that_forbids_batches_is_left_as_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, name, forbidden, raising=False)
    assert not worker_process.run_as_batch()
    monkeypatch.undo()
    assert not _is_batch()


def _is_batch() -> bool:
    return HAS_BATCHES and os.sched_getscheduler(0) == os.SCHED_BATCH


@pytest.fixture
def stops() -> list[bool]:
    """Not empty once the stop has come."""
    return []


@pytest.fixture
def alarm(stops: list[bool]) -> Iterator[worker_process.Alarm]:
    made = worker_process.Alarm(lambda: bool(stops))
    yield made
    made._heard.close()
    made._bell.close()


def test_the_main_loop_hears_a_bell_and_forgets_it_when_it_is_told_to(alarm: worker_process.Alarm) -> None:
    ringing = threading.Timer(0.05, alarm.set)
    ringing.start()
    alarm.wait()
    alarm.clear()
    waiting = threading.Thread(target=alarm.wait, daemon=True)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    for _ in range(100_000):
        alarm.set()  # nobody hears so many, and nobody waits for room
    waiting.join(5)
    assert not waiting.is_alive()


def test_a_stop_is_not_forgotten_with_the_bell_that_it_rang(alarm: worker_process.Alarm, stops: list[bool]) -> None:
    stops.append(True)
    alarm.set()
    alarm.clear()
    alarm.wait()  # it would wait for ever


def test_a_bell_that_a_worker_inherited_wakes_nobody() -> None:
    """A worker has the server's handler of a SIGHUP."""
    command = [sys.executable, "-c", textwrap.dedent(INHERITED)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "the worker 0: False, the server: True\n" == run.stdout
