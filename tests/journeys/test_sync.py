"""Each acknowledgement waited for the disk: `fsync` is counted in the server's own processes.

Nothing is skipped: where the calls cannot be counted, `sync_meter` raises and the server does not start.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from tests.journeys.project import ROOT, Answer, Project, open_sessions

CHECK = """
import sys
from portero.store.sqlite_driver import DRIVER
from tests.journeys import sync_meter
sync_meter.install(sys.argv[1])
connection = DRIVER.connect(sys.argv[2], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE t (n)")
for synchronous in ("NORMAL", "FULL"):
    connection.execute(f"PRAGMA synchronous={synchronous}")
    before = open(sys.argv[1]).read().count("-wal")
    for n in range(10):
        connection.execute("INSERT INTO t VALUES (?)", (n,))
    print(open(sys.argv[1]).read().count("-wal") - before)
"""


def test_the_meter_sees_the_difference_between_a_commit_that_waits_and_one_that_does_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHECK, str(tmp_path / "notes"), str(tmp_path / "app.db")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ("", ["0", "10"]) == (done.stderr, done.stdout.split())


@pytest.fixture
def notes(project: Project) -> Path:
    """The project's application, with the meter in every worker."""
    notes = project.folder / "syncs"
    package = project.folder / "app" / "__init__.py"
    meter = f"from tests.journeys import sync_meter\nimport portero\nsync_meter.install({str(notes)!r})\n"
    package.write_text(meter + package.read_text())
    return notes


def _log_syncs(notes: Path) -> int:
    return sum(line.endswith("portero.db-wal") for line in notes.read_text().splitlines())


def test_every_acknowledged_write_waited_for_a_sync(project: Project, notes: Path) -> None:
    sessions = open_sessions(project, "ana@example.org", 16)
    writer, refresh = sessions[0]

    def insert(title: str) -> Answer:
        return project.ask("POST", "/rest/v1/notes", {"title": title}, writer)

    def synced(write: Callable[[], Answer], expected: int) -> Answer:
        before = _log_syncs(notes)
        answer = write()
        assert (expected, True) == (answer.status, _log_syncs(notes) > before)
        return answer

    with project.serving():
        for each in range(20):
            synced(partial(insert, f"alone {each}"), 201)
        for access, _ in sessions[1:11]:
            synced(partial(project.ask, "POST", "/auth/v1/logout?scope=local", token=access), 204)
        for _ in range(5):
            body = {"refresh_token": refresh}
            answer = synced(partial(project.ask, "POST", "/auth/v1/token?grant_type=refresh_token", body), 200)
            refresh = answer.body["refresh_token"]
        with ThreadPoolExecutor(8) as pool:
            # They may share a sync, but it came between each one's request and its answer.
            list(pool.map(lambda each: synced(partial(insert, f"together {each}"), 201), range(200)))
