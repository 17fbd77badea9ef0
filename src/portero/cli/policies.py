"""`portero policies sql`: the policies as PostgreSQL's row-level security, printed."""

from __future__ import annotations

import click

from portero.cli.project import extension_of, load_app, opened_store
from portero.data import catalogue
from portero.data.native_policies import script


@click.group()
def policies() -> None:
    """Show the policies in other forms."""


@policies.command("sql")
@click.option("--role", default="portero_caller", show_default=True, help="The database role that the wall is for.")
@click.pass_context
def policies_sql(context: click.Context, role: str) -> None:
    """Print the policies as a script of PostgreSQL's own row-level security.

    It is a second wall for other programs that read the same database. Nothing is executed: run the script as the
    owner of the tables. A session of the role says who asks with set_config('portero.me_id', …).
    """
    app = load_app(context)
    try:
        with opened_store(app) as store:
            click.echo(script(catalogue.build(store.exposures, "postgresql"), role), nl=False)
    finally:
        extension_of(app).close(app)
