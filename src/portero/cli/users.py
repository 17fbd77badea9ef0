"""`portero users`: what administrators do to users. A password is asked for or read from the standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from portero import users as api
from portero.cli.project import opened
from portero.cli.tables import moment, print_table
from portero.errors import AuthError, ConfigurationError
from portero.store.users import UserRecord

#: Links that need nothing more than an address.
_LINKS = ("magiclink", "recovery", "invite")
#: What an operator can do about a refusal, by its code.
_ADVICE = {
    "email_provider_disabled": "; set PORTERO_SMTP_URL and PORTERO_MAIL_FROM, or print a link to hand over: "
    "portero users link EMAIL --type invite"
}
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@click.group()
def users() -> None:
    """Users: create, invite, list, show, ban, delete, set-password, set-role; links, sessions, factors."""


@contextmanager
def _answering(context: click.Context) -> Iterator[None]:
    """Open the application; a refusal is told in its public words."""
    try:
        with opened(context):
            yield
    except AuthError as error:
        raise ConfigurationError(error.message + _ADVICE.get(error.code, "")) from error


def _login(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.argument("login", metavar="USER")(command)


@users.command()
@_login
@click.option("--email", help="An e-mail address besides the user name.")
@click.option("--role", default="authenticated", show_default=True, help="The role of the user's tokens.")
@click.option("--no-password", is_flag=True, help="Make a user who cannot sign in with a password.")
@click.pass_context
def create(context: click.Context, login: str, email: str | None, role: str, no_password: bool) -> None:
    """Make the user USER: an e-mail address, or a user name.

    The password is asked for, or read from the standard input.
    """
    password = None if no_password else ask_password()
    with _answering(context):
        if "@" in login:
            made = api.create(email=login, password=password, role=role)
        else:
            made = api.create(username=login, email=email, password=password, role=role)
        click.echo(str(made.id))


@users.command("list")
@click.option("--page", "number", default=1, show_default=True, type=click.IntRange(min=1), help="Which page.")
@click.option("--size", default=50, show_default=True, type=click.IntRange(1, 1000), help="Users on a page.")
@click.pass_context
def list_users(context: click.Context, number: int, size: int) -> None:
    """List users, newest first."""
    with _answering(context):
        page = api.page(number, size)
        rows = [
            (str(user.id), user.email or "-", user.username or "-", user.role, moment(user.banned_until))
            for user in (account.user for account in page.accounts)
        ]
        print_table(["id", "e-mail", "user name", "role", "banned until"], rows)
        click.echo(f"{page.total} users")


@users.command()
@_login
@click.option("--for", "duration", metavar="TIME", help="How long: 30m, 12h, 7d. Default: until lifted.")
@click.option("--lift", is_flag=True, help="Lift the ban instead.")
@click.pass_context
def ban(context: click.Context, login: str, duration: str | None, lift: bool) -> None:
    """Ban USER (e-mail address, user name or id) and end the user's sessions."""
    time = duration_of(duration)
    with _answering(context):
        user = _found(login)
        if lift:
            api.unban(user.id)
            click.echo(f"{login} may sign in again.")
        else:
            banned = api.ban(user.id, time)
            click.echo(f"{login} is banned until {moment(banned.banned_until)} UTC and signed out everywhere.")


@users.command()
@_login
@click.option("--softly", is_flag=True, help="Keep the emptied row, because rows of the application refer to it.")
@click.confirmation_option(prompt="Delete the user with all sessions?")
@click.pass_context
def delete(context: click.Context, login: str, softly: bool) -> None:
    """Delete USER (e-mail address, user name or id)."""
    with _answering(context):
        api.delete(_found(login).id, softly=softly)
        click.echo(f"{login} is deleted.")


@users.command()
@click.argument("email")
@click.pass_context
def invite(context: click.Context, email: str) -> None:
    """Mail an invitation to EMAIL."""
    with _answering(context):
        click.echo(str(api.invite(email).id))


