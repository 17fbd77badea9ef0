"""`portero explain`: a read as one caller would have it, told: plan, policies, SQL, the database's plan."""

from __future__ import annotations

import re
import textwrap
from datetime import UTC, datetime
from urllib.parse import unquote

import click

from portero.cli.project import opened
from portero.data.explain import Told
from portero.data.explain import explain as explain_read
from portero.data.nodes import HttpRequest
from portero.errors import ConfigurationError, DataError
from portero.identity import admin
from portero.principal import ANON, AUTHENTICATED, SERVICE_ROLE, Principal
from portero.web.runtime import Runtime

_ROLES = (ANON, AUTHENTICATED, SERVICE_ROLE)
_REQUEST = re.compile(r"(?:([A-Z]+) +)?(/?\S+)")


@click.command()
@click.argument("request", metavar="REQUEST")
@click.option("--as", "login", metavar="USER", help="The caller: an e-mail address, a user name or an id.")
@click.option("--role", type=click.Choice(_ROLES), help="A caller without a user; default: anon.")
@click.pass_context
def explain(context: click.Context, request: str, login: str | None, role: str | None) -> None:
    """Tell what a read would do for a caller, without doing it.

    REQUEST is as it would be sent: "GET /notes?select=title&order=id". Only reads are told.
    """
    if login and role:
        raise click.UsageError("--as and --role exclude each other: a user has a role.")
    with opened(context) as runtime:
        http = _http(request, runtime)
        principal = _principal(runtime, login, role or ANON)
        try:
            told = explain_read(runtime.data, http, principal, datetime.now(UTC))
        except DataError as refusal:
            raise ConfigurationError(f"{refusal.status} {refusal}") from refusal
        click.echo(f"As {login or principal.role} (role {principal.role}, me.id {principal.user_id or 'NULL'})\n")
        _print(told, runtime.data.catalogue.dialect)


def _http(request: str, runtime: Runtime) -> HttpRequest:
    found = _REQUEST.fullmatch(request.strip())
    if found is None:
        raise click.UsageError('REQUEST is a method and a path, in quotes: "GET /notes?select=title".')
    path, _, query = found[2].partition("?")
    path = "/" + path.removeprefix(runtime.settings.data_path).lstrip("/")
    return HttpRequest(found[1] or "GET", unquote(path), query)


def _principal(runtime: Runtime, login: str | None, role: str) -> Principal:
    if login is None:
        return Principal(role)
    account = admin.find(runtime.identity, login)
    if account is None:
        raise ConfigurationError(f"There is no user {login!r}.")
    return Principal(account.user.role, account.user.id)


def _print(told: Told, dialect: str) -> None:
    click.echo("Plan and policies")
    for node in told.nodes:
        indent = "  " * (node.depth + 1)
        click.echo(f"{indent}{node.name}: {node.kind}; {node.asked}")
        for model, condition in node.policies:
            click.echo(f"{indent}  rows of {model} where {condition}")
    click.echo("\nSQL")
    click.echo(textwrap.indent(told.sql, "  "))
    for place, value in enumerate(told.parameters, 1):
        click.echo(f"  {place}: {value!r}")
    click.echo(f"\nThe plan of {'PostgreSQL' if dialect == 'postgresql' else 'SQLite'}")
    for step in told.steps:
        click.echo(f"  {step}")
