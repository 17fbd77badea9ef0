"""The command `portero`, run in a project as `portero new` writes it: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import UUID, uuid4

import psutil
import pytest
from click.testing import CliRunner, Result
from tests.mail_server import Server
from tests.served import free_port

from portero.cli import portero
from portero.cli.reload import is_loaded, snapshot
from portero.cli.users import duration_of
from portero.scaffold import write_project

PASSWORD = "a long walk in October"


def forget_project() -> None:
    """Drop the modules of a project, so that the next one is loaded anew."""
    for name in [name for name in sys.modules if name == "app" or name.startswith("app.")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its database, made once and copied for each test."""
    directory = tmp_path_factory.mktemp("prepared") / "shop"
    runner = CliRunner()
    assert 0 == runner.invoke(portero, ["new", str(directory)]).exit_code
    return directory


@pytest.fixture
def project(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = tmp_path / "shop"
    shutil.copytree(prepared, directory)
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(str(directory))
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in ("JWT_SECRET_KEY", "PORTERO_DEV", "PORTERO_URL"):
        monkeypatch.delenv(name, raising=False)
    forget_project()
    yield directory
    forget_project()


def run(*arguments: str, stdin: str = "") -> Result:
    forget_project()
    return CliRunner().invoke(portero, list(arguments), input=stdin)


def told(*arguments: str, stdin: str = "") -> str:
    """Run a command that must succeed, and give what it printed."""
    result = run(*arguments, stdin=stdin)
    assert 0 == result.exit_code, result.output
    return result.output


def refused(*arguments: str, stdin: str = "") -> str:
    """Run a command that must be refused with exit code 1, and give its sentence."""
    result = run(*arguments, stdin=stdin)
    assert 1 == result.exit_code, result.output
    return result.output


COMMANDS = [
    "",
    "new",
    "serve",
    "keys",
    "keys new",
    "keys list",
    "keys rotate",
    "keys retire",
    "keys secret",
    "keys api new",
    "keys api list",
    "keys api revoke",
    "token inspect",
    "mail list",
    "mail retry",
    "mail test",
    "users create",
    "users list",
    "users ban",
    "users delete",
    "users set-password",
    "users set-role",
    "users sign-out",
    "users show",
    "users invite",
    "users link",
    "users remove-factor",
    "db upgrade",
    "db revision",
    "db check",
    "doctor",
    "sweep",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    assert told(*command.split(), "--help").startswith("Usage: ")


def test_wrong_usage_is_exit_code_2() -> None:
    assert 2 == run("serve", "--threads", "1").exit_code
    assert 2 == run("users", "ban", "anna", "--for", "soon").exit_code


def test_a_directory_without_an_application_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "portero --app" in refused("--app", "nothing_here", "users", "list")


def test_an_application_without_portero_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "jwt = JWTManager(app)" in refused("--app", "plain", "users", "list")


def test_a_secret_that_others_can_read_is_refused(project: Path) -> None:
    (project / ".env").chmod(0o644)
    assert "chmod 600 .env" in refused("users", "list")
    assert "chmod 600 .env" in refused("doctor")


def test_new_never_writes_over_what_is_there(project: Path) -> None:
    assert "is not empty" in refused("new", str(project))
    assert "cannot be a project's name" in refused("new", str(project / "a b"))


def test_new_says_what_comes_next(tmp_path: Path) -> None:
    assert "portero serve --dev" in told("new", str(tmp_path / "next"))
    assert "" == told("new", str(tmp_path / "silent"), "--quiet")


def test_a_user_is_made_listed_banned_and_deleted(project: Path) -> None:
    user_id = told("users", "create", "anna", "--email", "anna@example.com", stdin=f"{PASSWORD}\n").strip()
    listed = told("users", "list")
    assert user_id in listed
    assert "anna@example.com" in listed
    assert listed.endswith("1 users\n")
    assert "is banned until" in told("users", "ban", "anna", "--for", "12h")
    assert "may sign in again" in told("users", "ban", user_id, "--lift")
    assert "new password" in told("users", "set-password", "anna@example.com", stdin="another long walk\n")
    assert "editor" in told("users", "set-role", "anna", "editor")
    shown = told("users", "show", "anna")
    assert user_id in shown
    assert "editor" in shown
    assert "0 sessions ended" in told("users", "sign-out", "anna")
    for refusal in (("sign-out", "anna", "--session", user_id), ("remove-factor", "anna", user_id)):
        assert "not found" in refused("users", *refusal)
    assert "/auth/v1/verify?token=" in told("users", "link", "anna@example.com", "--type", "recovery")
    assert "a user was made" in told("users", "link", "new@example.com")
    assert "a user was made" not in told("users", "link", "new@example.com")
    assert "portero users link EMAIL --type invite" in refused("users", "invite", "guest@example.com")
    assert "is deleted" in told("users", "delete", "anna", "--softly", "--yes")
    assert "There is no user 'anna'" in refused("users", "ban", "anna")


def test_a_user_may_have_an_address_only_or_no_password(project: Path) -> None:
    assert "no mail server" in refused("users", "invite", "eve@example.com")
    told("users", "create", "ben@example.com", "--no-password")
    assert "ben@example.com" in told("users", "list")
    assert "already been registered" in refused("users", "create", "ben@example.com", "--no-password")


def test_a_password_comes_from_stdin_and_must_be_there(project: Path) -> None:
    assert "No password" in refused("users", "create", "anna")
    assert "assword" in refused("users", "create", "anna", stdin="short\n")


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("12h", 43200), ("7d", 604800)])
def test_a_duration_is_a_number_with_a_unit(text: str, seconds: int) -> None:
    assert seconds == duration_of(text).total_seconds()


