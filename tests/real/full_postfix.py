"""A real Postfix with all doors, and a real postgrey that puts mails off."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import cannot_run
from tests.real import certificates
from tests.real.postfix import Postfix, postfix
from tests.real.servers import (
    GREYLISTED,
    LOGIN,
    MAILBOX,
    NOT_OWNED,
    TINY,
    Door,
    RealServer,
    all_answer,
    maildir,
    version_in,
)  # fmt: skip
from tests.support.serving import clean_environment, free_port, program

# As in the master.cf that comes with Postfix, where this part is a comment.
SUBMISSION = """
127.0.0.1:{port} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sender_login_maps=$owners
  -o smtpd_sender_restrictions=$submission_sender_restrictions
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
"""
INCOMING = """
127.0.0.1:{port} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=no
"""
MORE = {
    Door.TLS: "  -o smtpd_tls_wrappermode=yes\n",
    Door.EXPIRED: "  -o smtpd_tls_chain_files={folder}/old.pem\n",
    Door.CLIENT_CERTIFICATE: (
        "  -o smtpd_tls_req_ccert=yes\n  -o smtpd_tls_CAfile={folder}/clients.pem\n"
    ),
    Door.SMALL: f"  -o message_size_limit={TINY}\n",
}
MAIN = """
virtual_mailbox_maps = inline:{{ {{ {mailbox} = test/ }}, {{ {greylisted} = grey/ }} }}
smtpd_tls_chain_files = {{folder}}/good.pem
owners = inline:{{ {{ {login} = {login} }}, {{ {not_owned} = {not_owned} }} }}
submission_sender_restrictions = reject_sender_login_mismatch
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ {greylisted} = greylisting }} }}
smtpd_restriction_classes = greylisting
greylisting = check_policy_service inet:127.0.0.1:{policy}
"""


@contextmanager
def full_postfix(folder: Path) -> Iterator[RealServer]:
    """Run both."""
    ports = {door: free_port() for door in Door}
    files = {"clients.pem": certificates.authority()}
    for name, expired in (("good", False), ("old", True)):
        files[f"{name}.pem"] = b"".join(certificates.certificate(expired))
    services = [
        (INCOMING if door is Door.INCOMING else SUBMISSION).format(port=port) + MORE.get(door, "")
        for door, port in ports.items()
    ]
    policy = free_port()
    main = MAIN.format(
        mailbox=MAILBOX, greylisted=GREYLISTED, login=LOGIN, not_owned=NOT_OWNED, policy=policy
    )
    with _postgrey(policy, folder), postfix(main, "".join(services).lstrip(), files) as running:
        version = subprocess.run(
            ["/usr/sbin/postconf", "-d", "-h", "mail_version"], capture_output=True, text=True
        ).stdout
        store = running.folder / "mail" / MAILBOX.partition("@")[0]
        assert all_answer(ports)
        yield RealServer(f"Postfix {version_in(version)}", ports, lambda: maildir(store))


@contextmanager
def _postgrey(port: int, folder: Path) -> Iterator[None]:
    if not Path("/usr/sbin/postgrey").exists():
        cannot_run("postgrey is not installed: run tests/real/install.sh")
    database = folder / "postgrey"
    database.mkdir()
    # As root, since its own account may not enter this folder.
    command = ["/usr/sbin/postgrey", f"--inet=127.0.0.1:{port}", f"--dbdir={database}"]
    command += ["--user=root", "--group=root"]
    with program(command, env=clean_environment(folder), log=folder / "postgrey.log") as running:
        running.wait_for(lambda: _listens(port))
        yield


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


_RELAY = f"""
virtual_mailbox_maps = inline:{{ {{ test@example.com = test/ }}, {{ {GREYLISTED} = grey/ }} }}
smtpd_sender_restrictions = check_sender_access inline:{{ {{ {NOT_OWNED} =
  REJECT not owned by you }} }}
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ {GREYLISTED} =
  450 4.2.0 Greylisted, see http://postgrey.schweikert.ch/help/example.com.html }} }}
"""


@contextmanager
def relay() -> Iterator[Postfix]:
    """A Postfix behind another server, which passes its refusals on."""
    with postfix(_RELAY) as running:
        yield running
