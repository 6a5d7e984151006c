"""What is common to the real servers: where each can be reached, and what lies in its store."""

from __future__ import annotations

import contextlib
import email
import email.policy
import enum
import mailbox
import re
import smtplib
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOGIN = "app@example.com"
PASSWORD = "open sesame, please"
MAILBOX = "test@example.com"
GREYLISTED = "grey@example.com"  # a recipient whose first mails are put off
NOT_OWNED = "boss@example.com"  # a sender that LOGIN may not use
TINY = 300  # octets, where a door takes small mails only: less than any test mail
PATIENCE = 15  # seconds, for an accepted mail to get into the store


class Door(enum.StrEnum):
    """The kinds of ports that a server can have; not every server has all."""

    SUBMISSION = "submission"  # STARTTLS, then AUTH
    TLS = "implicit TLS"  # AUTH
    INCOMING = "incoming"  # STARTTLS offered, no AUTH, mail for example.com only
    EXPIRED = "expired certificate"  # as SUBMISSION
    CLIENT_CERTIFICATE = "client certificate"  # as SUBMISSION
    SMALL = "small mails only"  # as SUBMISSION


@dataclass(frozen=True)
class RealServer:
    """A running mail server. ``store`` gives the Message-IDs of the mails that it delivered."""

    name: str  # with its version
    ports: Mapping[Door, int]
    store: Callable[[], Collection[str]]
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by scenario
    lacks: Mapping[str, str] = field(default_factory=dict)  # scenario: why it cannot be tried

    def has(self, message_id: str) -> bool:
        """Whether a mail gets into the store; it may take a moment."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if message_id in self.store():
                return True
            time.sleep(0.02)
        return False


def maildir(folder: Path) -> list[str]:
    """The Message-IDs in a Maildir; there may be none yet."""
    return [_message_id(path.read_bytes()) for path in (folder / "new").glob("*")]


def mbox(file: Path) -> list[str]:
    """The Message-IDs in a mailbox file; there may be none yet."""
    if not file.exists():
        return []
    with contextlib.closing(mailbox.mbox(file, create=False)) as mails:
        return [str(mail["Message-ID"]) for mail in mails]


def files(folder: Path) -> list[str]:
    """The Message-IDs in a folder with one mail a file."""
    return [_message_id(path.read_bytes()) for path in folder.glob("*.eml")]


def _message_id(mail: bytes) -> str:
    return str(email.message_from_bytes(mail, policy=email.policy.default)["Message-ID"])


def answers(port: int) -> bool:
    """Whether a server greets on a port without implicit TLS."""
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as connection:
            return connection.noop()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


def answers_over_tls(port: int) -> bool:
    """The same with implicit TLS, whatever the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with smtplib.SMTP_SSL("127.0.0.1", port, timeout=5, context=context) as connection:
            return connection.noop()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


def all_answer(ports: Mapping[Door, int]) -> bool:
    """Whether every door is open."""
    return all(
        answers_over_tls(port) if door is Door.TLS else answers(port)
        for door, port in ports.items()
    )


def version_in(text: str) -> str:
    """The version number in what a program says about itself."""
    found = re.search(r"\d+(\.\d+)+\w*", text)
    return found[0] if found else "?"
