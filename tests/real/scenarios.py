"""What is tried at every real server, and how it ended there: the table of docs/real-servers.md.

``python -m tests.real.scenarios`` starts all servers, measures, and writes the document.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smtpweb.mailcheck import EgressPolicy, Encryption, Report, Target, check, check_many
from tests.real import certificates
from tests.real.aiosmtpd_process import aiosmtpd_process
from tests.real.dovecot import dovecot
from tests.real.exim import exim
from tests.real.full_postfix import full_postfix
from tests.real.haraka_process import haraka_process
from tests.real.opensmtpd import opensmtpd
from tests.real.sendmail import sendmail
from tests.real.servers import GREYLISTED, LOGIN, MAILBOX, NOT_OWNED, PASSWORD, Door, RealServer

SERVERS: dict[str, Callable[[Path], AbstractContextManager[RealServer]]] = {
    "Postfix": full_postfix,
    "Exim": exim,
    "Sendmail": sendmail,
    "OpenSMTPD": opensmtpd,
    "Dovecot": dovecot,
    "Haraka": haraka_process,
    "aiosmtpd": aiosmtpd_process,
}

AT_ONCE = 3  # servers measured at the same time: they mostly wait

# What differs from a good login over STARTTLS at the door for submission.
SCENARIOS: dict[str, dict[str, Any]] = {
    "good, neither TLS nor login": {
        "door": Door.INCOMING, "encryption": Encryption.NONE, "auth": False,
    },
    "good login over STARTTLS": {},
    "good login over implicit TLS": {"door": Door.TLS, "encryption": Encryption.IMPLICIT},
    "wrong password": {"password": "open barley, please"},
    "no login where one is required": {"auth": False},
    "login without TLS": {"encryption": Encryption.NONE},
    "STARTTLS required": {"encryption": Encryption.NONE, "auth": False},
    "unknown recipient": {"rcpt_to": "nosuchone@example.com"},
    "relay denied": {"door": Door.INCOMING, "auth": False, "rcpt_to": "someone@example.net"},
    "sender refused": {"mail_from": NOT_OWNED},
    "greylisted": {"rcpt_to": GREYLISTED},
    "too big": {"door": Door.SMALL},
    "expired certificate": {"door": Door.EXPIRED},
    "certificate of another name": {"host": "127.0.0.1"},
    "untrusted certificate": {"ca_file": None},
    "certificate of another name, implicit TLS": {
        "door": Door.TLS, "encryption": Encryption.IMPLICIT, "host": "127.0.0.1",
    },
    "untrusted certificate, implicit TLS": {
        "door": Door.TLS, "encryption": Encryption.IMPLICIT, "ca_file": None,
    },
    "client certificate required": {"door": Door.CLIENT_CERTIFICATE},
    "TLS to a STARTTLS port": {"encryption": Encryption.IMPLICIT},
    "STARTTLS to a TLS port": {"door": Door.TLS},
}  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """How all scenarios ended at one server, by the blocking driver and by the asyncio driver."""

    name: str  # of the server, with its version
    lacks: Mapping[str, str]
    reports: Mapping[str, Report]
    asyncio_reports: Mapping[str, Report]
    arrived: Collection[str]  # Message-IDs of all mails in the store at the end


def run(name: str) -> Measured:
    """Start the server of this name, try everything, and end it."""
    with tempfile.TemporaryDirectory() as folder, SERVERS[name](Path(folder)) as server:
        return measure(server)


def measure(server: RealServer) -> Measured:
    """Try everything that the server supports, then wait for every accepted mail."""
    with tempfile.TemporaryDirectory() as folder:
        ca_file = Path(folder, "ca.pem")
        ca_file.write_bytes(certificates.authority())
        targets = {
            name: target
            for name in SCENARIOS
            if (target := _target(server, name, ca_file)) is not None
        }
        with ThreadPoolExecutor(5) as threads:
            by_loop = threads.submit(lambda: asyncio.run(check_many(targets.values(), at_once=4)))
            reports = dict(zip(targets, threads.map(check, targets.values()), strict=True))
            looped = dict(zip(targets, by_loop.result(), strict=True))
        for report in (*reports.values(), *looped.values()):
            if report.accepted:
                server.has(report.message_id)
        # Whatever else was taken and is still under way comes before one more mail.
        last = check(next(target for name, target in targets.items() if reports[name].accepted))
        server.has(last.message_id)
        arrived = [one for one in server.store() if one != last.message_id]
        return Measured(server.name, server.lacks, reports, looped, arrived)


def _target(server: RealServer, scenario: str, ca_file: Path) -> Target | None:
    values: dict[str, Any] = {
        "door": Door.SUBMISSION,
        "host": "localhost",
        "mail_from": LOGIN,
        "rcpt_to": MAILBOX,
        "encryption": Encryption.STARTTLS,
        "auth": True,
        "username": LOGIN,
        "password": PASSWORD,
        "timeout": 20.0,
        "policy": EgressPolicy.parse("127.0.0.0/8", "*"),
        "ca_file": ca_file,
    }
    values |= SCENARIOS[scenario] | dict(server.changes.get(scenario, {}))
    door = values.pop("door")
    if scenario in server.lacks or door not in server.ports:
        return None
    return Target(port=server.ports[door], **values)


def main() -> None:
    """Measure all servers and write docs/real-servers.md."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        measured = list(threads.map(run, SERVERS))
    text = "\n".join([INTRODUCTION, _overview(measured), *map(_section, measured)])
    Path(__file__).parents[2].joinpath("docs/real-servers.md").write_text(text)


