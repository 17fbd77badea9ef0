"""The command `portero`, also `flask portero`: one module a subcommand, each prints plain sentences and exit codes.

Exit codes: 0 done; 1 refused or a fault was found, with one sentence on stderr; 2 wrong usage. A password or secret is
never taken from the command line: it would stand in the process list and in the shell's history.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

import click

from portero.cli.project import APP_OPTION, note_app
from portero.errors import PorteroError

#: Subcommand → its module, which holds it under this name. It is loaded when it is called: `serve` needs no Alembic and
#: no tables on a terminal, and starts a sixth sooner without them.
MODULES: Final = {
    "new": "new",
    "serve": "serve",
    "keys": "keys",
    "token": "token",
    "users": "users",
    "mail": "mail",
    "db": "database",
    "doctor": "doctor",
    "explain": "explain",
    "policies": "policies",
    "sweep": "sweep",
}


class SentenceGroup(click.Group):
    """A command group that turns a refusal into one sentence, and loads a subcommand when it is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Name the subcommands, for the help."""
        return sorted(MODULES)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Load a subcommand; None if there is none of this name."""
        if name not in MODULES:
            return None
        command: click.Command = getattr(importlib.import_module(f"portero.cli.{MODULES[name]}"), name)
        return command

    def invoke(self, context: click.Context) -> Any:
        """Run the subcommand; a PorteroError becomes `Error: <sentence>`."""
        try:
            return super().invoke(context)
        except PorteroError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=SentenceGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="portero")
@APP_OPTION
@click.pass_context
def portero(context: click.Context, app_path: str | None) -> None:
    """Sign-in and a data API for Flask applications."""
    note_app(context, app_path)


def main() -> None:
    """Run the command line."""
    portero(prog_name="portero")
