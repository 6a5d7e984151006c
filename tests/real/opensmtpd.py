"""A real OpenSMTPD in a jail: the one of Debian 12, whose TLS ends every handshake with an alert.

It was built for an older OpenSSL, so it is also a real server that offers TLS and cannot do it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smtpweb.mailcheck import Encryption
from tests.real import certificates
from tests.real.jail import Jail, jail
from tests.real.servers import (
    GREYLISTED,
    LOGIN,
    MAILBOX,
    PASSWORD,
    Door,
    RealServer,
    answers,
    maildir,
    version_in,
)  # fmt: skip
from tests.support.serving import free_port

# The size limit is one for the whole server, so there is no door for small mails only.
CONFIGURATION = """
pki good cert "/tls/server.crt"
pki good key "/tls/server.key"
pki old cert "/tls/old.crt"
pki old key "/tls/old.key"
ca clients cert "/tls/ca.crt"
table logins file:/etc/mail/logins
table owners file:/etc/mail/senders
table mailboxes file:/etc/mail/mailboxes
filter "greylisting" phase rcpt-to match rcpt-to regex "{greylisted}" reject "451 4.7.1 Greylisted, try again later"
listen on 127.0.0.1 port {submission} tls-require pki good auth <logins> senders <owners> filter "greylisting"
listen on 127.0.0.1 port {implicit} smtps pki good auth <logins>
listen on 127.0.0.1 port {incoming} tls pki good filter "greylisting"
listen on 127.0.0.1 port {expired} tls-require pki old auth <logins>
listen on 127.0.0.1 port {client} tls-require verify pki good ca clients auth <logins>
action "store" maildir "/mail/%{{rcpt.user}}" virtual <mailboxes>
match from any for domain "example.com" action "store"
"""  # noqa: E501


@contextmanager
def opensmtpd(folder: Path) -> Iterator[RealServer]:
    """Run one."""
    ports: dict[Door, int] = {door: free_port() for door in Door if door is not Door.SMALL}
    with jail(["opensmtpd"], ["/usr/bin/dash", "/usr/bin/sh"], USERS) as here:
        _set_up(here)
        here.write(
            "/etc/smtpd.conf",
            CONFIGURATION.format(
                greylisted=GREYLISTED,
                submission=ports[Door.SUBMISSION],
                implicit=ports[Door.TLS],
                incoming=ports[Door.INCOMING],
                expired=ports[Door.EXPIRED],
                client=ports[Door.CLIENT_CERTIFICATE],
            ),
        )
        with here.serving("opensmtpd", "/usr/sbin/smtpd", "-d") as running:
            running.wait_for(lambda: answers(ports[Door.INCOMING]))
            version = version_in(running.output.partition("OpenSMTPD")[2])
            store = here.folder / "mail" / MAILBOX.partition("@")[0]
            yield RealServer(
                f"OpenSMTPD {version}",
                ports,
                lambda: maildir(store),
                changes=dict.fromkeys(("unknown recipient", "relay denied", "greylisted"), PLAIN),
                lacks=dict.fromkeys(
                    ("wrong password", "no login where one is required", "sender refused"),
                    "out of reach: it cannot do TLS",
                ),
            )


PLAIN = {"door": Door.INCOMING, "encryption": Encryption.NONE, "auth": False}
USERS = ("opensmtpd", "opensmtpq", "vmail")


def _set_up(here: Jail) -> None:
    here.directory("/var/lib/opensmtpd/empty")
    here.directory("/var/spool/smtpd", mode=0o711)
    here.directory("/mail", 1003)
    here.directory("/home/vmail", 1003)
    here.write("/etc/mailname", "mail.example.com\n")
    here.write("/etc/ssl/certs/ca-certificates.crt", certificates.authority())
    here.write("/tls/ca.crt", certificates.authority())
    for name, expired in (("server", False), ("old", True)):
        key, chain = certificates.certificate(expired)
        here.write(f"/tls/{name}.key", key, mode=0o600)
        here.write(f"/tls/{name}.crt", chain)
    controller = here.folder / "usr/sbin/smtpctl"
    os.chown(controller, 0, 1002)
    controller.chmod(0o2755)  # as the package's own script does it; the program insists
    crypted = here.run("/usr/sbin/smtpctl", "encrypt", PASSWORD).strip()
    here.write("/etc/mail/logins", f"{LOGIN} {crypted}\n")
    here.write("/etc/mail/senders", f"{LOGIN} {LOGIN}\n")
    here.write("/etc/mail/mailboxes", f"{MAILBOX} vmail\n{GREYLISTED} vmail\n")
