"""A real Sendmail in a jail: one daemon for most doors, and one for each that is set up otherwise.

Sendmail has one certificate and one size limit a process.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real import certificates
from tests.real.jail import Jail, jail
from tests.real.servers import (
    GREYLISTED,
    LOGIN,
    MAILBOX,
    NOT_OWNED,
    PASSWORD,
    TINY,
    Door,
    RealServer,
    all_answer,
    mbox,
    version_in,
)  # fmt: skip
from tests.support.serving import free_port

# `M=a` wants a login, `s` is TLS from the start, `A` offers no AUTH.
CONFIGURATION = """
divert(-1)
include(`/usr/share/sendmail/cf/m4/cf.m4')
OSTYPE(`debian')
define(`confDOMAIN_NAME', `mail.example.com')
define(`confPID_FILE', `/run/{name}.pid')
define(`QUEUE_DIR', `/var/spool/{name}')
define(`STATUS_FILE', `/var/log/{name}.st')
define(`confCACERT', `/tls/ca.crt')
define(`confCACERT_PATH', `/tls')
define(`confSERVER_CERT', `/tls/{certificate}.crt')
define(`confSERVER_KEY', `/tls/{certificate}.key')
define(`confAUTH_OPTIONS', `p')
define(`confAUTH_MECHANISMS', `PLAIN LOGIN')
define(`confTO_IDENT', `0')
define(`confDELIVERY_MODE', `background')
{more}
TRUST_AUTH_MECH(`PLAIN LOGIN')
FEATURE(`no_default_msa')
FEATURE(`nocanonify')
FEATURE(`accept_unresolvable_domains')
FEATURE(`access_db', `hash -T<TMPF> /etc/mail/access')
FEATURE(`blocklist_recipients')
FEATURE(`local_lmtp', `/usr/libexec/sendmail/mail.local')
LOCAL_DOMAIN(`example.com')
{doors}
MAILER(`local')
MAILER(`smtp')
"""

ACCESS = """
From:{not_owned} REJECT
To:{greylisted} ERROR:4.7.1:"451 Greylisting in action, please come back in 00:05:00"
TLS_Clt:127.0.0.1 PERM+{strength}
"""

SASL = """
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: /etc/sasldb2
mech_list: PLAIN LOGIN
"""

PROGRAMS = (
    "/usr/bin/m4",
    "/usr/bin/dash",
    "/usr/bin/sh",
    "/usr/sbin/saslpasswd2",
    "/usr/lib/*/sasl2/libplain.so",
    "/usr/lib/*/sasl2/liblogin.so",
    "/usr/lib/*/sasl2/libsasldb.so",
)


@contextmanager
def sendmail(folder: Path) -> Iterator[RealServer]:
    """Run one; the doors are ports of four daemons."""
    ports = {door: free_port() for door in Door}
    with (
        jail(["sendmail-base", "sendmail-bin", "sendmail-cf"], PROGRAMS, USERS) as here,
        contextlib.ExitStack() as daemons,
    ):
        _set_up(here)
        most = {
            Door.SUBMISSION: "Ea",
            Door.TLS: "Eas",
            Door.INCOMING: "EA",
        }
        running = [
            daemons.enter_context(here.serving(name, *command))
            for name, command in [
                _daemon(here, "main", {ports[door]: flags for door, flags in most.items()}),
                _daemon(here, "old", {ports[Door.EXPIRED]: "Ea"}, certificate="old"),
                _daemon(
                    here, "small", {ports[Door.SMALL]: "Ea"},
                    more=f"define(`confMAX_MESSAGE_SIZE', `{TINY}')",
                ),
                _daemon(here, "clients", {ports[Door.CLIENT_CERTIFICATE]: "Ea"}, access="VERIFY"),
            ]
        ]  # fmt: skip
        for daemon in running:
            daemon.wait_for(lambda: all_answer(ports))
        here.run(SENDMAIL, "-bi", "-C/etc/mail/main.cf")
        store = here.folder / "var/mail" / MAILBOX.partition("@")[0]
        version = version_in(here.run(SENDMAIL, "-d0.1", "-bt", "-C/etc/mail/main.cf"))
        yield RealServer(
            f"Sendmail {version}",
            ports,
            lambda: mbox(store),
            # The door for submission asks for the login first.
            changes={"STARTTLS required": {"door": Door.INCOMING}},
            lacks={"good, neither TLS nor login": "takes nothing without TLS here"},
        )


SENDMAIL = "/usr/libexec/sendmail/sendmail"
USERS = ("smmta", "smmsp", "test", "grey", "app", "boss")


def _set_up(here: Jail) -> None:
    here.write("/tls/ca.crt", certificates.authority())
    for name, expired in (("server", False), ("old", True)):
        key, chain = certificates.certificate(expired)
        here.write(f"/tls/{name}.key", key, mode=0o600)
        here.write(f"/tls/{name}.crt", chain)
    here.directory("/var/mail", 8, mode=0o1777)
    here.directory("/var/log")
    here.write("/etc/mail/local-host-names", "example.com\n")
    here.write("/etc/mail/aliases", "postmaster: root\n")
    for folder in ("/etc/sasl2", "/etc/mail/sasl", "/usr/lib/sasl2"):
        here.write(f"{folder}/Sendmail.conf", SASL)
    name, realm = LOGIN.split("@")
    here.run(
        "/usr/sbin/saslpasswd2", "-p", "-c", "-f", "/etc/sasldb2", "-u", realm, name,
        given=PASSWORD,
    )  # fmt: skip


def _daemon(
    here: Jail, name: str, doors: dict[int, str], *,
    certificate: str = "server", more: str = "", access: str = "ENCR:112",
) -> tuple[str, list[str]]:  # fmt: skip
    here.directory(f"/var/spool/{name}", mode=0o700)
    here.write(
        f"/etc/mail/{name}.mc",
        CONFIGURATION.format(
            name=name,
            certificate=certificate,
            more=more,
            doors="\n".join(
                f"DAEMON_OPTIONS(`Addr=127.0.0.1, Port={port}, Name=d{port}, M={flags}')"
                for port, flags in doors.items()
            ),
        ).replace("/etc/mail/access'", f"/etc/mail/{name}-access'"),
    )
    made = here.run("/usr/bin/m4", f"/etc/mail/{name}.mc")
    # Sendmail relays for its own machine, where the tests come from as well.
    made, found = re.subn(r"(?m)^R(127\.0\.0\.1|(<\?> )?\$=w)\t.*RELAY.*\n", "", made)
    assert found == 3
    here.write(f"/etc/mail/{name}.cf", made)
    here.run(
        "/usr/libexec/sendmail/makemap", "-C", f"/etc/mail/{name}.cf", "hash",
        f"/etc/mail/{name}-access",
        given=ACCESS.format(not_owned=NOT_OWNED, greylisted=GREYLISTED, strength=access).lstrip(),
    )  # fmt: skip
    return name, [SENDMAIL, "-bD", "-q1m", f"-C/etc/mail/{name}.cf"]
