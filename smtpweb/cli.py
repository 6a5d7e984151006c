"""The ``flask`` commands of an administrator: users, tokens, SMTPs, keys.

A user's mistake is told in one sentence and ends with exit status 2; 1 means that the command
was understood and that what it looked at is not in order.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, BinaryIO

import click
from flask import Flask, current_app
from flask.cli import ScriptInfo
from sqlalchemy.exc import SQLAlchemyError

from . import installation, validators
from .accounts import tokens, users
from .accounts.tokens import ALL_SCOPES, Caller
from .checking import service
from .database.models import Check
from .database.session import cause
from .errors import Busy, NotFound, SecretUnreadable, SmtpwebError
from .mailcheck import Encryption
from .monitoring import outcomes
from .monitoring.outcomes import Outcome
from .registry import export_import, smtps


class Told(click.ClickException):
    """A mistake, told in one sentence on stderr."""

    exit_code = 2


class Command(click.Command):
    """A command that needs an installation which is ready, and whose errors are sentences."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it inside the application."""
        if not current_app:
            ctx.with_resource(ctx.ensure_object(ScriptInfo).load_app().app_context())
        try:
            installation.make_ready()
            return super().invoke(ctx)
        except SmtpwebError as error:
            raise Told(error.detail) from None
        except SQLAlchemyError as error:
            raise Told(f"The database cannot be used: {cause(error)}") from None


class Commands(click.Group):
    """A group of such commands."""

    command_class = Command


users_group = Commands("users", help="Accounts.")
tokens_group = Commands("tokens", help="Tokens for the API.")
smtps_group = Commands("smtps", help="SMTP servers.")
keys_group = Commands("keys", help="The keys that SMTP passwords are sealed with.")


def register(app: Flask) -> None:
    """Add the commands to ``flask --app wsgi``."""
    for group in (users_group, tokens_group, smtps_group, keys_group):
        app.cli.add_command(group)


# --- users and tokens ----------------------------------------------------------------------


def _from_stdin(_context: click.Context, _option: click.Parameter, _given: bool) -> str:
    try:
        return sys.stdin.read().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Told("The password is not valid UTF-8.") from None


# A password on the command line would be seen by everybody on the machine, and kept by the shell.
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
@click.option("--email", required=True, help="Where test mails of new apps go.")
@click.option("--admin", is_flag=True, help="Make an administrator.")
@password_option
def create_user(name: str, email: str, admin: bool, password: str) -> None:
    """Make an account."""
    user = users.create_user(name, email, password, is_admin=admin)
    click.echo(f"{'Administrator' if admin else 'User'} {user.name} was made.")


@users_group.command("password")
@click.argument("name")
@password_option
def set_password(name: str, password: str) -> None:
    """Give an account a new password; all its sessions and tokens end."""
    user = _user(name)
    users.set_password(user.id, password)
    click.echo(f"{user.name} has a new password. All sessions and tokens were ended.")


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
    help="May be given several times.",
)
def create_token(name: str, label: str, scopes: tuple[str, ...]) -> None:
    """Make a token that does not expire, and print it: it cannot be seen again."""
    click.echo(tokens.personal_token(_user(name), label, scopes))


def _user(name: str) -> Any:
    try:
        return users.find_user(name)
    except NotFound:
        raise Told(f"There is no account named {name!r}.") from None


# --- SMTPs ---------------------------------------------------------------------------------


@smtps_group.command("check")
@click.argument("idsmtp", required=False)
@click.option("--app", "idapp", metavar="IDAPP", help="Check all SMTPs of this app.")
@click.option("--all", "everything", is_flag=True, help="Check all SMTPs of all accounts.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(("text", "nagios", "junit", "json")),
    default="text",
    show_default=True,
    help="How the outcomes are written; with nagios the exit status is 0, 2 or 3.",
)
def check_smtps(idsmtp: str | None, idapp: str | None, everything: bool, shape: str) -> None:
    """Send a real test mail through SMTPs; exit status 1 if one of them failed."""
    if sum((idsmtp is not None, idapp is not None, everything)) != 1:
        raise click.UsageError("Say what to check: IDSMTP, --app IDAPP or --all.")
    try:
        found = _found(idsmtp, idapp)
    except Told as error:
        if shape != "nagios":
            raise
        click.echo(outcomes.nagios_unknown(error.message))
        sys.exit(outcomes.NAGIOS_UNKNOWN)
    if shape == "text":
        good = [_check_one(owner_id, smtp_id, where) for smtp_id, owner_id, where in found]
        click.echo(f"{len(good)} checked, {good.count(False)} failed.")
        sys.exit(0 if all(good) else 1)
    ended = [
        outcome
        for smtp_id, owner_id, where in found
        if (outcome := _outcome_of(owner_id, smtp_id, where)) is not None
    ]
    if shape == "nagios":
        text, status = outcomes.nagios(ended)
    else:
        text = outcomes.junit(ended) if shape == "junit" else outcomes.as_json(ended)
        status = 0 if all(outcome.accepted for outcome in ended) else 1
    click.echo(text)
    sys.exit(status)


