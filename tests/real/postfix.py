"""A real Postfix on a port of loopback: own configuration, own queue, STARTTLS, AUTH, a mailbox."""

from __future__ import annotations

import email
import email.policy
import grp
import os
import pwd
import shutil
import smtplib
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import trustme

from tests.conftest import cannot_run
from tests.support.serving import PATIENCE, clean_environment, free_port, program

LOGIN = "app@example.com"
PASSWORD = "open sesame, please"
MAILBOX = "test@example.com"

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/postfix
maillog_file_prefixes = {folder}
myhostname = mail.example.com
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
mydestination =
local_recipient_maps =
alias_maps =
default_transport = error:nothing leaves this machine
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {{ {mailbox} = test/ }} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {folder}/server.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = example.com
cyrus_sasl_config_path = {folder}/sasl
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
proxymap  unix  - - n - - proxymap
anvil     unix  - - n - 1 anvil
virtual   unix  - n n - - virtual
error     unix  - - n - - error
retry     unix  - - n - - error
postlog   unix-dgram n - n - 1 postlogd
"""

SASL = """
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/sasl/sasldb2
mech_list: PLAIN LOGIN
"""


@dataclass(frozen=True)
class Postfix:
    """A running Postfix, as the test sees it."""

    port: int
    folder: Path

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def mails(self) -> dict[str, EmailMessage]:
        """The mails in the mailbox, by file name."""
        return {
            path.name: email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            for path in (self.folder / "mail" / "test" / "new").glob("*")
        }

    def next_mail(self, before: dict[str, EmailMessage]) -> EmailMessage:
        """The one mail that was not there before: accepted, it is delivered a moment later."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = self.mails()
            if new := found.keys() - before.keys():
                assert len(new) == 1
                return found[new.pop()]
            time.sleep(0.05)
        raise AssertionError("no mail was delivered")


@contextmanager
def postfix(
    more_main: str = "", more_master: str = "", files: Mapping[str, bytes] | None = None
) -> Iterator[Postfix]:
    """Run one; skips where there is none, or where it cannot be started.

    ``more_main`` and ``more_master`` are lines for the end of main.cf and master.cf, where
    ``{folder}`` stands for Postfix's folder; ``files`` are put there.
    """
    for name in ("postfix", "saslpasswd2"):
        if not shutil.which(name, path="/usr/sbin:/usr/local/sbin"):
            cannot_run(f"the program {name} is not installed")
    if os.geteuid() != 0:
        cannot_run("Postfix is started by root only")
    # Not in pytest's own folder, which only root may enter: Postfix's parts run as others.
    folder = Path(tempfile.mkdtemp(prefix="smtpweb-postfix-"))
    folder.chmod(0o755)
    port = free_port()
    try:
        _set_up(folder, port)
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
        for name, lines in (("main.cf", more_main), ("master.cf", more_master)):
            with (folder / name).open("a") as file:
                file.write(lines.replace("{folder}", str(folder)))
        command = ["/usr/sbin/postfix", "-c", str(folder), "start-fg"]
        env = clean_environment(folder)
        with program(command, env=env, log=folder / "console", cwd=folder) as running:
            running.wait_for(lambda: _greets(port))
            yield Postfix(port, folder)
            subprocess.run(
                ["/usr/sbin/postfix", "-c", str(folder), "abort"], env=env, capture_output=True
            )
    finally:
        shutil.rmtree(folder)


def _set_up(folder: Path, port: int) -> None:
    owner = pwd.getpwnam("postfix")
    nobody = pwd.getpwnam("nobody")
    for name in ("queue", "data", "log", "mail", "sasl"):
        (folder / name).mkdir()
    os.chown(folder / "data", owner.pw_uid, grp.getgrnam("postfix").gr_gid)
    os.chown(folder / "mail", nobody.pw_uid, nobody.pw_gid)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    values = {
        "folder": folder,
        "port": port,
        "mailbox": MAILBOX,
        "uid": nobody.pw_uid,
        "gid": nobody.pw_gid,
    }
    (folder / "main.cf").write_text(MAIN.format(**values))
    (folder / "master.cf").write_text(MASTER.format(**values))
    (folder / "sasl" / "smtpd.conf").write_text(SASL.format(**values))
    name, realm = LOGIN.split("@")
    database = folder / "sasl" / "sasldb2"
    subprocess.run(
        ["/usr/sbin/saslpasswd2", "-p", "-c", "-f", str(database), "-u", realm, name],
        input=PASSWORD.encode(), check=True, capture_output=True,
    )  # fmt: skip
    os.chown(database, owner.pw_uid, owner.pw_gid)


def _greets(port: int) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as connection:
            return connection.noop()[0] == 250
    except OSError:
        return False
