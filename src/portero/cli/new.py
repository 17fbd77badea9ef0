"""`portero new`: writes a project, its secret and its database, and never over something that is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from portero.scaffold import write_project


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--quiet", is_flag=True, help="Do not print what to do next.")
def new(directory: Path, quiet: bool) -> None:
    """Write a new project into DIRECTORY, with its secret and its database.

    DIRECTORY must be new or empty. The secret stands in DIRECTORY/.env, which only you can read.
    """
    written = write_project(directory)
    subprocess.run(
        [sys.executable, "-m", "portero", "db", "upgrade", "--quiet"],
        cwd=directory,
        check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PORTERO_", "JWT_", "FLASK_"))},
    )
    if quiet:
        return
    click.echo(f"Wrote {len(written)} files into {directory}. Next:")
    click.echo(f"\n  cd {directory}\n  portero serve --dev\n")
