"""`portero token inspect`: a JWT taken apart and explained, check by check. It reads the token from stdin."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import click

from portero.cli.project import opened
from portero.crypto.inspection import NOT_SEEN_HERE, Inspection, Outcome, inspect
from portero.errors import TokenFault

_MARKS: Final = {Outcome.OK: "ok    ", Outcome.FAILED: "FAILED", Outcome.NOT_REACHED: "  -   "}
_INSTANTS: Final = frozenset({"exp", "iat", "nbf"})
_KINDS: Final = {
    "session": "the access token of a session: it proves who somebody is, until it expires or the session ends",
    "key": "an API key in the form of a JWT: it stands for a role, not for a person",
    "app": "a token of create_access_token: valid on your own routes only",
    "shared": "a token made by hand with JWT_SECRET_KEY",
}


@click.group()
def token() -> None:
    """Look at tokens."""


@token.command("inspect")
@click.argument("given", metavar="", nargs=-1)
@click.pass_context
def inspect_token(context: click.Context, given: tuple[str, ...]) -> None:
    """Take a JWT apart and say what is checked and which check fails.

    The token is asked for, or read from the standard input: as an argument it would stand in the shell's history.
    Exit code 0: this server accepts it (if its session stands). 1: it does not.
    """
    if given:
        raise click.UsageError("Give the token on the standard input, not as an argument: portero token inspect < file")
    text = click.prompt("Token", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    with opened(context) as runtime:
        now = time.time()
        found = inspect(
            text,
            runtime.identity.keyring.verification_keys(now),
            runtime.identity.access_tokens.issuing,
            now,
            accept_shared_secret_tokens=runtime.settings.accept_shared_secret_tokens,
        )
        issuer, path = runtime.identity.access_tokens.issuing.issuer, runtime.settings.auth_path
    describe(found)
    if found.fault == TokenFault.ISSUER.value:
        click.echo(f"This server is {issuer}: PORTERO_URL says so, and `portero serve --port` where that is not set.")
        made_by = str((found.payload or {}).get("iss", ""))
        if made_by.endswith(path):
            click.echo(f"If the token is yours, that server runs with: PORTERO_URL={made_by.removesuffix(path)}")
    if not found.is_valid:
        context.exit(1)


def describe(found: Inspection) -> None:
    """Print the three parts, then every check."""
    click.echo(
        "A JWT is three parts joined by dots. Anybody can read the first two; only the key can make the third.\n"
    )
    click.echo("1. Header: how it is signed")
    click.echo(_shown(found.header))
    click.echo("2. Payload: the claims")
    click.echo(_shown(found.payload))
    click.echo("3. Signature: over the two parts before")
    click.echo(f"   {len(found.signature)} characters\n")
    click.echo("Checks, in the server's order:")
    for check in found.checks:
        click.echo(f"   {_MARKS[check.outcome]}  {check.name}: {check.sentence}")
    if found.is_valid and found.kind:
        click.echo(f"\nAccepted: {_KINDS[found.kind.value]}.")
        if found.kind.value == "session":
            click.echo(NOT_SEEN_HERE)
    else:
        click.echo(f"\nRefused: {found.fault}.")


def _shown(part: Mapping[str, Any] | None) -> str:
    if part is None:
        return "   cannot be read\n"
    lines = [f"   {name}: {json.dumps(value)}{_comment(name, value)}" for name, value in part.items()]
    return "\n".join([*lines, ""])


def _comment(name: str, value: Any) -> str:
    if name not in _INSTANTS or isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    try:
        return f"   ({datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC)"
    except (ValueError, OverflowError, OSError):
        return "   (no date)"
