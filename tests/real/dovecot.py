"""A real Dovecot submission service in a jail, which hands its mails to a real Postfix."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real import certificates
from tests.real.full_postfix import relay
from tests.real.jail import Jail, jail
from tests.real.servers import (
    LOGIN,
    PASSWORD,
    TINY,
    Door,
    RealServer,
    all_answer,
    maildir,
    version_in,
)  # fmt: skip
from tests.support.serving import free_port

CONFIGURATION = """
protocols = submission
base_dir = /run/{name}
log_path = /dev/stderr
default_login_user = dovenull
default_internal_user = dovecot
default_internal_group = dovecot
mail_location = maildir:/mail/%n
mail_uid = vmail
mail_gid = vmail
hostname = mail.example.com
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = scheme=PLAIN /etc/dovecot/logins
}}
userdb {{
  driver = static
  args = uid=vmail gid=vmail home=/mail/%n
}}
ssl = required
ssl_cert = </tls/{certificate}.crt
ssl_key = </tls/{certificate}.key
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  client_limit = 1000
}}
service submission-login {{
  inet_listener submission {{
    address = 127.0.0.1, 127.0.0.2
    port = {port}
  }}
  {listener}
}}
{more}
"""

IMPLICIT = """inet_listener submissions {{
    address = 127.0.0.1
    port = {port}
    ssl = yes
  }}"""

CLIENTS = """
ssl_ca = </tls/ca.crt
ssl_verify_client_cert = yes
auth_ssl_require_client_cert = yes
"""


@contextmanager
def dovecot(folder: Path) -> Iterator[RealServer]:
    """Run one with its relay; some doors need a Dovecot that is set up otherwise."""
    ports: dict[Door, int] = {door: free_port() for door in Door if door is not Door.INCOMING}
    with (
        relay() as behind,
        jail(["dovecot-core", "dovecot-submissiond"], users=USERS) as here,
        contextlib.ExitStack() as running,
    ):
        _set_up(here)
        for name, door, certificate, more in (
            ("main", Door.SUBMISSION, "server", ""),
            ("old", Door.EXPIRED, "old", ""),
            ("clients", Door.CLIENT_CERTIFICATE, "server", CLIENTS),
            ("small", Door.SMALL, "server", f"submission_max_mail_size = {TINY}"),
        ):
            listener = IMPLICIT.format(port=ports[Door.TLS]) if name == "main" else ""
            here.write(
                f"/etc/dovecot/{name}.conf",
                CONFIGURATION.format(
                    name=name, port=ports[door], certificate=certificate, more=more,
                    listener=listener, relay=behind.port,
                ),
            )  # fmt: skip
            started = running.enter_context(
                here.serving(name, "/usr/sbin/dovecot", "-F", "-c", f"/etc/dovecot/{name}.conf")
            )
        started.wait_for(lambda: all_answer(ports))
        version = version_in(here.run("/usr/sbin/dovecot", "--version"))
        store = behind.folder / "mail" / "test"
        yield RealServer(
            f"Dovecot {version}",
            ports,
            lambda: maildir(store),
            changes={
                # From its own address to the same address it takes logins without TLS, too.
                "login without TLS": {"host": "127.0.0.2"},
                "STARTTLS required": {"host": "127.0.0.2"},
                "relay denied": {"door": Door.SUBMISSION, "auth": True},
            },
        )


USERS = ("dovecot", "dovenull", "vmail")


def _set_up(here: Jail) -> None:
    here.directory("/mail", 1003)
    here.directory("/dev/shm", mode=0o1777)
    # The programs write their log here through their own name for it.
    (here.folder / "dev/stderr").symlink_to("null")
    here.write("/etc/dovecot/logins", f"{LOGIN}:{PASSWORD}\n")
    here.write("/tls/ca.crt", certificates.authority())
    for name, expired in (("server", False), ("old", True)):
        key, chain = certificates.certificate(expired)
        here.write(f"/tls/{name}.key", key)
        here.write(f"/tls/{name}.crt", chain)
