"""Threads beside the requests: they go on after a fault, end when they are told, and sweep by themselves."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from flask import Flask
from tests.identity.people import SECRET
from tests.web.callers import Api, now
from tests.web.conftest import Make

from portero import JWTManager
from portero.settings import Settings
from portero.store import counters
from portero.web.background import Background
from portero.web.sweep_worker import limits_of, sweep_now, sweeper

LONG = 3600.0


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("portero-test")]


def test_work_is_done_again_after_a_fault_and_when_it_is_woken(caplog: pytest.LogCaptureFixture) -> None:
    rounds = threading.Semaphore(0)
    counted: list[int] = []

    def work() -> None:
        counted.append(1)
        rounds.release()
        if len(counted) == 1:
            raise ZeroDivisionError

    background = Background("portero-test", work, lambda: 0.0 if len(counted) < 3 else LONG)
    background.start()
    background.start()
    assert all(rounds.acquire(timeout=10) for _ in range(3))
    background.wake()
    assert rounds.acquire(timeout=10)
    assert ["portero-test"] == names()
    background.stop()
    assert (4, []) == (len(counted), names())
    assert "the background work failed" in caplog.text
    background.wake()
    assert [] == names()


def test_what_begins_with_a_pause_does_nothing_at_once_and_can_be_stopped_in_it() -> None:
    counted: list[int] = []
    background = Background("portero-test", lambda: counted.append(1), lambda: LONG, begins_with_pause=True)
    background.start()
    background.stop()
    assert ([], []) == (counted, names())


def test_an_application_that_serves_sweeps_by_itself(make: Make) -> None:
    api = make(sweep_interval=timedelta(milliseconds=20))
    with api.context.changing() as change:
        counters.hit(change.connection, "void", 1, timedelta(0), now())
    assert api.runtime.sweeper is not None
    gone = threading.Event()

    def look() -> None:
        while not gone.wait(0.02):
            with api.runtime.database.reading() as connection:
                if not connection.exec_driver_sql("SELECT 1 FROM portero_counters WHERE name = 'void'").all():
                    gone.set()

    watcher = threading.Thread(target=look)
    watcher.start()
    api.runtime.sweeper.start()
    assert gone.wait(20)
    watcher.join()
    api.runtime.sweeper.stop()


def test_the_settings_say_how_often_and_how_long_what_is_kept(api: Api) -> None:
    assert sweeper(Settings(sweep_interval=timedelta(0)), api.runtime.database) is None
    limits = limits_of(Settings())
    assert (30, 14, 365) == (limits.time_box.days, limits.idle.days, limits.audit.days)
    assert 0 == sweep_now(api.runtime).sessions


def test_a_frozen_application_sweeps_unless_it_is_tested(sqlite_url: str) -> None:
    found = []
    for testing in (True, False):
        app = Flask("app")
        app.config.update(TESTING=testing, JWT_SECRET_KEY=SECRET, PORTERO_DATABASE_URL=sqlite_url)
        jwt = JWTManager(app)
        others = set(threading.enumerate())  # of other applications in this process
        jwt.freeze(app)
        found.append("portero-sweep" in [thread.name for thread in threading.enumerate() if thread not in others])
        jwt.close(app)
    assert [False, True] == found
    assert "portero-sweep" not in [thread.name for thread in threading.enumerate() if thread not in others]


FORKED = """
import os, sys, threading
from flask import Flask
from portero import JWTManager
from portero.errors import ConfigurationError
app = Flask("app")
app.config.update(JWT_SECRET_KEY=sys.argv[1], PORTERO_DATABASE_URL=sys.argv[2])
jwt = JWTManager(app)
runtime = jwt.freeze(app)
begun = lambda: "portero-sweep" in [thread.name for thread in threading.enumerate()]
found = [begun()]
with jwt._lock, runtime.sweeper._lock:
    child = os.fork()
if not child:
    found = [begun()]
    try:
        jwt.models([])
    except ConfigurationError:
        found.append("refused")
    found.append(app.test_client().get("/auth/v1/settings").status_code)
    found += [begun(), jwt.freeze(app) is runtime]
    runtime.close()
    print("child", *found, begun(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("parent", *found, begun())
"""


def test_an_application_frozen_before_a_fork_begins_anew_in_the_child_with_its_first_request(sqlite_url: str) -> None:
    """As with a server that loads the application and then forks; locks that were held at that moment are free."""
    command = [sys.executable, "-c", FORKED, SECRET, sqlite_url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert ["child False refused 200 True True False", "parent True True"] == done.stdout.splitlines()