INTRODUCTION = """# Real servers, and what the check says about them

Generated by `.venv/bin/python -m tests.real.scenarios`, as root on Debian 12, after
`tests/real/install.sh`; `tests/real/test_real_servers.py` runs the same scenarios. Each server
runs on loopback with its own configuration, queue and mail store. Every scenario runs with the
blocking and with the asyncio driver, with the same outcome. The store has an email for each
*accepted*, and no other.

The stage is where the check ended. The last column is the server's reply there; if it is empty,
the cause was found in TLS or before a command was sent. The first table leaves out the prefix
`SMTP_`; a dash means that the server does not support the scenario.

Notes:

- Dovecot and Haraka ask a Postfix behind them about each recipient and pass on its reply.
- Postfix uses a real postgrey; the other servers greylist by a rule of their own.
- OpenSMTPD in Debian 12 was built for an older OpenSSL and ends every TLS handshake with an alert.
  It serves as an example of a server that offers TLS but cannot use it.
- OpenSMTPD gives the same reply for unknown recipients and for those that it does not relay to.
- A missing client certificate shows in five ways: an alert (Exim, Haraka), a reply after the
  handshake (Postfix), a refused authentication (Dovecot), a closed connection (aiosmtpd), or no
  AUTH in the next EHLO (Sendmail). The last two look like other problems.
"""


def _overview(measured: list[Measured]) -> str:
    names = [one.name.partition(" ")[0] for one in measured]
    lines = ["## Overview", "", "| scenario | " + " | ".join(names) + " |"]
    lines.append("| --- |" + " --- |" * len(names))
    for scenario in SCENARIOS:
        cells = [_cell(one.reports.get(scenario)) for one in measured]
        lines.append(f"| {scenario} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _cell(report: Report | None) -> str:
    if report is None:
        return "–"
    return "accepted" if report.accepted else report.code.removeprefix("SMTP_")


_CHANGING = re.compile(r"[;,]? (Mon|Tue|Wed|Thu|Fri|Sat|Sun), .*| ready \(.*")


def _section(measured: Measured) -> str:
    lines = [f"## {measured.name}", ""]
    lines += ["| scenario | stage | code | reply |", "| --- | --- | --- | --- |"]
    for name in SCENARIOS:
        report = measured.reports.get(name)
        if report is None:
            lines.append(f"| {name} | – | – | {measured.lacks.get(name, 'has no such port')} |")
            continue
        reply = report.reply
        said = ""
        if reply is not None:
            # What changes from run to run is left out: a greeting's time and session number.
            text = _CHANGING.sub("", reply.text)
            said = " ".join(f"{reply.code} {reply.enhanced} {text}".split())
        lines.append(f"| {name} | {report.stage} | `{report.code}` | {said and f'`{said}`'} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
