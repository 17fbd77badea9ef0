"""What makes a process a good worker of `portero serve`: a stop that stops it, a core, its turns, little memory.

It knows signals, processes and the allocator of the C library, and nothing of the application or of HTTP.
"""

from __future__ import annotations

import ctypes
import multiprocessing.process
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from granian import Granian

#: glibc's mallopt(3): in how many places the threads of a process ask for memory.
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2
#: Who sets it, in this way or as a tunable, decides.
_ARENA_SETTINGS: Final = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
#: Seconds that a thread whose wait for the disk or the database is over waits for one that computes. Python's own five
#: milliseconds are fifty requests: with sixteen threads the slowest of a hundred took twice as long.
_SWITCH: Final = 0.0005
#: Seconds until the thread that waited for a worker has surely noted that it ended.
_NOTED: Final = 1.0
#: Seconds within which a stop that goes to a whole group of processes reaches each of them.
_SAME_MOMENT: Final = 0.1


class Worker(Protocol):
    """What granian knows of a worker."""

    idx: int
    inner: multiprocessing.process.BaseProcess

    def start(self) -> None:
        """Let it run."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until it ends."""

    def is_alive(self) -> bool:
        """Tell whether it has not ended, as far as is known."""


class Alarm:
    """What granian's main loop waits for, in the place of a `threading.Event`: a stop is never lost.

    An event has a lock, and a handler that sets it in the thread that has just taken it waits for itself. And the loop
    clears it when it looks after workers that ended: a stop that came meanwhile was forgotten, and the server stayed.
    That happened where a stop goes to the workers as well, as from systemd.

    Args:
        is_stopped: tells whether the stop has come; then nothing is waited for.
    """

    def __init__(self, is_stopped: Callable[[], bool]) -> None:
        self._is_stopped = is_stopped
        self._owner = os.getpid()
        self._heard, self._bell = socket.socketpair()
        for end in (self._heard, self._bell):
            end.setblocking(False)

    def set(self) -> None:
        """Wake the loop; from any thread, and from a signal handler.

        A worker is born with this, and with the handler of a SIGHUP, which is not the server's:
        the loop would find nothing to do, leave the bell ringing, and wake ten times a second from then on.
        """
        if os.getpid() != self._owner:
            return
        with suppress(BlockingIOError):  # it is full of bells that nobody heard yet
            self._bell.send(b"!")

    def clear(self) -> None:
        """Forget what was heard."""
        with suppress(BlockingIOError):
            self._heard.recv(65536)

    def wait(self) -> None:
        """Wait until it is set, or the stop has come."""
        if not self._is_stopped():
            select.select([self._heard], [], [])
        if not self._is_stopped():
            # Workers that ended may have got the stop a moment before this process.
            time.sleep(_SAME_MOMENT)


class PatientServer(Granian):  # type: ignore[valid-type, misc]  # which of two classes it is depends on the interpreter
    """granian, which says that it kills a worker only where it does, and gives each one a core of its own.

    Attributes:
        cores: those that the workers take, in their order; () leaves it to the system.
    """

    cores: Sequence[int] = ()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.main_loop_interrupt = Alarm(lambda: self.interrupt_signal)

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop the workers; those that the stop itself has reached before are no failure."""
        if self.interrupt_signal:
            self.interrupt_children.clear()
        super().shutdown(exit_code)

    def _spawn_worker(self, *arguments: Any, **options: Any) -> Any:
        worker = super()._spawn_worker(*arguments, **options)
        be_patient(worker)
        if self.cores:
            keep_to_core(worker, self.cores[worker.idx % len(self.cores)])
        return worker


def cores_for(workers: int) -> Sequence[int]:
    """Give a core for each of several workers; () where there are not exactly as many as workers.

    Of the threads of one interpreter one computes at a time. Spread over cores they wake each other across them: that
    took a quarter of the writes of two workers on two cores, and a third of a mixed load.
    """
    if not hasattr(os, "sched_getaffinity"):  # only Linux tells
        return ()
    usable = sorted(os.sched_getaffinity(0))
    return usable if len(usable) == workers > 1 else ()


def keep_to_core(worker: Worker, core: int) -> None:
    """Let a worker, and all its threads, run on one core from its start on."""
    plain_start = worker.start

    def start() -> None:
        plain_start()
        if worker.inner.pid is not None:
            with suppress(OSError):  # it ended at once, or the system does not let us: it runs where it can
                os.sched_setaffinity(worker.inner.pid, {core})

    worker.start = start  # type: ignore[method-assign]


def be_patient(worker: Worker) -> None:
    """Let a `join` of a worker that ended return when its end is known.

    Two threads wait for each worker. The system tells one of them that it ended; the other one found a worker that is
    neither there nor known to have ended, took it for one that refuses to stop, and killed it, as it said.
    """
    plain_join = worker.join

    def join(timeout: float | None = None) -> None:
        plain_join(timeout)
        until = time.monotonic() + _NOTED
        while worker.is_alive() and _is_gone(worker.inner.pid) and time.monotonic() < until:
            time.sleep(0.001)

    worker.join = join  # type: ignore[method-assign]


def _is_gone(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return True
    return False


def stop_from_birth() -> None:
    """See to it that children this process forks from now on end at a SIGTERM, however early it comes.

    A child is born with the handlers of its parent, which do nothing for it: a stop that came before it had its own
    was forgotten, and the server waited for it until it was killed. So the signal waits while a child is born. Children
    of children are left alone.
    """
    parent = os.getpid()

    def before() -> None:
        if os.getpid() == parent:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def in_parent() -> None:
        if os.getpid() == parent:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def in_child() -> None:
        if os.getppid() == parent:
            become_stoppable()

    if hasattr(os, "register_at_fork"):  # Windows does not fork
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


def become_stoppable() -> None:
    """Let a SIGTERM end this process, until it has a handler of its own, and a Ctrl-C be its parent's affair.

    A terminal sends Ctrl-C to every process. The parent alone answers it, with one SIGTERM to each worker: one that got
    both would now and then hang in granian's handler until it is killed.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def take_short_turns() -> None:
    """Let the threads of this process change places more often than Python does by itself."""
    sys.setswitchinterval(_SWITCH)


def run_as_batch() -> bool:
    """Let the threads of this process, from now on, wait for the one that computes; give whether it was done.

    Linux lets what is woken go ahead of what runs. Here that is a thread that the interpreter's lock stops at once: it
    was run for nothing, and the one that has the lock must be run again. In a batch (sched(7)) what runs goes on until
    it waits or its time is over, and its share of the processor stays what it was. Measured on two cores, two workers
    write and read a fifth more, with the same longest waits. Whoever set another way of scheduling decides.
    """
    if not hasattr(os, "SCHED_BATCH"):
        return False
    try:
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            return False
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:  # a container that forbids it, a C library that has it not (musl)
        return False
    return True


def share_arenas() -> bool:
    """Let threads that come from now on ask for memory in two places instead of one each; give whether it was done.

    What a thread gave back stays in its place, and other threads cannot have it: sixteen such places hold megabytes
    that nobody uses. The threads of an interpreter seldom ask at the same moment. Only glibc has this setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None or any(name in os.environ for name in _ARENA_SETTINGS):
        return False
    return bool(mallopt(_M_ARENA_MAX, _ARENAS))
