"""A real Exim 4 in a jail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real import certificates
from tests.real.jail import jail
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
    maildir,
    version_in,
)  # fmt: skip
from tests.support.serving import free_port

CONFIGURATION = """
primary_hostname = mail.example.com
domainlist local_domains = example.com
exim_user = Debian-exim
exim_group = Debian-exim
never_users =
spool_directory = /var/spool/exim
log_file_path = /var/log/exim_%slog
keep_environment =
rfc1413_query_timeout = 0s
host_lookup =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {ports}
tls_on_connect_ports = {tls}
tls_advertise_hosts = *
tls_certificate = ${{if eq{{$received_port}}{{{expired}}}{{/tls/old.crt}}{{/tls/server.crt}}}}
tls_privatekey = ${{if eq{{$received_port}}{{{expired}}}{{/tls/old.key}}{{/tls/server.key}}}}
tls_verify_certificates = /tls/ca.crt
tls_verify_hosts = ${{if eq{{$received_port}}{{{client_certificate}}}{{*}}{{}}}}
tls_try_verify_hosts =
message_size_limit = ${{if eq{{$received_port}}{{{small}}}{{{size}}}{{50M}}}}
acl_smtp_mail = check_mail
acl_smtp_rcpt = check_rcpt

begin acl
check_mail:
  accept condition = ${{if eq{{$received_port}}{{{incoming}}}}}
  deny !encrypted = *
       message = 5.7.0 Must issue a STARTTLS command first
  deny !authenticated = *
       message = Authentication required
  deny senders = {not_owned}
       message = Sender address $sender_address not owned by $authenticated_id
  accept

check_rcpt:
  defer recipients = {greylisted}
        message = Greylisted, please try again in 5 minutes
  accept authenticated = *
         verify = recipient
  require message = relay not permitted
          domains = +local_domains
  require verify = recipient
  accept

begin routers
known:
  driver = accept
  domains = +local_domains
  local_parts = test : grey
  transport = to_maildir
elsewhere:
  driver = redirect
  domains = ! +local_domains
  data = :fail: nothing leaves this machine

begin transports
to_maildir:
  driver = appendfile
  maildir_format
  directory = /mail/$local_part_data
  create_directory
  user = vmail

begin retry

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{login}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if and{{{{def:tls_in_cipher}}{{!eq{{$received_port}}{{{incoming}}}}}}}}}
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{login}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
  server_advertise_condition = ${{if and{{{{def:tls_in_cipher}}{{!eq{{$received_port}}{{{incoming}}}}}}}}}
"""  # noqa: E501


@contextmanager
def exim(folder: Path) -> Iterator[RealServer]:
    """Run one; all doors are ports of one daemon."""
    ports = {door: free_port() for door in Door}
    with jail(["exim4-base", "exim4-daemon-light"], users=["Debian-exim", "vmail"]) as here:
        for name, owner in (("/var/spool/exim", 1001), ("/var/log", 1001), ("/mail", 1002)):
            here.directory(name, owner)
        here.write("/tls/ca.crt", certificates.authority())
        for name, expired in (("server", False), ("old", True)):
            key, chain = certificates.certificate(expired)
            here.write(f"/tls/{name}.key", key)
            here.write(f"/tls/{name}.crt", chain)
        here.write(
            "/etc/exim4/exim4.conf",
            CONFIGURATION.format(
                ports=" : ".join(map(str, ports.values())),
                tls=ports[Door.TLS],
                incoming=ports[Door.INCOMING],
                expired=ports[Door.EXPIRED],
                client_certificate=ports[Door.CLIENT_CERTIFICATE],
                small=ports[Door.SMALL],
                size=TINY,
                login=LOGIN,
                password=PASSWORD,
                not_owned=NOT_OWNED,
                greylisted=GREYLISTED,
            ),
        )
        version = version_in(here.run("/usr/sbin/exim4", "-bV"))
        store = here.folder / "mail" / MAILBOX.partition("@")[0]
        with here.serving("exim", "/usr/sbin/exim4", "-bdf", "-q1m") as running:
            running.wait_for(lambda: all_answer(ports))
            yield RealServer(f"Exim {version}", ports, lambda: maildir(store))
