"""Every answer of `/auth/v1`: the tables in `tests/web/tables`, row by row on each kind of database; none is missing.

A row shows status and whole body, what is written to the audit and which mails go out. The last tests look the other
way: whatever the source can refuse with, whichever URL there is, whatever can happen and be mailed stands in some row.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import psycopg
import pytest
from tests.web.callers import Api, now
from tests.web.conftest import make_api
from tests.web.scenarios import SITE, Row, Scene, filled
from tests.web.tables import (
    administration,
    everywhere,
    factors,
    gates,
    mailed,
    not_served,
    sign_up,
    switches,
    token,
    user,
    verify,
)
from werkzeug.test import TestResponse

import portero
from portero import Refused, on
from portero.events import Happening
from portero.hooks import (
    AfterUserCreated,
    BeforeUserCreated,
    CustomAccessToken,
    MfaVerificationAttempt,
    PasswordVerificationAttempt,
)
from portero.identity import admin
from portero.identity.mail_templates import MailKind
from portero.web.routes import ROUTES
from portero.web.runtime import runtime

MODULES = (sign_up, token, mailed, verify, user, factors, administration, everywhere, gates, switches, not_served)
ROWS = [(module.__name__.rpartition(".")[2], row) for module in MODULES for row in module.TABLE]
HASTY = timedelta(seconds=0.2)
PROVING = {"confirm_email": "yes", "site_url": SITE}


@on("before_user_created")
def only_colleagues(new: BeforeUserCreated) -> None:
    if (new.email or "").startswith("slow"):
        time.sleep(1.1 * HASTY.total_seconds())
    if (new.email or "").startswith("refused"):
        raise Refused("Colleagues only", status=422)


@on("after_user_created")
def fail(new: AfterUserCreated) -> None:
    if (new.user.email or "").startswith("broken"):
        raise RuntimeError("the hook is broken")


@on("custom_access_token")
def office_hours(asked: CustomAccessToken) -> None:
    if asked.user.user_metadata.get("closed"):
        raise Refused("Come back tomorrow")


@on("password_verification_attempt")
def suspect(attempt: PasswordVerificationAttempt) -> None:
    if attempt.valid and _says(attempt.user_id, "suspicious"):
        raise Refused("Too suspicious", end_sessions=True)


@on("mfa_verification_attempt")
def stay_near(attempt: MfaVerificationAttempt) -> None:
    if _says(attempt.user_id, "far_away"):
        raise Refused("Not from there")


def _says(user_id: UUID | None, member: str) -> bool:
    return user_id is not None and member in admin.get(runtime().identity, user_id).user.user_metadata


HOOKS = (only_colleagues, fail, office_hours, suspect, stay_near)
WORLDS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "proving": PROVING,
    "anonymous": {"anonymous_users": True},
    "closed": {"disable_signup": True},
    "mute": {},
    "silent": {"otp_silent": True},
    "single": {"session_single": True},
    "reauthenticating": {**PROVING, "reauthenticate_after": 86_400},
    "demanding": {"require_current_password": True},
    "unenrolling": {"mfa_enroll": False},
    "unverifying": {"mfa_verify": False},
    "addressless": {"email_sign_in": False},
    "linkless": {"magic_links": False},
    "patient": {"throttle_mfa": 0},
    "keyed": {"require_api_key": True},
    # Nobody listens there.
    "guarded": {"captcha_secret": "hush", "captcha_url": "http://127.0.0.1:9"},
    "trusting": {"accept_shared_secret_tokens": True},
    "hooked": {"hooks": HOOKS},
    "hasty": {"hooks": HOOKS, "request_timeout": HASTY},
    "busy": {},
}


class Worlds:
    """Applications under every kind of settings, made when first asked for, on one database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: dict[str, Api] = {}

    def __getitem__(self, name: str) -> Api:
        if name not in self._made:
            api = make_api(self._url, **WORLDS[name])
            if name == "mute":
                settings = api.runtime.settings
                # Neither in development nor with a mail server, which an application under test always is.
                object.__setattr__(api.context, "settings", type(settings)(url=settings.url, confirm_email="no"))
            self._made[name] = api
        return self._made[name]

    def close(self) -> None:
        for api in self._made.values():
            api.runtime.database.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def worlds(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """The applications, on each kind of database."""
    url = f"sqlite:///{tmp_path_factory.mktemp('scenarios')}/portero.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    made = Worlds(url)
    yield made
    made.close()


NUMBERS = count(1)


@pytest.mark.parametrize(("table", "row"), ROWS, ids=[f"{table} {row.ask}: {row.sentence}" for table, row in ROWS])
def test_the_answer_the_events_and_the_mails(worlds: Worlds, table: str, row: Row) -> None:
    scene = Scene(worlds[row.world], next(NUMBERS))
    with scene.stack:
        names = {"ann": scene.ann, "bob": scene.bob, "number": str(scene.number)}
        names |= row.given(scene)
        start = now()
        answer = asked(scene, row, names)
    status, body = filled(row.answer(), names)
    assert (status, body) == (answer.status_code, body_of(answer)), answer.get_data(as_text=True)
    if row.leads is not None:
        address, _, fragment = answer.headers["Location"].partition("#")
        values = None if row.leads[1] is None else {**row.leads[1], "sb": ""}
        assert (row.leads[0], values) == (address, dict(parse_qsl(fragment, keep_blank_values=True)) or None)
    assert sorted(row.events.split()) == scene.events_since(start)
    assert sorted(filled(list(row.mails), names)) == scene.mails_since(start)
    assert {429: True, 503: True}.get(status, False) is ("Retry-After" in answer.headers)


def asked(scene: Scene, row: Row, names: Mapping[str, Any]) -> TestResponse:
    more: dict[str, Any] = {"headers": filled(dict(row.headers), names)}
    if row.who:
        more["token"] = names.get(row.who, row.who)
    if row.form is not None:
        more["data"] = filled(dict(row.form), names)
    if row.address:
        more["environ_base"] = {"REMOTE_ADDR": row.address}
    json = row.body
    if isinstance(json, bytes):
        more |= {"data": json, "content_type": "application/json"}
        json = None
    return scene.call(filled(row.ask, names), filled(json, names), **more)


def body_of(answer: TestResponse) -> Any:
    if answer.content_type and answer.content_type.startswith("application/json"):
        return answer.get_json()
    return answer.get_data(as_text=True) or None


# Nothing is missing

SOURCE = Path(portero.__file__).parent
#: The codes of contract auth.md §3.5 that concern what there is here, and those its newest client knows (§1.4).
CONTRACT = frozenset(Path(__file__).with_name("error_codes.txt").read_text(encoding="utf-8").split())


@cache
def sources() -> list[ast.AST]:
    """Give every node of the two floors that can refuse at `/auth/v1`."""
    paths = [path for floor in ("identity", "web") for path in sorted((SOURCE / floor).rglob("*.py"))]
    return [node for path in paths for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def raised() -> Iterator[ast.Call]:
    for node in sources():
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("AuthError"):
            yield node


def test_every_code_that_the_source_holds_stands_in_a_row() -> None:
    """A text that is one of the contract's codes, wherever it stands in the two floors, is a code they refuse with."""
    texts = {node.value for node in sources() if isinstance(node, ast.Constant)}
    assert set() == (texts & CONTRACT) - {row.code for _, row in ROWS}


def test_every_status_that_the_source_gives_a_code_stands_in_a_row() -> None:
    written = {tuple(argument.value for argument in call.args[:2]) for call in raised() if _is_written_out(call)}
    assert len(written) > 50
    assert set() == written - {(row.status, row.code) for _, row in ROWS}


def _is_written_out(call: ast.Call) -> bool:
    return all(isinstance(argument, ast.Constant) for argument in call.args[:2])


def test_no_code_is_invented() -> None:
    """Clients know a list of them."""
    written = {str(call.args[1].value) for call in raised() if isinstance(call.args[1], ast.Constant)}
    assert set() == written - CONTRACT
    assert set() == {row.code for _, row in ROWS if row.code is not None} - CONTRACT


def test_every_url_is_answered_well_in_a_row(worlds: Worlds) -> None:
    urls = worlds["plain"].app.url_map.bind("localhost")
    answered = set()
    for _, row in ROWS:
        if row.status < 400:
            method, path = row.ask.partition("?")[0].split(" ")
            endpoint, _ = urls.match("/auth/v1" + path, method)
            answered.add(str(endpoint).removeprefix("portero."))
    # Figures of a running process are no row: tests/web/test_admin_metrics.py.
    answered.add("GET:/admin/metrics")
    assert {f"{route.method}:{route.path}".replace(".", "-") for route in ROUTES} == answered


#: What only the command line does, and the server by itself.
ELSEWHERE = {"key_created", "key_rotated", "key_retired", "api_key_created", "api_key_revoked"}


def test_everything_that_can_happen_and_be_mailed_does_in_a_row() -> None:
    events = {event for _, row in ROWS for event in row.events.split()}
    assert {happening.value for happening in Happening} == events | ELSEWHERE
    mails = {sent.partition(" ")[0] for _, row in ROWS for sent in row.mails}
    assert {kind.value for kind in MailKind} == mails | {MailKind.TEST.value}
