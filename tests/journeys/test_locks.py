"""Flask-SQLAlchemy beside Portero on one SQLite file: one library in each process, so no lock and no write is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from tests.journeys.project import Project, open_sessions, sqlite_libraries, workers_of

from portero.store.sqlite_driver import DRIVER

#: A third process that writes with Flask-SQLAlchemy's engine and with Portero's writer in turn.
OUTSIDER = """
from app import Tick, app, db
extension = app.extensions["portero"]
database = extension.freeze(app).database
with app.app_context():
    for n in range(50):
        db.session.add(Tick(name=f"outside {n}"))
        db.session.commit()
        with database.writing() as connection:
            connection.exec_driver_sql("INSERT INTO tick (name) VALUES (?)", (f"portero {n}",))
extension.close(app)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The application with a database of its own; development makes its tables."""
    (tmp_path / "app").mkdir()
    shutil.copy(Path(__file__).with_name("shop_with_db.py.txt"), tmp_path / "app" / "__init__.py")
    return Project(tmp_path, PORTERO_DEV="yes")


def _column(path: Path, sql: str) -> list[str]:
    connection = DRIVER.connect(str(path))
    rows = connection.execute(sql).fetchall()
    connection.close()
    return [row[0] for row in rows]


def test_writes_from_both_sides_and_several_processes_are_all_kept(project: Project) -> None:
    ((token, _),) = open_sessions(project, "ana@example.org", 1)

    def write(number: int) -> tuple[str, int]:
        if number % 2:
            return f"t{number}", project.ask("POST", "/ticks", {"name": f"t{number}"}, token).status
        return f"n{number}", project.ask("POST", "/rest/v1/note", {"title": f"n{number}"}, token).status

    with project.serving() as leader, ThreadPoolExecutor(8) as pool:
        outsider = subprocess.Popen([sys.executable, "-c", OUTSIDER], cwd=project.folder, env=dict(project.environ))
        answers = list(pool.map(write, range(200)))
        assert 0 == outsider.wait(60)
        assert {201} == {status for _, status in answers}
        _check_libraries(leader)
    path = project.folder / "instance" / "shop.db"
    outside = {f"{side} {n}" for side in ("outside", "portero") for n in range(50)}
    assert sorted(name for name, _ in answers if name[0] == "n") == sorted(_column(path, "SELECT title FROM note"))
    ticks = {name for name, _ in answers if name[0] == "t"} | outside
    assert sorted(ticks) == sorted(_column(path, "SELECT name FROM tick"))
    assert ["ok"] == _column(path, "PRAGMA integrity_check")
    assert [] == _column(path, "PRAGMA foreign_key_check")


def _check_libraries(leader: psutil.Process) -> None:
    """Every worker has both extensions in use and one SQLite library loaded."""
    workers = workers_of(leader)
    assert 2 == len(workers)
    for worker in workers:
        (library,) = sqlite_libraries(worker)
        assert "pysqlite3" in library
