"""What each client has to do, and what it reports."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from .server import PASSWORD, USER

MESSAGE = (
    "From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: Test mail of an SMTP server check\r\n"
    "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <4711.bench@bench.example>\r\n\r\n"
    "This is a test mail. It was sent to find out whether this SMTP server takes mail.\r\n"
)


@dataclass(frozen=True)
class Job:
    """``count`` full conversations, one after the other or all at once."""

    client: str
    host: str
    port: int
    tls: str  # "starttls" or "implicit"
    count: int
    at_once: bool = False
    user: str = USER
    password: str = PASSWORD
    recipient: str = "test@bench.example"
    domain: str = "bench.example"

    @property
    def sender(self) -> str:
        """The sender, by which the server recognises the client."""
        return f"{self.client}@{self.domain}"

    @property
    def message(self) -> bytes:
        """The message; no line needs dot-stuffing."""
        return MESSAGE.format(sender=self.sender, recipient=self.recipient).encode()

    def to_json(self) -> str:
        """The job on one line."""
        return json.dumps(asdict(self) | {"sender": self.sender})

    @classmethod
    def from_json(cls, line: str) -> Job:
        """The job that :meth:`to_json` wrote."""
        given = json.loads(line)
        return cls(**{name: value for name, value in given.items() if name in cls.__match_args__})


@dataclass(frozen=True)
class Measured:
    """What a client measured of itself, in seconds and KiB."""

    walls: list[float]  # each conversation; for a job at once one entry
    cpu: float  # of the process, and for programs that are started of these
    contexts: int  # TLS contexts made
    memory: int  # peak minus start
    threads: int  # most at any time
    failed: int
    why: str = ""
