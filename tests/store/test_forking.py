"""Tests of portero.store.forking: holders are told of a fork while they live."""

from __future__ import annotations

import os
import subprocess
import sys

from portero.store import forking


class Holder:
    def __init__(self) -> None:
        self.told: list[str] = []

    def before_fork(self) -> None:
        self.told.append("before")

    def after_fork(self) -> None:
        self.told.append("after")


def test_a_holder_is_told_on_both_sides_of_a_fork() -> None:
    script = (
        "import os\nfrom portero.store import forking\nfrom tests.store.test_forking import Holder\n"
        "holder = Holder(); forking.watch(holder); child = os.fork()\n"
        "if child == 0: os._exit(len(holder.told))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(holder.told))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=os.getcwd())
    assert done.stdout.split() == ["2", "1"]


def test_a_holder_that_is_gone_is_not_told() -> None:
    holder = Holder()
    forking.watch(holder)
    forking._before()
    forking._after()
    assert holder.told == ["before", "after"]
