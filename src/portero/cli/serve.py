"""`portero serve`: granian with several workers, each with several blocking threads.

The application is loaded once in the parent, so that a mistake is one sentence and an exit code and the tables are
there before the first worker asks. No connection is open when the workers start. Never fewer than two threads: a
password hash must not stand on the only one.
"""

from __future__ import annotations

import functools
import gc
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any, Final

import click
from flask import Flask
from flask.cli import ScriptInfo
from granian.constants import Interfaces, RuntimeModes
from granian.log import LogLevels

from portero.cli.examples import examples_for
from portero.cli.own_modules import unnamed_models
from portero.cli.project import app_path, extension_of, load_app, load_environment, opened_store
from portero.cli.reload import run_and_reload
from portero.cli.worker_process import (
    PatientServer,
    become_stoppable,
    cores_for,
    run_as_batch,
    share_arenas,
    stop_from_birth,
    take_short_turns,
)
from portero.errors import ConfigurationError
from portero.web.sweep_worker import sweep_now

#: Seconds a worker may finish its requests after a stop signal.
DRAIN: Final = 25
_TOO_MANY_THREADS: Final = "spawning up to"
#: Import path → the frozen application. A forked worker inherits it; one that was spawned begins with none.
_prepared: Final[dict[str, Flask]] = {}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Processes.")
@click.option("--threads", default=16, show_default=True, type=click.IntRange(2, 64), help="Threads of each process.")
@click.option(
    "--cores",
    default="own",
    show_default=True,
    type=click.Choice(["own", "any"]),
    help="own: where there are as many processes as cores, each keeps to one.",
)
@click.option("--dev", is_flag=True, help="Development: reload on changes, make missing tables, confirm sign-ups.")
@click.option("--reload/--no-reload", default=None, help="Restart when a .py file changes. Default: with --dev.")
@click.option("--examples", is_flag=True, help="Print commands to copy: sign up, add a note, list notes.")
@click.pass_context
def serve(
    context: click.Context,
    host: str,
    port: int,
    workers: int,
    threads: int,
    cores: str,
    dev: bool,
    reload: bool | None,
    examples: bool,
) -> None:
    """Serve the application."""
    load_environment()
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    os.environ.setdefault("PORTERO_URL", url)
    if dev:
        os.environ["PORTERO_DEV"] = "yes"
    refuse_taken(host, port)
    if dev if reload is None else reload:
        code = run_and_reload(command_line(context), Path.cwd())
        if code is not None:
            sys.exit(code)
        refuse_taken(host, port)  # somebody else may listen since the last start
    greeting = loaded(context, url, examples)
    # So many threads are meant: most of them wait for the disk together. While one half of them waits for a
    # sync the other half gathers, so a group has half as many writes as there are threads.
    logging.getLogger("_granian").addFilter(lambda record: _TOO_MANY_THREADS not in record.getMessage())
    server = PatientServer(
        app_path(context),
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        # One thread of the server's own hands requests to ours: measured, it leaves a fifth more to them than several.
        runtime_mode=RuntimeModes.st,
        workers_kill_timeout=DRAIN,
        respawn_failed_workers=True,
        log_level=LogLevels.warning,
        log_access=dev,
    )
    if cores == "own":
        server.cores = cores_for(workers)
    server.on_startup(functools.partial(click.echo, greeting))
    stop_from_birth()
    server.serve(target_loader=load_for_worker)


def loaded(context: click.Context, url: str, examples: bool) -> str:
    """Load and prepare the application, so that workers share its memory; give what `prepare` gives.

    What is there then is never walked by the collector, here or in a worker: a walk writes into every object, and
    each worker would have a copy of its own of pages that are one for all.
    """
    gc.disable()
    _prepared[app_path(context)] = app = load_app(context)
    greeting = prepare(app, url, examples)
    gc.freeze()
    gc.enable()
    return greeting


def command_line(context: click.Context) -> list[str]:
    """Give the command of this very call; whether it has a reloader is left open."""
    options: list[str] = []
    for name, value in context.params.items():
        if name == "reload":
            continue
        if value is True:
            options.append(f"--{name}")
        elif value is not False:
            options += [f"--{name}", str(value)]
    return [sys.executable, "-m", "portero", "--app", app_path(context), "serve", *options]


def refuse_taken(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before anything is started.

    Raises:
        ConfigurationError: another process listens there, or it is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigurationError(f"Cannot listen on {host}:{port}: {reason}. --port takes another port.") from error


def prepare(app: Flask, url: str, examples: bool) -> str:
    """Freeze the application: tables, keys, catalogue, a sweep. Close its store; give what to print when it is served.

    Workers inherit the frozen application. Nothing is begun here: threads do not follow into them.
    """
    extension = extension_of(app)
    # One that was asked for something while it was loaded is frozen already, with threads that would stay behind.
    extension.close(app)
    runtime = extension.assemble(app)
    try:
        sweep_now(runtime)
        lines = ["", f"  Portero serves {app.name} at {url}", ""]
        if runtime.settings.dev:
            lines += differences_of(app)
            lines += examples_for(runtime, url, commands=examples)
            if not runtime.settings.smtp_url:
                lines += [f"  Mails: {url}{runtime.settings.auth_path}/mail-box", ""]
            if runtime.data is not None and runtime.settings.openapi:
                lines += [f"  Try the API in a browser: {url}{runtime.settings.data_path}/", ""]
    finally:
        runtime.database.close()
    extension.hold(app, runtime)
    return "\n".join(lines)


def differences_of(app: Flask) -> list[str]:
    """Say where the models have gone ahead of the database, and which are not served at all.

    Missing tables were made, missing columns are not.
    """
    # Alembic compares, and is loaded for development only: a start without it is a tenth sooner.
    from portero.cli.differences import differences  # noqa: PLC0415

    with opened_store(app) as store:
        found = differences(store)
        unnamed = [line for each in unnamed_models(app, store.exposures) for line in (f"  {each}", "")]
    if not found:
        return unnamed
    advice = 'Next: portero db revision -m "what changed", then: portero db upgrade'
    return [*unnamed, "  The models differ from the database:", *(f"    {each}" for each in found), f"  {advice}", ""]


def load_for_worker(path: str) -> Any:
    """Give the frozen application in a worker, before its first request, and begin what is done beside requests."""
    become_stoppable()
    run_as_batch()
    take_short_turns()
    share_arenas()
    app = _prepared.get(path) or ScriptInfo(app_import_path=path, load_dotenv_defaults=False).load_app()
    runtime = extension_of(app).freeze(app)
    if not app.testing and runtime.mail_worker is not None:
        # What was left when the last process stopped is sent now, not with the next mail.
        runtime.mail_worker.wake()
    # What is there now stays for good: without this the collector walks all of it again and again.
    gc.freeze()
    return app
