"""Which application a command is about: its import path, its `.env`, and the application itself.

It looks where Flask looks (`wsgi.py`, `app.py`, a package `app`), in the working directory. A `.env` that others can
read is refused: it holds the secret that signs every token (threats OP-09).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from dotenv import load_dotenv
from flask import Flask
from flask.cli import NoAppException, ScriptInfo

from portero.assembly import Store
from portero.errors import ConfigurationError
from portero.extension import Portero
from portero.web.runtime import Runtime

DEFAULT_APP: Final = "app"
_OTHERS: Final = 0o077

APP_OPTION = click.option(
    "-A",
    "--app",
    "app_path",
    metavar="IMPORT",
    envvar=["PORTERO_APP", "FLASK_APP"],
    help="The Flask application, as for `flask --app` (module, module:name or module:factory). Default: app.",
)


def note_app(context: click.Context, app_path: str | None) -> None:
    """Remember the `--app` option for the subcommands; under `flask portero`, Flask's own choice stays."""
    if context.find_object(ScriptInfo) is None:
        context.obj = ScriptInfo(app_import_path=app_path or DEFAULT_APP, load_dotenv_defaults=False)


def app_path(context: click.Context) -> str:
    """Name the application as an import path that another process can load."""
    script = context.find_object(ScriptInfo)
    return (script.app_import_path if script else None) or DEFAULT_APP


def load_environment(directory: Path | None = None) -> None:
    """Read `.env` of the project into the environment; a variable that is set already wins.

    Raises:
        ConfigurationError: the file can be read by others.
    """
    path = (directory or Path.cwd()) / ".env"
    if not path.is_file():
        return
    refuse_readable(path)
    load_dotenv(path)


def refuse_readable(path: Path) -> None:
    """Refuse a file with secrets that group or others may read or write.

    Raises:
        ConfigurationError: it is open; the sentence holds the command that closes it.
    """
    mode = path.stat().st_mode & 0o777
    if os.name == "posix" and mode & _OTHERS:
        raise ConfigurationError(f"{path.name} can be read by others (mode {mode:04o}); run: chmod 600 {path.name}")


def load_app(context: click.Context) -> Flask:
    """Load `.env` and the application.

    Raises:
        ConfigurationError: there is no such application, it has no Portero, or `.env` is open to others.
    """
    load_environment()
    script = context.find_object(ScriptInfo) or ScriptInfo(app_import_path=DEFAULT_APP)
    try:
        app = script.load_app()
    except NoAppException as error:
        raise ConfigurationError(f"{error.format_message()} (name it with `portero --app`)") from error
    extension_of(app)
    return app


def extension_of(app: Flask) -> Portero:
    """Find the Portero of an application.

    Raises:
        ConfigurationError: it has none.
    """
    extension: Any = app.extensions.get("portero")
    if not isinstance(extension, Portero):
        raise ConfigurationError(f"The application {app.import_name!r} has no Portero; write: jwt = JWTManager(app)")
    return extension


@contextmanager
def opened(context: click.Context) -> Iterator[Runtime]:
    """Load and freeze the application for one command; the store is closed afterwards."""
    app = load_app(context)
    extension = extension_of(app)
    try:
        with app.app_context():
            yield extension.freeze(app)
    finally:
        extension.close(app)


@contextmanager
def opened_store(app: Flask) -> Iterator[Store]:
    """Open the application's database for one command, whether its tables are there or not."""
    store = extension_of(app).open_store(app)
    try:
        yield store
    finally:
        store.database.close()