def test_signing_keys_are_made_rotated_and_retired(project: Path) -> None:
    assert "JWT_SECRET_KEY signs" in told("keys", "list")
    first = told("keys", "new", "--alg", "ES256")
    assert "jwks.json" in first
    second = told("keys", "new")
    assert "Next: portero keys rotate" in second
    kid = first.split()[4].rstrip(".")
    assert "signs from" in told("keys", "rotate")
    assert "--now if it leaked" in refused("keys", "retire", kid)
    assert "is retired" in told("keys", "retire", kid, "--now")
    assert 2 == told("keys", "list").count("ES256")
    assert "waiting" not in told("keys", "list")
    assert "not for 'none'" in refused("keys", "new", "--alg", "none")


def test_a_printed_secret_is_a_good_one() -> None:
    assert len(told("keys", "secret").strip()) >= 64


def test_keys_that_wait_sign_signed_and_ended_are_told_apart(project: Path) -> None:
    def standings() -> dict[str, str]:
        lines = [line.split() for line in told("keys", "list").splitlines() if "ES256" in line]
        return {kid: standing for kid, _, standing, *_ in lines}

    def made() -> str:
        return told("keys", "new").split("key ")[1].split(".")[0]

    former, current = made(), made()
    told("keys", "rotate")
    waiting, retired = made(), made()
    told("keys", "retire", retired, "--now")
    assert {former: "former", current: "current", waiting: "waiting", retired: "retired"} == standings()


def test_a_kid_that_begins_with_a_hyphen_is_no_option(project: Path) -> None:
    assert "no such key" in refused("keys", "retire", "-Iv3")
    assert "no such key" in refused("keys", "retire", "--v3", "--now")


