"""The testbed: two networks, the link between them, the server and the clients."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from . import link
from .job import Job, Measured
from .server import SUBMISSION, SUBMISSIONS

HERE = Path(__file__).parent
PATIENCE = 180  # seconds for one job
PORTS = {"starttls": SUBMISSION, "implicit": SUBMISSIONS}


class NotInstalled(Exception):
    """A client or server is not installed; the message says how to install it."""


class Client:
    """A client's process, ready for jobs."""

    def __init__(self, name: str):
        self.name = name
        if name == "nodemailer":
            if not shutil.which("node"):
                raise NotInstalled("Node.js 20 or newer, then npm ci --prefix bench/check")
            command = ["node", "--expose-gc", str(HERE / "nodemailer.mjs")]
        else:
            command = [sys.executable, "-m", "bench.check.worker", name]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        first = self._answer()
        if "missing" in first:
            self.close()
            raise NotInstalled(first["missing"])

    def begin(self, job: Job) -> None:
        """Start a job without waiting for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(job.to_json() + "\n")
        self._process.stdin.flush()

    def end(self) -> Measured:
        """Wait for the job and return its figures; a failed job ends the bench."""
        measured = Measured(**self._answer())
        if measured.failed:
            raise SystemExit(f"{self.name} failed {measured.failed} times: {measured.why}")
        return measured

    def do(self, job: Job) -> Measured:
        """Start a job and wait for it."""
        self.begin(job)
        return self.end()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], (), (), PATIENCE)
        if not ready:
            self._process.kill()
            raise SystemExit(f"{self.name} did not end in {PATIENCE} s")
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the process of {self.name} ended with {self._process.wait(5)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@dataclass
class Testbed:
    """The link and the scripted server at its far end."""

    link: link.Link
    server: int  # its process id; its network is where real servers are started, too
    control: socket.socket
    certificate: Path  # with key; of FAR and 127.0.0.1
    authority: Path
    by_root: bool  # and not only by a user who is root in a namespace of his own

    def job(self, client: str, tls: str, count: int, *, at_once: bool = False) -> Job:
        """A job at the scripted server."""
        return Job(client, link.FAR, PORTS[tls], tls, count, at_once)

    def stories(self) -> dict[str, list[dict[str, Any]]]:
        """What the server has seen since it was last asked, by client."""
        found: dict[str, list[dict[str, Any]]] = {}
        while True:
            self.control.sendall(b"?")
            line = b""
            while not line.endswith(b"\n"):
                line += self.control.recv(1 << 20)
            measured = json.loads(line)
            for story in measured["stories"]:
                found.setdefault(story["sender"].partition("@")[0], []).append(story)
            if not measured["under_way"]:
                return found


@contextlib.contextmanager
def testbed() -> Iterator[Testbed]:
    """Move this process into the near network and set up the far one."""
    by_root = os.geteuid() == 0
    link.leave_for_own_network()
    near = link.open_end(link.NEAR)
    folder = Path(tempfile.mkdtemp(prefix="bench-check-"))
    folder.chmod(0o755)
    authority, certificate = _certificates(folder)
    ours, theirs = socket.socketpair()
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.check.server", str(certificate), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
        )
    far = link.receive_handle(ours)
    between = link.Link(near, far)
    try:
        yield Testbed(between, server.pid, ours, certificate, authority, by_root)
    finally:
        ours.close()
        between.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(5)
        if server.poll() is None:
            server.send_signal(signal.SIGKILL)
            server.wait()
        os.close(near)
        os.close(far)
        shutil.rmtree(folder, ignore_errors=True)


def _certificates(folder: Path) -> tuple[Path, Path]:
    ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
    authority, bundle, certificate = (folder / name for name in ("ca.pem", "all.pem", "mail.pem"))
    ca.cert_pem.write_to_path(str(authority))
    issued = ca.issue_cert(link.FAR, "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    system = ssl.get_default_verify_paths().cafile
    known = Path(system).read_bytes() if system else b""
    # As in life, a context is made from the whole store of the system
    bundle.write_bytes(known + authority.read_bytes())
    os.environ["SSL_CERT_FILE"] = str(bundle)
    os.environ["NODE_EXTRA_CA_CERTS"] = str(authority)
    return authority, certificate
