"""A real Haraka from npm, which hands its mails to a real Postfix while the client waits."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import cannot_run
from tests.real import certificates
from tests.real.full_postfix import relay
from tests.real.servers import (
    LOGIN,
    PASSWORD,
    TINY,
    Door,
    RealServer,
    all_answer,
    maildir,
)  # fmt: skip
from tests.support.serving import clean_environment, free_port, program

HARAKA = Path(__file__).parent / "haraka/node_modules/Haraka"


@contextmanager
def haraka_process(folder: Path) -> Iterator[RealServer]:
    """Run one; it has one certificate and one size limit a process, so there are three."""
    node = shutil.which("node")
    if node is None or not HARAKA.is_dir():
        cannot_run("Haraka is not installed: run tests/real/install.sh")
    ports = {door: free_port() for door in Door}
    with relay() as behind, contextlib.ExitStack() as running:
        started = []
        for name, doors in (
            ("main", [Door.SUBMISSION, Door.TLS, Door.INCOMING, Door.CLIENT_CERTIFICATE]),
            ("old", [Door.EXPIRED]),
            ("small", [Door.SMALL]),
        ):
            place = folder / name
            _set_up(place, {door: ports[door] for door in doors}, behind.port)
            command = [node, str(HARAKA / "bin/haraka"), "-c", str(place)]
            environment = clean_environment(place)
            started.append(
                running.enter_context(
                    program(command, env=environment, log=place / "log", cwd=place)
                )
            )
        for one in started:
            one.wait_for(lambda: all_answer(ports))
        version = json.loads((HARAKA / "package.json").read_text())["version"]
        store = behind.folder / "mail" / "test"
        yield RealServer(
            f"Haraka {version}",
            ports,
            lambda: maildir(store),
            lacks=dict.fromkeys(
                ("no login where one is required", "login without TLS", "STARTTLS required"),
                "has no setting for it",
            ),
        )


def _set_up(place: Path, ports: dict[Door, int], relay_port: int) -> None:
    shutil.copytree(HARAKA / "config", place / "config")  # as `haraka -i` does
    (place / "queue").mkdir()
    key, chain = certificates.certificate(expired=Door.EXPIRED in ports)
    settings: dict[str, str | bytes] = {
        "me": "mail.example.com",
        "plugins": "tls\nauth/flat_file\nrcpt_to.in_host_list\nqueue/smtp_proxy\n",
        "host_list": "example.com",
        "smtp.ini": "listen=" + ",".join(f"127.0.0.1:{port}" for port in ports.values()) + "\n",
        "smtp_proxy.ini": f"host=127.0.0.1\nport={relay_port}\n",
        "auth_flat_file.ini": f"[core]\nmethods=PLAIN,LOGIN\n[users]\n{LOGIN}={PASSWORD}\n",
        "tls_key.pem": key,
        "tls_cert.pem": chain,
        "tls_ca.pem": certificates.authority(),
        "tls.ini": "[main]\n",
    }
    if Door.TLS in ports:
        settings["smtp.ini"] += f"smtps_port={ports[Door.TLS]}\n"  # type: ignore[operator]
    if Door.CLIENT_CERTIFICATE in ports:
        settings["tls.ini"] = f"requireAuthorized[]={ports[Door.CLIENT_CERTIFICATE]}\n"
    if Door.SMALL in ports:
        settings["connection.ini"] = (
            (HARAKA / "config/connection.ini")
            .read_text()
            .replace("bytes=26214400", f"bytes={TINY}")
        )
    for name, content in settings.items():
        file = place / "config" / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
