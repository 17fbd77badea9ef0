"""`portero keys`: signing keys, API keys, and a good secret. A private key is never shown; a secret API key once."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import click

from portero.cli.project import opened
from portero.cli.tables import moment, print_table
from portero.errors import ConfigurationError


@click.group()
def keys() -> None:
    """Keys that sign tokens, and API keys."""


@keys.command()
def secret() -> None:
    """Print a new secret for JWT_SECRET_KEY."""
    click.echo(secrets.token_urlsafe(48))


@keys.command()
@click.option("--alg", default="ES256", show_default=True, help="ES256, RS256 or EdDSA.")
@click.pass_context
def new(context: click.Context, alg: str) -> None:
    """Make a signing key. The first one signs from now on; a further one waits for `portero keys rotate`."""
    with opened(context) as runtime:
        key = runtime.identity.keyring.create(alg, time.time())
        click.echo(f"Made the {key.alg} key {key.kid}.")
        click.echo(f"Published at {runtime.settings.url}{runtime.settings.auth_path}/.well-known/jwks.json")
        if key.activated_at is None:
            click.echo("It verifies but does not sign yet. Next: portero keys rotate")


@keys.command("list")
@click.pass_context
def list_keys(context: click.Context) -> None:
    """List the signing keys, oldest first.

    A waiting key verifies and does not sign yet; the current one signs; a former one verifies the tokens it signed, so
    that nobody is signed out; of a retired one nothing is accepted.
    """
    with opened(context) as runtime:
        found = runtime.identity.keyring.listing()
        if not found:
            click.echo("No signing keys: JWT_SECRET_KEY signs (HS256). To publish keys: portero keys new --alg ES256")
            return
        rows = [
            (key.kid, key.alg, key.standing, moment(key.created_at), moment(key.activated_at), moment(key.retired_at))
            for key in found
        ]
        print_table(["kid", "alg", "standing", "made", "signs from", "retired"], rows)
        if not any(key.standing == "current" for key in found):
            click.echo("None of them signs: JWT_SECRET_KEY does (HS256).")


@keys.command()
@click.pass_context
def rotate(context: click.Context) -> None:
    """Let the newest key sign; the former ones go on verifying, so nobody is signed out."""
    with opened(context) as runtime:
        key = runtime.identity.keyring.rotate(time.time())
        click.echo(f"{key.kid} signs from {moment(key.activated_at)} UTC on.")


# A kid may begin with a hyphen, and is no option for that.
@keys.command(context_settings={"ignore_unknown_options": True})
@click.argument("kid")
@click.option("--now", "at_once", is_flag=True, help="Also while its tokens may still live: it leaked.")
@click.pass_context
def retire(context: click.Context, kid: str, at_once: bool) -> None:
    """Refuse every token of the key KID from now on."""
    with opened(context) as runtime:
        runtime.identity.keyring.retire(kid, time.time(), at_once=at_once)
        click.echo(f"{kid} is retired.")


@keys.group()
def api() -> None:
    """API keys: publishable ones for browsers and apps, secret ones for servers."""


@api.command("new")
@click.argument("kind", type=click.Choice(["publishable", "secret"]))
@click.option("--name", default="default", show_default=True, help="Your word for it.")
@click.pass_context
def new_api_key(context: click.Context, kind: Literal["publishable", "secret"], name: str) -> None:
    """Make an API key and print it. A secret one passes every policy, and is shown this once."""
    with opened(context) as runtime:
        made = runtime.identity.api_keys.create(kind, name, datetime.now(UTC))
        click.echo(made.value)


@api.command("list")
@click.pass_context
def list_api_keys(context: click.Context) -> None:
    """List the API keys, oldest first."""
    with opened(context) as runtime:
        rows = [
            (
                str(key.id),
                key.kind,
                key.name,
                key.value or f"{key.hint}…",
                moment(key.created_at),
                moment(key.revoked_at),
            )
            for key in runtime.identity.api_keys.listing()
        ]
        print_table(["id", "kind", "name", "key", "created", "revoked"], rows)


@api.command()
@click.argument("key_id", metavar="ID", type=click.UUID)
@click.pass_context
def revoke(context: click.Context, key_id: UUID) -> None:
    """Refuse the API key ID from now on."""
    with opened(context) as runtime:
        if not runtime.identity.api_keys.revoke(key_id, datetime.now(UTC)):
            raise ConfigurationError("There is no such key, or it is revoked already; see: portero keys api list")
        click.echo(f"{key_id} is revoked.")
