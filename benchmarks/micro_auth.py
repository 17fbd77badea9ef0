"""Where the time of the auth side goes, in one process and without a server: `python -m benchmarks.micro_auth`.

Prints microseconds of CPU and of the clock for W0, W0t (beside Flask-JWT-Extended's own bare view), a password
sign-in without what its hash costs, and a refresh. The clock of sign-in and
refresh holds the wait for the disk. Needs a built project only; its database lives in a temporary directory.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from typing import Any

import flask
import flask_jwt_extended

from benchmarks import seed
from benchmarks.data import PASSWORD, people
from portero.crypto.passwords import Passwords

ROUNDS = 500
RAISED = "1000000000"
#: Cheap, so that what stands beside the hash is not lost in it.
CHEAP = {"time_cost": 1, "memory_cost": 8}


def main() -> None:
    """Measure and print."""
    directory = tempfile.mkdtemp(prefix="portero-micro-")
    os.environ["JWT_SECRET_KEY"] = secrets.token_urlsafe(48)
    os.environ["PORTERO_DATABASE_URL"] = os.environ.get("MICRO_URL", f"sqlite:///{directory}/micro.db")
    os.environ.setdefault("PORTERO_DEV", "1")
    for name in ("SIGN_IN", "REFRESH"):
        os.environ[f"PORTERO_THROTTLE_{name}"] = RAISED
    tokens = seed.fill_portero()
    app = importlib.import_module("benchmarks.portero_app").app
    extension = app.extensions["portero"]
    passwords = Passwords(1, **CHEAP)
    extension.close(app)
    runtime = extension.assemble(app, passwords)
    extension.hold(app, runtime)
    stored = passwords.hash(PASSWORD)
    with runtime.database.writing() as connection:
        place = "?" if runtime.database.dialect_name == "sqlite" else "%s"
        connection.exec_driver_sql(f"UPDATE portero_users SET password_hash = {place}", (stored,))
    hash_alone = _best(lambda: passwords.verify(PASSWORD, stored))
    bare, bare_token = _bare()
    somebody = people()[0].email
    whoami = {"REQUEST_METHOD": "GET", "PATH_INFO": "/whoami"}
    token = tokens[1]
    print(f"{'µs':10} {'CPU':>8} {'clock':>8}")
    _show("W0", _best(_call(app, {"REQUEST_METHOD": "GET", "PATH_INFO": "/auth/v1/user"}, token)))
    _show("W0t", _best(_call(app, whoami, token)))
    _show("W0t bare", _best(_call(bare, whoami, bare_token)))
    sign_in = _best(_post(app, "password", lambda: {"email": somebody, "password": PASSWORD}))
    _show("sign-in", (sign_in[0] - hash_alone[0], sign_in[1] - hash_alone[1]))
    _show("refresh", _best(_refreshing(app)))


def _refreshing(app: Any) -> Callable[[], bytes]:
    latest: dict[str, str] = {}
    ask = _post(app, "password", lambda: {"email": people()[1].email, "password": PASSWORD})
    latest.update(json.loads(ask()))
    refresh = _post(app, "refresh_token", lambda: {"refresh_token": latest["refresh_token"]})

    def once() -> bytes:
        body = refresh()
        latest.update(json.loads(body))
        return body

    return once


def _post(app: Any, grant: str, body: Callable[[], dict[str, str]]) -> Callable[[], bytes]:
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/auth/v1/token",
        "QUERY_STRING": f"grant_type={grant}",
        "CONTENT_TYPE": "application/json",
    }

    def once() -> bytes:
        data = json.dumps(body()).encode()
        return _call(app, environ | {"CONTENT_LENGTH": str(len(data)), "wsgi.input": io.BytesIO(data)}, None)()

    return once


def _call(app: Any, environ: dict[str, Any], token: str | None) -> Callable[[], bytes]:
    base = {
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
        "wsgi.input": io.BytesIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    base |= environ | ({} if token is None else {"HTTP_AUTHORIZATION": f"Bearer {token}"})

    def once() -> bytes:
        statuses: list[str] = []
        body = app(dict(base), lambda status, headers, error=None: statuses.append(status))
        content = b"".join(body)
        assert statuses[0].startswith("200"), (statuses, content)
        return content

    return once


def _bare() -> tuple[Any, str]:
    """Flask-JWT-Extended alone: a signature is checked, no session."""
    app = flask.Flask("bare")
    app.config["JWT_SECRET_KEY"] = os.environ["JWT_SECRET_KEY"]
    flask_jwt_extended.JWTManager(app)

    @app.get("/whoami")
    @flask_jwt_extended.jwt_required()
    def whoami() -> flask.Response:
        return flask.jsonify(logged_in_as=flask_jwt_extended.get_jwt_identity())

    with app.app_context():
        return app, flask_jwt_extended.create_access_token("somebody")


def _show(name: str, found: tuple[float, float]) -> None:
    print(f"{name:10} {found[0]:8.1f} {found[1]:8.1f}")


def _best(stage: Callable[[], Any]) -> tuple[float, float]:
    """Give the least CPU and the least time of five runs, in microseconds a call."""
    found = []
    for _ in range(5):
        start, busy = time.perf_counter(), time.process_time()
        for _ in range(ROUNDS):
            stage()
        found.append((time.process_time() - busy, time.perf_counter() - start))
    return min(cpu for cpu, _ in found) / ROUNDS * 1e6, min(clock for _, clock in found) / ROUNDS * 1e6


if __name__ == "__main__":
    main()
