"""The command `portero`, also `flask portero`: one module a subcommand, each prints plain sentences and exit codes.

Exit codes: 0 done; 1 refused or a fault was found, with one sentence on stderr; 2 wrong usage. A password or secret is
never taken from the command line: it would stand in the process list and in the shell's history.
"""

from __future__ import annotations

from typing import Any

import click

from portero.cli.database import db
from portero.cli.doctor import doctor
from portero.cli.explain import explain
from portero.cli.keys import keys
from portero.cli.mail import mail
from portero.cli.new import new
from portero.cli.policies import policies
from portero.cli.project import APP_OPTION, note_app
from portero.cli.serve import serve
from portero.cli.sweep import sweep
from portero.cli.token import token
from portero.cli.users import users
from portero.errors import PorteroError


class SentenceGroup(click.Group):
    """A command group that turns a refusal into one sentence and exit code 1."""

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


for command in (new, serve, keys, token, users, mail, db, doctor, explain, policies, sweep):
    portero.add_command(command)


def main() -> None:
    """Run the command line."""
    portero(prog_name="portero")