def test_mails_are_listed_tried_again_and_tested(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "0 waiting, 0 failed, 0 sent" in told("mail", "list")
    assert "No mail can be sent" in refused("mail", "test", "ann@example.org")
    monkeypatch.setenv("PORTERO_SMTP_URL", f"smtp://127.0.0.1:{free_port()}")
    monkeypatch.setenv("PORTERO_MAIL_FROM", "shop@example.org")
    assert "It was not taken: ConnectionRefusedError" in refused("mail", "test", "ann@example.org")
    assert "Unable to validate email address" in refused("mail", "test", "ann")
    told("users", "invite", "ann@example.org")
    listed = told("mail", "list", "--state", "waiting")
    assert "invite" in listed
    assert "ann@example.org" not in listed
    mail_id = listed.splitlines()[1].split()[0]
    assert "1 mails are due now" in told("mail", "retry", mail_id)
    assert "1 mails are due now" in told("mail", "retry", "--all")
    with closing(sqlite3.connect(project / "instance" / "portero.db")) as connection, connection:
        connection.execute("UPDATE portero_outbox SET created_at = '2026-01-01 00:00:00.000000'")
    assert "0 mails of the last seven days failed, 1 wait: portero mail list says why" in run("doctor").output
    assert "There is no such mail" in refused("mail", "retry", str(uuid4()))
    assert 2 == run("mail", "retry").exit_code
    assert 2 == run("mail", "retry", mail_id, "--all").exit_code


def test_a_test_mail_is_taken_or_stands_in_the_log(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PORTERO_DEV", "yes")
    assert "It is in the log" in told("mail", "test", "Ann@example.org")
    assert "In development none leaves this machine" in told("mail", "list")
    assert "Mail to ann@example.org: A test" in caplog.text
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("PORTERO_SMTP_URL", server.url)
        monkeypatch.setenv("PORTERO_MAIL_FROM", "shop@example.org")
        assert "It was taken." in told("mail", "test", "ann@example.org")
        server.rcpt = "550 no such user"
        assert "Undeliverable: the mail server says 550" in refused("mail", "test", "ben@example.org")
        server.shutdown()
        thread.join()
    assert ["ann@example.org"] == [mail["To"] for mail in server.received]


def test_api_keys_are_made_listed_and_revoked(project: Path) -> None:
    secret = told("keys", "api", "new", "secret", "--name", "backup job").strip()
    published = told("keys", "api", "new", "publishable").strip()
    listed = told("keys", "api", "list")
    assert secret.startswith("sb_secret_")
    assert secret not in listed
    assert published in listed
    key_id = next(line.split()[0] for line in listed.splitlines() if "backup job" in line)
    assert "is revoked" in told("keys", "api", "revoke", key_id)
    assert "revoked already" in refused("keys", "api", "revoke", key_id)


def test_a_token_is_taken_apart_and_every_check_is_named(project: Path) -> None:
    token = subprocess.run(
        [sys.executable, "-c", MINT], cwd=project, capture_output=True, text=True, check=True
    ).stdout.split()
    good = told("token", "inspect", stdin=token[0])
    assert "Accepted: the access token of a session" in good
    assert "UTC)" in good
    assert "the session still stands" in good.replace("whether ", "")
    forged = refused("token", "inspect", stdin=token[0][:-4] + "AAAA")
    assert "FAILED  signature" in forged
    assert "Refused: the signature does not fit." in forged
    assert "Give the token on the standard input" in run("token", "inspect", "a.b.c").output
    assert "your own routes only" in told("token", "inspect", stdin=token[1])
    assert "cannot be read" in refused("token", "inspect", stdin="nonsense")
    os.environ["PORTERO_URL"] = "https://other.example"
    elsewhere = refused("token", "inspect", stdin=token[0])
    assert "Refused: iss is not this server's address (PORTERO_URL)." in elsewhere
    assert "This server is https://other.example/auth/v1: PORTERO_URL says so" in elsewhere
    assert "that server runs with: PORTERO_URL=http://127.0.0.1:8000\n" in elsewhere


MINT = f"""
from dotenv import load_dotenv
load_dotenv(".env")
from app import app, jwt
import portero
with app.app_context():
    portero.users.create(username="anna", password="{PASSWORD}")
    print(portero.sign_in("anna", "{PASSWORD}").access_token)
    print(portero.create_access_token("anna"))
jwt.close(app)
"""


def test_the_database_is_upgraded_compared_and_revised(project: Path) -> None:
    assert "at the newest revision" in told("db", "upgrade")
    assert "" == told("db", "upgrade", "--quiet")
    assert "The database fits." in told("db", "check")
    with (project / "app" / "models.py").open("a") as models:
        models.write(NEW_MODEL)
    assert "add table tags" in refused("db", "check")
    assert "add table tags" in refused("doctor")
    assert "Next: read the file" in told("db", "revision", "-m", "tags")
    written = next(project.glob("migrations/versions/*_tags.py")).read_text()
    assert "portero_" not in written.replace("portero_users.id", "")
    told("db", "upgrade")
    assert "The database fits." in told("db", "check")
    file = project / "app" / "models.py"
    file.write_text(file.read_text().replace("String(200)", 'String(200), ForeignKey("tags.id"), unique=True'))
    found = refused("db", "check")
    assert "add constraint on notes (title)" in found
    assert "add foreign key on notes (title)" in found


def test_a_migration_that_the_database_refuses_is_one_message(project: Path) -> None:
    told("db", "upgrade")
    models = project / "app" / "models.py"
    models.write_text(models.read_text().replace("    is_done:", "    stars: Mapped[int]\n    is_done:"))
    told("db", "revision", "-m", "stars")
    with closing(sqlite3.connect(project / "instance" / "portero.db", isolation_level=None)) as database:
        database.execute("INSERT INTO notes VALUES ('a', 'b', 'A note', '', 0, '2026-01-01')")
    found = refused("db", "upgrade")
    assert "Cannot add a NOT NULL column" in found
    assert "ALTER TABLE notes ADD COLUMN stars" in found
    assert "Give the new column a server_default" in found


NEW_MODEL = """

@expose(own("owner_id"))
class Tag(Base):
    __tablename__ = "tags"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
"""


def test_a_migration_of_what_development_made_already_is_marked_as_done(project: Path) -> None:
    with (project / "app" / "models.py").open("a") as models:
        models.write(NEW_MODEL)
    os.environ["PORTERO_DEV"] = "yes"
    told("users", "list")
    del os.environ["PORTERO_DEV"]
    assert "marked as upgraded" in told("db", "revision", "-m", "tags")
    assert "The database fits." in told("db", "check")
    told("db", "upgrade")


def test_a_revision_without_a_change_writes_nothing(project: Path) -> None:
    told("db", "upgrade")
    before = sorted(project.glob("migrations/versions/*.py"))
    assert "Nothing has changed in the models" in told("db", "revision", "-m", "nothing")
    assert before == sorted(project.glob("migrations/versions/*.py"))


ARTICLE = """

@expose(own("owner_id"), search=["title"])
class Article(Base):
    __tablename__ = "articles"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    title: Mapped[str]
"""


def test_a_revision_makes_the_index_of_words_and_drops_it_again(project: Path) -> None:
    """With its table; of a table that is there; anew where a column joins it; and the way back."""
    told("db", "upgrade")
    models, plain = project / "app" / "models.py", ARTICLE.replace(', search=["title"]', "")
    before = models.read_text()
    models.write_text(before + plain)
    told("db", "revision", "-m", "articles")
    told("db", "upgrade")
    models.write_text(before + ARTICLE)
    assert "The search index of articles is missing" in refused("db", "check")
    assert "Next: read the file" in told("db", "revision", "-m", "words")
    told("db", "upgrade")
    assert "The database fits." in told("db", "check")
    wider = ARTICLE.replace('["title"]', '["title", "body"]') + "    body: Mapped[str | None]\n"
    models.write_text(before + wider)
    told("db", "revision", "-m", "bodies")
    written = next(project.glob("migrations/versions/*_bodies.py")).read_text()
    up, _, down = written.partition("def downgrade")
    assert "create_search(op, 'articles', ['title', 'body'], 'id')" in up
    assert "create_search(op, 'articles', ['title'], 'id')" in down
    told("db", "upgrade")
    assert "The database fits." in told("db", "check")
    models.write_text(before + wider.replace('["title", "body"]', '["body"]'))
    assert "The search index of articles is over title, body by id" in refused("db", "check")
    told("db", "revision", "-m", "fewer")
    written = next(project.glob("migrations/versions/*_fewer.py")).read_text()
    up, _, down = written.partition("def downgrade")
    assert "create_search(op, 'articles', ['body'], 'id')" in up
    assert "create_search(op, 'articles', ['title', 'body'], 'id')" in down
    told("db", "upgrade")
    models.write_text(before + wider.replace(', search=["title", "body"]', ""))
    assert "drop_search(op, 'articles')" in refused("db", "check")
    told("db", "revision", "-m", "unsearched")
    told("db", "upgrade")
    assert "The database fits." in told("db", "check")
    models.write_text(before)
    told("db", "revision", "-m", "none")
    told("db", "upgrade")
    for _ in range(6):
        subprocess.run([sys.executable, "-c", DOWN], cwd=project, check=True)
    with closing(sqlite3.connect(project / "instance" / "portero.db")) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE name LIKE '%search%'").fetchall()
    assert [] == names


DOWN = """
from dotenv import load_dotenv
load_dotenv(".env")
import alembic.command
from alembic.config import Config
alembic.command.downgrade(Config("alembic.ini"), "-1")
"""


def test_a_project_without_a_history_is_told(project: Path) -> None:
    (project / "alembic.ini").unlink()
    assert "are not migrated" in told("db", "upgrade")
    assert "portero new" in refused("db", "revision", "-m", "x")
    assert "have no migrations" in told("doctor")


def test_the_doctor_finds_what_is_to_be_mended(project: Path) -> None:
    with (project / "app" / "models.py").open("a") as models:
        models.write(NEW_MODEL.replace('@expose(own("owner_id"))', ""))
    told("db", "revision", "-m", "tags")
    told("db", "upgrade")
    healthy = told("doctor")
    assert "Exposed models: notes, users" in healthy
    assert "Not exposed, so the API does not know them: tags" in healthy
    assert "routes with @jwt_required() accept anybody who signs up; PORTERO_DISABLE_SIGNUP=yes closes it" in healthy
    with (project / "app" / "routes.py").open("a") as routes:
        routes.write("\nfrom portero import create_refresh_token\n")
    assert "app.routes imports create_refresh_token. create_refresh_token is not served" in refused("doctor")
    (project / "migrations" / "env.py").write_text("from alembic import context\n")
    assert "Alembic would drop Portero's tables" in refused("doctor")
    (project / ".env").write_text("JWT_SECRET_KEY=super-secret\n")
    os.environ.pop("JWT_SECRET_KEY", None)
    os.environ["PORTERO_DISABLE_SIGNUP"] = "yes"
    assert "JWT_SECRET_KEY is" in refused("doctor")
    (project / ".env").chmod(0o644)
    assert 1 == refused("doctor").count("can be read by others")


def test_the_doctor_names_settings_that_should_be_known(project: Path) -> None:
    os.environ.update(PORTERO_ACCEPT_SHARED_SECRET_TOKENS="yes", PORTERO_TRANSACTION_END="rollback", PORTERO_DEV="yes")
    found = told("doctor", "--settings")
    assert "tokens without a session are accepted" in found
    assert "writes are not kept" in found
    assert "Development" in found
    assert "PORTERO_DEV = True (environment)" in found
    assert "PORTERO_MAX_ROWS = 1000" in found


def test_the_doctor_names_the_mail_server_and_hides_its_password(project: Path) -> None:
    (project / ".env").write_text(
        (project / ".env").read_text()
        + "\nPORTERO_SMTP_URL=smtps://user:hidden@mail.example.com\nPORTERO_MAIL_FROM=no-reply@example.com\n"
    )
    found = told("doctor", "--settings")
    assert "Mail: by mail.example.com, from no-reply@example.com" in found
    assert "PORTERO_SMTP_URL = (set)" in found
    assert "hidden" not in found


def test_a_sweep_removes_an_overdue_session_and_leaves_a_living_one(project: Path) -> None:
    user_id = UUID(told("users", "create", "anna", stdin=f"{PASSWORD}\n").strip())
    with closing(sqlite3.connect(project / "instance" / "portero.db")) as database, database:
        for began in ("2020-01-01 00:00:00.000000", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}.000000"):
            row = (uuid4().hex, user_id.hex, began, began)
            database.execute(
                "INSERT INTO portero_sessions (id, user_id, created_at, refreshed_at, refresh_counter, aal, amr,"
                " address, user_agent) VALUES (?, ?, ?, ?, 0, 'aal1', '[]', '', '')",
                row,
            )
    assert told("sweep").startswith("sessions: 1\n")
    assert "1 sessions ended" in told("users", "sign-out", "anna")


def test_flask_has_the_same_commands(project: Path) -> None:
    flask = [sys.executable, "-m", "flask", "--app", "app", "portero", "users", "list"]
    answer = subprocess.run(flask, cwd=project, capture_output=True, text=True, check=False)
    assert (0, True) == (answer.returncode, "0 users" in answer.stdout), answer.stderr


def test_python_minus_m_is_the_same_command() -> None:
    answer = subprocess.run([sys.executable, "-m", "portero", "--version"], capture_output=True, text=True, check=True)
    assert "0.1.0" in answer.stdout


# Serving.


class Served:
    """`portero serve` as a process, with what it printed."""

    def __init__(self, directory: Path, *options: str, own_group: bool = False) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "serve.log"
        command = [sys.executable, "-m", "portero", "serve", "--port", str(self.port), *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log, start_new_session=own_group)

    def __enter__(self) -> Served:
        self.wait_for("/auth/v1/health")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def wait_for(self, path: str, seconds: float = 30) -> Any:
        until = time.monotonic() + seconds
        while True:
            try:
                return self.ask(path)
            except (URLError, ConnectionError):
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.05)

    def ask(self, path: str) -> Any:
        with urlopen(Request(self.url + path), timeout=10) as answer:
            return json.load(answer)


def test_the_printed_commands_work_as_printed(project: Path) -> None:
    with Served(project, "--dev", "--no-reload", "--examples", "--workers", "1") as served:
        printed = served.log.read_text()
        assert f"Portero serves app at {served.url}" in printed
        assert "Publishable key: sb_publishable_" in printed
        assert f"Try the API in a browser: {served.url}/rest/v1/" in printed
        commands = [line for line in printed.splitlines() if line.startswith(("TOKEN=", "curl "))]
        assert 3 == len(commands)
        script = "\n".join(commands[:2]) + "\necho\n" + commands[2]
        shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        added, listed = shell.stdout.splitlines()
        assert "My first note" == json.loads(added)[0]["title"]
        assert ["My first note"] == [note["title"] for note in json.loads(listed)]
        again = subprocess.run(["sh", "-c", commands[0] + "\necho $TOKEN"], capture_output=True, text=True, check=True)
        assert re.fullmatch(r"Signed up as user1-[0-9a-f]{8}@example\.com\n", again.stderr)
        assert 3 == len(again.stdout.split("."))
    assert 0 == served.process.returncode


def test_development_says_when_the_models_are_ahead_of_the_database(project: Path) -> None:
    models = project / "app" / "models.py"
    models.write_text(models.read_text().replace("    is_done:", "    stars: Mapped[int]\n    is_done:"))
    with Served(project, "--dev", "--no-reload", "--workers", "1") as served:
        printed = served.log.read_text()
    assert "add column notes stars" in printed
    assert "portero db upgrade" in printed


FORGOTTEN = """

class Elsewhere(DeclarativeBase):
    pass


@expose(own("owner_id"))
class Forgotten(Elsewhere):
    __tablename__ = "forgotten"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[UUID]
"""


def test_a_model_whose_base_nobody_named_is_spoken_of(project: Path) -> None:
    """It is marked, and the API answers 404 all the same."""
    with (project / "app" / "models.py").open("a") as models:
        models.write(FORGOTTEN)
    sentence = (
        "app.models.Forgotten is marked with expose, but the API does not know it: name its base, jwt.models(Base)"
    )
    with Served(project, "--dev", "--no-reload", "--workers", "1") as served:
        printed = served.log.read_text()
    assert f"  {sentence}\n" in printed
    assert "app.models.Note is marked" not in printed
    found = refused("doctor")
    assert f"BAD   {sentence}\n" in found
    assert 1 == found.count("is marked with expose")


def test_two_workers_serve_and_stop_gracefully(project: Path) -> None:
    with Served(project) as served:
        assert "GoTrue" == served.ask("/auth/v1/health")["name"]
        assert "Publishable key" not in served.log.read_text()
    assert 0 == served.process.returncode


REPORT = """

@app.get("/loaded")
def loaded():
    import gc
    import sys

    found = {"alembic", "rich", "pygments", "mako", "segno", "sqlalchemy.dialects.postgresql"} & set(sys.modules)
    return {"loaded": sorted(found), "collects": gc.isenabled(), "frozen": gc.get_freeze_count() > 100_000}
"""


def test_a_worker_has_loaded_nothing_that_only_other_commands_need_and_never_walks_what_it_was_forked_with(
    project: Path,
) -> None:
    with (project / "app" / "routes.py").open("a") as routes:
        routes.write(REPORT)
    with Served(project, "--workers", "1") as served:
        assert {"loaded": [], "collects": True, "frozen": True} == served.ask("/loaded")


SCHEDULING = """

@app.get("/scheduling")
def scheduling():
    import os

    return {"way": os.sched_getscheduler(0) if hasattr(os, "SCHED_BATCH") else None}
"""


def test_the_threads_of_a_worker_run_as_a_batch(project: Path) -> None:
    with (project / "app" / "routes.py").open("a") as routes:
        routes.write(SCHEDULING)
    with Served(project, "--workers", "1") as served:
        assert {"way": getattr(os, "SCHED_BATCH", None)} == served.ask("/scheduling")


def test_a_stop_that_reaches_the_workers_first_is_a_stop_and_no_failure(project: Path) -> None:
    """From systemd it goes to every process of the service; the server forgot it while it looked after its workers."""
    for pause in (0.0, 0.02, 0.08):
        with Served(project, "--workers", "2") as served:
            for worker in psutil.Process(served.process.pid).children():
                worker.terminate()
            time.sleep(pause)
            served.process.terminate()
            assert 0 == served.process.wait(10), served.log.read_text()


def test_a_new_database_file_is_given_its_tables_by_serve(project: Path) -> None:
    for file in (project / "instance").glob("*.db*"):
        file.unlink()
    with Served(project, "--workers", "1") as served:
        assert "GoTrue" == served.ask("/auth/v1/health")["name"]


def test_development_starts_again_when_a_file_changes(project: Path) -> None:
    with Served(project, "--dev", "--workers", "1") as served:
        with (project / "app" / "routes.py").open("a") as routes:
            routes.write('\n\n@app.get("/new")\ndef new():\n    return {"new": True}\n')
        until = time.monotonic() + 30
        while time.monotonic() < until and "starting again" not in served.log.read_text():
            time.sleep(0.05)
        while True:
            try:
                assert {"new": True} == served.wait_for("/new")
                break
            except URLError:
                assert time.monotonic() < until
    assert 0 == served.process.returncode


def test_a_mistake_in_development_is_one_sentence_and_is_corrected_without_a_new_start(project: Path) -> None:
    routes = project / "app" / "routes.py"
    right = routes.read_text()
    routes.write_text(right + "\nfrom portero import ConfigurationError\n\nraise ConfigurationError('Not so.')\n")
    served = Served(project, "--dev", "--workers", "1")
    until = time.monotonic() + 30
    while "Not so." not in served.log.read_text():
        assert time.monotonic() < until, served.log.read_text()
        time.sleep(0.05)
    assert "Error: Not so.\n" == served.log.read_text()
    assert served.process.poll() is None
    routes.write_text(right)
    with served:
        assert "GoTrue" == served.ask("/auth/v1/health")["name"]
    assert 0 == served.process.returncode


def test_a_fork_of_a_process_that_ignores_its_children_is_waited_for() -> None:
    """The system keeps no exit code of it then."""
    code = "import os, signal; from portero.cli.reload import Fork; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
    code += "pid = os.fork(); os._exit(3) if not pid else print(Fork(pid).wait())"
    assert "0\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_a_reloader_that_is_told_to_end_twice_still_waits_for_its_server(tmp_path: Path) -> None:
    """`timeout` and make signal the group and the child. Here the server takes a second to end."""
    code = (
        "import signal, sys, time; from pathlib import Path; from portero.cli.reload import run_and_reload\n"
        "code = run_and_reload([], Path.cwd())\n"
        "if code is not None: sys.exit(code)\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), print('ended', flush=True), sys.exit()))\n"
        "print('serves', flush=True)\n"
        "time.sleep(30)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as reloader:
        assert reloader.stdout is not None
        assert "serves\n" == reloader.stdout.readline()
        reloader.terminate()
        time.sleep(0.3)
        reloader.terminate()
        assert 0 == reloader.wait(10)
        assert "ended\n" == reloader.stdout.read()


def test_the_reloader_knows_what_it_has_loaded_itself(tmp_path: Path) -> None:
    assert is_loaded([tmp_path / "models.py", Path(socket.__file__)])
    assert not is_loaded([tmp_path / "models.py"])


def test_a_mistake_in_the_application_stops_the_start_with_one_sentence(project: Path) -> None:
    environ = os.environ | {"JWT_SECRET_KEY": "super-secret"}
    command = [sys.executable, "-m", "portero", "serve", "--port", str(free_port())]
    answer = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=False)
    assert 1 == answer.returncode
    assert answer.stderr.startswith("Error: JWT_SECRET_KEY is a well-known text")
    assert "Traceback" not in answer.stderr


def test_a_port_in_use_is_told(project: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "portero", "serve", "--dev", "--port", port]
        answer = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=60)
    assert 1 == answer.returncode
    assert answer.stderr.startswith(f"Error: Cannot listen on 127.0.0.1:{port}: Address already in use. --port takes")


def test_ctrl_c_in_a_terminal_reaches_every_process_and_stops_them_at_once(project: Path) -> None:
    with Served(project, own_group=True) as served:
        os.killpg(served.process.pid, signal.SIGINT)
        assert 0 == served.process.wait(20)
    assert "Killing" not in served.log.read_text()


def test_the_reloader_sees_python_files_and_the_secret_only(tmp_path: Path) -> None:
    write_project(tmp_path / "seen")
    for name in ("node_modules", ".hidden", "instance"):
        (tmp_path / "seen" / name).mkdir()
        (tmp_path / "seen" / name / "unseen.py").write_text("")
    names = {name for name, _ in snapshot(tmp_path / "seen")}
    assert {".env", "app/__init__.py", "app/models.py", "app/routes.py"} <= names
    assert not any("unseen" in name for name in names)
