"""Real Postfix and Exim at the far end of the link, one check at a time."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.support.serving import clean_environment, program

from .job import Job
from .link import FAR
from .server import PASSWORD, USER
from .testbed import Client, NotInstalled, Testbed

ROUND_TRIP = 0.1

_POSTFIX_PORT, _EXIM_PORT = 2526, 2527

EXIM = """
primary_hostname = mail.bench.example
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
local_interfaces = {far}
daemon_smtp_ports = {port}
keep_environment =
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {certificate}
rfc1413_query_timeout = 0s
queue_only = true
acl_smtp_rcpt = takes_logins
begin acl
takes_logins:
  accept authenticated = *
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_advertise_condition = ${{if def:tls_in_cipher}}
"""


@dataclass(frozen=True)
class Server:
    """A running server and how to log in there."""

    port: int
    user: str
    password: str
    recipient: str
    domain: str

    def job(self, client: str, count: int) -> Job:
        """``count`` conversations, one after the other."""
        return Job(
            client, FAR, self.port, "starttls", count, False,
            self.user, self.password, self.recipient, self.domain,
        )  # fmt: skip


def walls(
    testbed: Testbed, server: Server, clients: dict[str, Client], rounds: int
) -> dict[str, float]:
    """Round trips of wall time, medians."""
    seconds: dict[str, list[float]] = {name: [] for name in clients}
    with testbed.link.delayed(ROUND_TRIP):
        for number in range(rounds + 1):
            for name, client in clients.items():
                measured = client.do(server.job(name, 1))
                if number:
                    seconds[name] += measured.walls
    return {name: median(all_of) / ROUND_TRIP for name, all_of in seconds.items()}


@contextlib.contextmanager
def postfix(testbed: Testbed) -> Iterator[Server]:
    """Postfix as the tests set it up, but at the far end."""
    if not shutil.which("postfix", path="/usr/sbin") or not shutil.which(
        "saslpasswd2", path="/usr/sbin"
    ):
        raise NotInstalled("apt install postfix sasl2-bin libsasl2-modules")
    if not testbed.by_root:
        raise NotInstalled("only root can start Postfix")
    from tests.real import postfix as tested

    folder = Path(tempfile.mkdtemp(prefix="bench-postfix-"))
    folder.chmod(0o755)
    tested._set_up(folder, _POSTFIX_PORT)
    for name in ("main.cf", "master.cf"):
        file = folder / name
        file.write_text(file.read_text().replace("127.0.0.1", FAR))
    shutil.copy(testbed.certificate, folder / "server.pem")
    command = ["/usr/sbin/postfix", "-c", str(folder), "start-fg"]
    try:
        with _running(testbed, command, folder, _POSTFIX_PORT):
            yield Server(
                _POSTFIX_PORT, tested.LOGIN, tested.PASSWORD, tested.MAILBOX,
                tested.LOGIN.partition("@")[2],
            )  # fmt: skip
            subprocess.run(["/usr/sbin/postfix", "-c", str(folder), "abort"], capture_output=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def exim(testbed: Testbed, given: str | None) -> Iterator[Server]:
    """Exim with a configuration of our own; it queues what it accepts."""
    path = (
        given or shutil.which("exim4", path="/usr/sbin") or shutil.which("exim", path="/usr/sbin")
    )
    if path is None:
        raise NotInstalled("apt install exim4-daemon-light, or --exim PATH")
    if not testbed.by_root:
        raise NotInstalled("only root can start Exim")
    folder = Path(tempfile.mkdtemp(prefix="bench-exim-"))
    folder.chmod(0o755)
    owner = pwd.getpwnam("Debian-exim")
    for name in ("spool", "log"):
        (folder / name).mkdir()
        os.chown(folder / name, owner.pw_uid, owner.pw_gid)
    certificate = folder / "mail.pem"
    shutil.copy(testbed.certificate, certificate)
    os.chown(certificate, owner.pw_uid, owner.pw_gid)
    (folder / "exim.conf").write_text(
        EXIM.format(
            folder=folder, far=FAR, port=_EXIM_PORT, certificate=certificate,
            user=USER, password=PASSWORD.replace(",", "\\,"),
        )
    )  # fmt: skip
    command = [path, "-C", str(folder / "exim.conf"), "-bdf"]
    try:
        with _running(testbed, command, folder, _EXIM_PORT):
            yield Server(_EXIM_PORT, USER, PASSWORD, "test@bench.example", "bench.example")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(testbed: Testbed, command: list[str], folder: Path, port: int) -> Iterator[None]:
    there = ["nsenter", f"--net=/proc/{testbed.server}/ns/net", *command]
    env, log = clean_environment(folder), folder / "console"
    with program(there, env=env, log=log, cwd=folder) as running:
        running.wait_for(lambda: _greets(port))
        yield


def _greets(port: int) -> bool:
    try:
        with smtplib.SMTP(FAR, port, timeout=5) as connection:
            return connection.noop()[0] == 250
    except OSError:
        return False


SERVERS: dict[str, Callable[[Testbed, str | None], contextlib.AbstractContextManager[Server]]] = {
    "Postfix": lambda testbed, _: postfix(testbed),
    "Exim": exim,
}
