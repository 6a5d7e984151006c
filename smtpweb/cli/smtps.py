"""``flask smtps``: check, explain, export, import, schedule and switch SMTP servers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import click

from .. import validators
from ..accounts.tokens import ALL_SCOPES, Caller
from ..checking import explain, service, verdict
from ..errors import BadInput, Busy, NotFound, SecretUnreadable
from ..mailcheck import Report
from ..mailcheck.core.modes import ENCRYPTION_NAMES
from ..mailcheck.diagnosis.catalogue import causes_by_id
from ..mailcheck.diagnosis.matcher import Diagnosis
from ..mailcheck.diagnosis.rendering import render
from ..mailcheck.explain.unwrapping import MAX_TEXT
from ..monitoring import outcomes, schedule, workers
from ..monitoring.outcomes import Outcome
from ..registry import export_import, smtps, switches
from .accounts import find_user
from .commands import Commands, UsageError

smtps_group = Commands("smtps", help="Check, export and import SMTP servers.")


@smtps_group.command("check")
@click.argument("idsmtp", required=False)
@click.option("--app", "idapp", metavar="IDAPP", help="Check all SMTP servers of this app.")
@click.option("--all", "everything", is_flag=True, help="Check all SMTP servers of all accounts.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(("text", "nagios", "junit", "json")),
    default="text",
    show_default=True,
    help="Format of the outcomes; with nagios the exit status is 0, 2 or 3.",
)
@click.option(
    "--mode",
    type=click.Choice((verdict.EMAIL, verdict.PROBE)),
    default=verdict.EMAIL,
    show_default=True,
    help="probe: a connection test, up to the recipient; it sends no email.",
)
def check_smtps(
    idsmtp: str | None, idapp: str | None, everything: bool, shape: str, mode: str
) -> None:
    """Send a test email through SMTP servers; exit with status 1 if one of them fails."""
    if sum((idsmtp is not None, idapp is not None, everything)) != 1:
        raise click.UsageError("Say what to check: IDSMTP, --app IDAPP or --all.")
    try:
        servers = _find(idsmtp, idapp)
    except UsageError as error:
        if shape != "nagios":
            raise
        click.echo(outcomes.nagios_unknown(error.message))
        sys.exit(outcomes.NAGIOS_UNKNOWN)
    checked: list[Outcome] = []
    for smtp_id, owner_id, address in servers:
        outcome = _outcome_of(owner_id, smtp_id, address, mode)
        if outcome is not None:
            checked.append(outcome)
        if shape == "text":
            click.echo(f"{smtp_id} {address}: {_said(outcome)}")
    failed = [outcome for outcome in checked if not outcome.accepted]
    if shape == "text":
        click.echo(f"{len(servers)} checked, {len(failed)} failed.")
        sys.exit(1 if failed else 0)
    if shape == "nagios":
        text, status = outcomes.nagios(checked)
    else:
        text = outcomes.junit(checked) if shape == "junit" else outcomes.as_json(checked)
        status = 1 if failed else 0
    click.echo(text)
    sys.exit(status)


def _find(idsmtp: str | None, idapp: str | None) -> list[tuple[str, str, str]]:
    servers = smtps.with_owners(smtp_id=_id(idsmtp), app_id=_id(idapp))
    if idsmtp and not servers:
        raise UsageError(f"There is no SMTP server {idsmtp}.")
    if idapp and not servers:
        raise UsageError(f"There is no app {idapp} with an SMTP server.")
    return [(smtp_id, owner_id, address) for smtp_id, owner_id, address in servers]


def _outcome_of(owner_id: str, smtp_id: str, address: str, mode: str) -> Outcome | None:
    """Check an SMTP server; return None if it has been removed."""
    try:
        check = service.run(Caller(owner_id, ALL_SCOPES), smtp_id, mode=mode, limited=False)
    except NotFound:
        return None
    except (Busy, SecretUnreadable) as error:
        return Outcome(smtp_id, address, problem=str(error.detail))
    except Exception as error:  # our bug, or the database: the other servers are still checked
        return Outcome(smtp_id, address, problem=type(error).__name__)
    return Outcome(
        smtp_id, address, check.id, check.report,
        still_disabled=verdict.why_still_disabled(check) or "",
        not_proved=verdict.NOT_PROVED if check.accepted and mode == verdict.PROBE else {},
    )  # fmt: skip


def _id(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return validators.object_id(value)
    except ValueError as error:
        raise UsageError(f"{value!r}: {error}") from None


def _said(outcome: Outcome | None) -> str:
    if outcome is None:
        return "removed before its check."
    report = outcome.report
    if report is None:
        return f"NOT CHECKED. {outcome.problem}"
    if report.accepted:
        lines = [f"OK. {report.title}"]
        lines += [outcome.still_disabled] if outcome.still_disabled else []
        lines += [f"Not proved: {one}" for one in outcome.not_proved.values()]
    else:
        failed = "NOT TRIED" if report.refused_by_policy else f"FAILED at {report.stage}"
        lines = [f"{failed}. {report.title} ({report.code})"]
        if report.reply:
            lines.append(f"The server said: {report.reply.code} {report.reply.text}")
        lines += _how_sure(report)
        lines += [f"Next: {step}" for step in report.advice]
        lines += [
            f"Works: port {mode.port} with {ENCRYPTION_NAMES[mode.encryption]}"
            for mode in report.alternatives
        ]
    lines += [f"Warning: {warning}" for warning in report.warnings]
    return "\n    ".join(lines)


@smtps_group.command("explain", cls=click.Command)
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--host", default="", help="The SMTP server, if the text does not name it.")
@click.option("--provider", default="", help="Its provider, if the text does not show it.")
def explain_error(file: BinaryIO, host: str, provider: str) -> None:
    """Say what the error, log or transcript in FILE means; "-", the default: standard input."""
    try:
        raw = file.read(2 * MAX_TEXT + 2)
        # Windows PowerShell writes UTF-16 into files
        utf_16 = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        text = raw.decode("utf-16" if utf_16 else "utf-8-sig", errors="replace")
        found = explain.explain_for_all(text, host, provider)
    except OSError as error:
        raise UsageError(f"{file.name} cannot be read: {error.strerror}.") from None
    except BadInput as error:
        raise UsageError(" ".join(map(str, chain(*error.errors.values())))) from None
    diagnosis = found.diagnosis
    if diagnosis is None:
        raise UsageError("No SMTP error was found in this text.")
    click.echo(f"{diagnosis.title} ({diagnosis.id})")
    click.echo(f"    {diagnosis.meaning}")
    if found.reply:
        click.echo(f"    The server said: {found.reply.code} {found.reply.text}".rstrip())
    for line in _how_sure(diagnosis):
        click.echo(f"    {line}")
    for step in diagnosis.steps:
        click.echo(f"    Next: {step}")
    if diagnosis.link:
        click.echo(f"    See: {diagnosis.link}")
    if found.asks:
        options = " or ".join(f"--{name}" for name in found.asks)
        click.echo(f"    The answer depends on the server: give {options}.")


def _how_sure(found: Report | Diagnosis) -> Iterator[str]:
    if found.confidence in ("likely", "unclear"):
        yield f"Confidence: {found.confidence}"
    for code in found.also_possible:
        if cause := causes_by_id().get(code):
            yield f"It can also be: {render(cause, found.facts).title} ({code})"


@smtps_group.command("export")
@click.argument(
    "file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), default="-"
)
@click.option("--user", "name", help="Only the apps of this account.")
@click.option("--with-passwords", is_flag=True, help="Include the SMTP passwords, in plain text.")
def export(file: Path, name: str | None, with_passwords: bool) -> None:
    """Write all apps and SMTP servers as JSON to FILE, or to standard output."""
    user = find_user(name) if name else None
    document = export_import.dump(user_id=user.id if user else None, with_passwords=with_passwords)
    if str(file) == "-":
        click.echo(document, nl=False)
        return
    try:
        export_import.write_privately(file, document)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}.") from None


@smtps_group.command("import")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--user", "name", help="Add all apps to this account instead of the accounts in the file."
)
def import_(file: BinaryIO, name: str | None) -> None:
    """Add the apps and SMTP servers in FILE ("-": standard input); on an error, add none."""
    try:
        document = file.read()
    except OSError as error:
        raise UsageError(f"{file.name} cannot be read: {error}.") from None
    added = export_import.load(document, user_id=find_user(name).id if name else None)
    click.echo(f"Added: {added.apps} app(s), {added.smtps} SMTP server(s).")


@smtps_group.command("due")
@click.option("--app", "idapp", metavar="IDAPP", help="Only the SMTP servers of this app.")
def make_due(idapp: str | None) -> None:
    """Make all scheduled checks due now, for example after an incident."""
    try:
        count = schedule.make_due(_id(idapp))
    except NotFound:
        raise UsageError(f"There is no app {idapp}.") from None
    click.echo(f"{count} scheduled check(s) are due now.")
    if not workers.is_any_alive():
        click.echo("No worker is running: start one with 'flask --app wsgi worker'.", err=True)


@smtps_group.command("disable")
@click.argument("idsmtp")
@click.option("--until", help="When it is enabled again, such as 2026-01-31T18:00 (UTC).")
@click.option("--note", default="", help="Why; shown on its page.")
def disable_smtp(idsmtp: str, until: str | None, note: str) -> None:
    """Turn an SMTP server off; no check enables it again."""
    ((smtp_id, owner_id, name),) = _find(idsmtp, None)
    try:
        moment = validators.moment(until) if until else None
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None
    switches.disable(owner_id, smtp_id, until=moment, note=note)
    click.echo(f"{name} is off{f' until {moment:%Y-%m-%d %H:%M} UTC' if moment else ''}.")


@smtps_group.command("enable")
@click.argument("idsmtp")
def enable_smtp(idsmtp: str) -> None:
    """Enable an SMTP server, whoever disabled it."""
    ((smtp_id, owner_id, name),) = _find(idsmtp, None)
    switches.enable(owner_id, smtp_id)
    click.echo(f"{name} is enabled.")
