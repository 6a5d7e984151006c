"""``flask users`` and ``flask tokens``."""

from __future__ import annotations

import sys

import click

from .. import validators
from ..accounts import tokens, users
from ..database.models import User
from ..errors import NotFound
from .commands import Commands, UsageError

users_group = Commands("users", help="Manage accounts.")
tokens_group = Commands("tokens", help="Manage API tokens.")


def _from_stdin(_context: click.Context, _option: click.Parameter, _value: bool) -> str:
    try:
        return sys.stdin.read().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError("The password is not valid UTF-8.") from None


# A password on the command line would be visible to every user of the machine, and end up in the
# shell's history.
password_option = click.option(
    "--password-stdin",
    "password",
    is_flag=True,
    required=True,
    callback=_from_stdin,
    help="Read the password from standard input.",
)


@users_group.command("create")
@click.argument("name")
@click.option("--email", required=True, help="Default test address of new apps.")
@click.option("--admin", is_flag=True, help="Create an administrator.")
@password_option
def create_user(name: str, email: str, admin: bool, password: str) -> None:
    """Create an account."""
    user = users.create_user(name, email, password, is_admin=admin)
    click.echo(f"{'Administrator' if admin else 'User'} {user.name} created.")


@users_group.command("password")
@click.argument("name")
@password_option
def set_password(name: str, password: str) -> None:
    """Set a new password; this ends all sessions and tokens of the account."""
    user = find_user(name)
    users.set_password(user.id, password)
    click.echo(f"{user.name} has a new password. All sessions and tokens have ended.")


@tokens_group.command("create")
@click.argument("name")
@click.option("--label", required=True, help="What the token is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(validators.SCOPES),
    default=("read", "write", "check"),
    show_default=True,
    help="Can be repeated.",
)
def create_token(name: str, label: str, scopes: tuple[str, ...]) -> None:
    """Create a token that does not expire, and print it. It cannot be shown again."""
    click.echo(tokens.personal_token(find_user(name), label, scopes))


def find_user(name: str) -> User:
    """Return the account of this name; raise :class:`UsageError`."""
    try:
        return users.find_user(name)
    except NotFound:
        raise UsageError(f"There is no account named {name!r}.") from None