@users.command()
@click.argument("email")
@click.option("--type", "kind", default="magiclink", show_default=True, type=click.Choice(_LINKS), help="What it does.")
@click.pass_context
def link(context: click.Context, email: str, kind: str) -> None:
    """Print a link that signs EMAIL in. Whoever has it is that user: hand it over with care.

    magiclink and invite make a user if nobody has the address.
    """
    with _answering(context):
        is_new = api.find(email) is None
        click.echo(api.generate_link(kind, email).issued.url)
        if is_new:
            click.echo(f"Nobody had the address {email}: a user was made, whom this link confirms.", err=True)


@users.command()
@_login
@click.pass_context
def show(context: click.Context, login: str) -> None:
    """Show USER (e-mail address, user name or id), with sessions and second factors."""
    with _answering(context):
        user = _found(login)
        facts = [
            ("id", str(user.id)),
            ("e-mail", user.email or "-"),
            ("e-mail confirmed", moment(user.email_confirmed_at)),
            ("user name", user.username or "-"),
            ("role", user.role),
            ("made", moment(user.created_at)),
            ("last signed in", moment(user.last_sign_in_at)),
            ("banned until", moment(user.banned_until)),
        ]
        print_table(["", ""], facts)
        rows = [
            (str(session.id), moment(session.refreshed_at or session.created_at), session.aal, session.address or "-")
            for session in api.sessions(user.id)
        ]
        print_table(["session", "last used", "level", "from"], rows)
        held = [(str(factor.id), factor.factor_type, factor.status) for factor in api.factors(user.id)]
        print_table(["factor", "type", "status"], held)


@users.command("set-role")
@_login
@click.argument("role")
@click.pass_context
def set_role(context: click.Context, login: str, role: str) -> None:
    """Set the role of USER's tokens and end the user's sessions."""
    with _answering(context):
        api.set_role(_found(login).id, role)
        click.echo(f"{login} has the role {role} and is signed out everywhere.")


@users.command("sign-out")
@_login
@click.option("--session", "session_id", type=click.UUID, help="Only this one.")
@click.pass_context
def sign_out(context: click.Context, login: str, session_id: UUID | None) -> None:
    """End the sessions of USER (e-mail address, user name or id)."""
    with _answering(context):
        user = _found(login)
        if session_id is None:
            click.echo(f"{api.end_sessions(user.id)} sessions ended.")
        else:
            api.end_session(user.id, session_id)
            click.echo("The session ended.")


@users.command("remove-factor")
@_login
@click.argument("factor_id", type=click.UUID)
@click.pass_context
def remove_factor(context: click.Context, login: str, factor_id: UUID) -> None:
    """Remove a second factor of USER, who lost it; `portero users show` lists them."""
    with _answering(context):
        api.remove_factor(_found(login).id, factor_id)
        click.echo("The factor is removed.")


@users.command("set-password")
@_login
@click.pass_context
def set_password(context: click.Context, login: str) -> None:
    """Set the password of USER (e-mail address, user name or id) and end the user's sessions.

    The password is asked for, or read from the standard input.
    """
    password = ask_password()
    with _answering(context):
        api.set_password(_found(login).id, password)
        click.echo(f"{login} has a new password and is signed out everywhere.")


def ask_password() -> str:
    """Ask for a password twice, or read one line of the standard input where nobody sits."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise ConfigurationError("No password on the standard input (or use --no-password when creating a user).")
    return password


def duration_of(text: str | None) -> timedelta:
    """Read a duration such as 30m, 12h or 7d.

    >>> duration_of("12h")
    datetime.timedelta(seconds=43200)
    """
    if text is None:
        return api.FOREVER
    found = re.fullmatch(r"([1-9]\d{0,4})([mhd])", text, re.ASCII)
    if found is None:
        raise click.BadParameter("a time is a number with m, h or d: 30m, 12h, 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _found(login: str) -> UserRecord:
    user = api.find(login)
    if user is None:
        raise ConfigurationError(f"There is no user {login!r}.")
    return user