def _found(idsmtp: str | None, idapp: str | None) -> list[tuple[str, str, str]]:
    found = smtps.with_owners(smtp_id=_id(idsmtp), app_id=_id(idapp))
    if idsmtp and not found:
        raise Told(f"There is no SMTP {idsmtp}.")
    if idapp and not found:
        raise Told(f"There is no app {idapp} with an SMTP.")
    return [(smtp_id, owner_id, where) for smtp_id, owner_id, where in found]


def _outcome_of(owner_id: str, smtp_id: str, where: str) -> Outcome | None:
    """Check one SMTP; None where it was removed meanwhile."""
    try:
        check = service.run(Caller(owner_id, ALL_SCOPES), smtp_id, limited=False)
    except NotFound:
        return None
    except (Busy, SecretUnreadable) as error:
        return Outcome(smtp_id, where, problem=str(error.detail))
    except Exception as error:  # our bug, or the storage: the other SMTPs deserve their check
        return Outcome(smtp_id, where, problem=type(error).__name__)
    return Outcome(smtp_id, where, check.id, check.report)


def _id(given: str | None) -> str | None:
    if given is None:
        return None
    try:
        return validators.object_id(given)
    except ValueError as error:
        raise Told(f"{given!r}: {error}") from None


def _check_one(owner_id: str, smtp_id: str, where: str) -> bool:
    """Check one SMTP and say how it went; the next ones are checked whatever happens here."""
    try:
        check = service.run(Caller(owner_id, ALL_SCOPES), smtp_id, limited=False)
    except NotFound:
        click.echo(f"{smtp_id} {where}: removed meanwhile.")
        return True
    except (Busy, SecretUnreadable) as error:
        click.echo(f"{smtp_id} {where}: NOT CHECKED. {error.detail}")
        return False
    except Exception as error:  # our bug, or the storage: the other SMTPs deserve their check
        click.echo(f"{smtp_id} {where}: NOT CHECKED. {type(error).__name__}", err=True)
        return False
    click.echo(f"{smtp_id} {where}: {_outcome(check)}")
    return bool(check.accepted)


_MODES = {Encryption.IMPLICIT: "TLS from the start", Encryption.STARTTLS: "STARTTLS"}


def _outcome(check: Check) -> str:
    report = check.report
    if report is None:
        raise AssertionError("a finished check without a report")
    if report.accepted:
        lines = [f"OK. {report.title}"]
    else:
        failed = "NOT TRIED" if report.refused_by_policy else f"FAILED at {report.stage}"
        lines = [f"{failed}. {report.title} ({report.code})"]
        if report.reply:
            lines.append(f"The server said: {report.reply.code} {report.reply.text}")
        lines += [f"Next: {step}" for step in report.advice]
        lines += [
            f"Works: port {mode.port} with {_MODES[mode.encryption]}"
            for mode in report.alternatives
        ]
    lines += [f"Mind: {warning}" for warning in report.warnings]
    return "\n    ".join(lines)


@smtps_group.command("export")
@click.argument(
    "file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), default="-"
)
@click.option("--user", "name", help="Only the apps of this account.")
@click.option("--with-passwords", is_flag=True, help="Write the SMTP passwords too, in clear.")
def export(file: Path, name: str | None, with_passwords: bool) -> None:
    """Write all apps and SMTPs as JSON to FILE, or to standard output."""
    user = _user(name) if name else None
    document = export_import.dump(user_id=user.id if user else None, with_passwords=with_passwords)
    if str(file) == "-":
        click.echo(document, nl=False)
        return
    try:
        export_import.write_privately(file, document)
    except OSError as error:
        raise Told(f"{file} cannot be written: {error.strerror}.") from None


@smtps_group.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--user", "name", help="Put all apps into this account, whatever the file says.")
def import_(file: BinaryIO, name: str | None) -> None:
    """Add the apps and SMTPs in FILE ("-": standard input); all of them or, on a fault, none."""
    try:
        document = file.read()
    except OSError as error:
        raise Told(f"{file.name} cannot be read: {error}.") from None
    added = export_import.load(document, user_id=_user(name).id if name else None)
    click.echo(f"Added: {added.apps} app(s), {added.smtps} SMTP(s).")


# --- keys ----------------------------------------------------------------------------------


@keys_group.command("rotate")
def rotate_keys() -> None:
    """Seal everything again under the newest key. Can be interrupted and run again."""
    stale = installation.count_stale_seals()
    resealed = unreadable = 0
    with click.progressbar(length=stale, label="Sealing", file=sys.stderr) as bar:
        for done, failed in installation.rotate_keys():
            resealed += done
            unreadable += failed
            bar.update(done + failed)
    click.echo(f"Sealed {resealed} secrets again under key {installation.secret_box().newest}.")
    if unreadable:
        click.echo(f"{unreadable} could not be read with any key: enter these passwords again.")
        sys.exit(1)
    if stale:
        click.echo("The older keys can be taken out of SMTPWEB_ENCRYPTION_KEYS now.")
