"""The test email (RFC 5322), built so that no input can add a header.

An email with other content, such as an alarm, is built in the same way.

The header names are compared again once the message is in its final bytes,
because encoded words and line folding have let header lines in before (CVE-2024-6923).
"""

from __future__ import annotations

import email.utils
import quopri
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header

from ..core.addresses import Mailbox
from ..core.types import Content

_HEADERS = (
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version",
    "Content-Type", "Content-Transfer-Encoding",
)  # fmt: skip
_PHRASE = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII
)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|=\?")


@dataclass(frozen=True, slots=True)
class Message:
    """A message: ``data`` is sent after 354, with the final dot; ``size`` is without it."""

    data: bytes
    size: int
    message_id: str


def compose(
    sender: Mailbox,
    recipient: Mailbox,
    from_name: str,
    host: str,
    port: int,
    timestamp: float,
    arrival_url: str = "",
    content: Content | None = None,
) -> Message:
    """Compose the test email for ``host``. Raises ValueError if a value is unsafe in a header.

    With an ``arrival_url``, the message asks its reader to open it. ``content``: what to say
    instead.
    """
    for value in (from_name, *((content.subject, content.message_id) if content else ())):
        if (found := _UNSAFE.search(value)) is not None:
            raise ValueError(f"it holds {found[0]!r} at position {found.start() + 1}")
    # The sender's domain is always available, but some servers refuse an address literal in a
    # msg-id, and two consecutive dots (from "::") are invalid.
    domain = re.sub(r"[:.]+", ".", sender.domain.strip("[]"))
    own_part = content.message_id if content else f"{secrets.token_hex(16)}.check"
    message_id = f"<{own_part}@{domain.strip('.')}>"
    eight_bit = sender.utf8 or recipient.utf8
    if content is not None:
        # Quoted-printable goes through every server, whatever the text holds (RFC 2045 6.7)
        charset, encoding = "utf-8", "quoted-printable"
    else:
        charset, encoding = ("utf-8", "8bit") if eight_bit else ("us-ascii", "7bit")
    subject = content.subject if content else "Test email from an SMTP server check"
    lines = [
        f"From: {_display_name(from_name)}<{sender.address}>",
        f"To: <{recipient.address}>",
        f"Subject: {_unstructured(subject)}",
        f"Date: {email.utils.format_datetime(datetime.fromtimestamp(timestamp, UTC))}",
        f"Message-ID: {message_id}",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f"Content-Type: text/plain; charset={charset}",
        f"Content-Transfer-Encoding: {encoding}",
        "",
        *(_encoded(content.text) if content else _test_text(host, port, arrival_url)),
    ]
    text = re.sub(r"\r\n|\r|\n", "\r\n", "\n".join(lines) + "\n")
    _recheck(text)
    stuffed = re.sub(r"^\.", "..", text, flags=re.MULTILINE)  # RFC 5321 4.5.2
    raw = stuffed.encode("utf-8" if eight_bit else "ascii")
    return Message(raw + b".\r\n", len(raw), message_id)


def _encoded(text: str) -> list[str]:
    """The text in quoted-printable, line by line."""
    return quopri.encodestring(text.encode("utf-8", "replace")).decode("ascii").split("\n")


def _test_text(host: str, port: int, arrival_url: str) -> list[str]:
    return [
        "This is a test email. It was sent to find out whether this SMTP server accepts mail:",
        "",
        f"    host {host}",
        f"    port {port}",
        "",
        *_closing(arrival_url),
    ]


def _closing(arrival_url: str) -> list[str]:
    if not arrival_url:
        return [
            "It was delivered, so the server works. No action needed. Replies are not read.",
        ]
    return [
        "It was delivered, so the server works. To let the sender know, open",
        "",
        f"    {arrival_url}",
        "",
        'and press "I received this email". Replies are not read.',
    ]


def _display_name(name: str) -> str:
    name = name.strip()
    if not name:
        return ""
    if _PHRASE.fullmatch(name) and len(name) < 60:
        return name + " "
    if name.isascii() and len(name) < 60:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" '
    return Header(name, "utf-8", header_name="From", maxlinelen=72).encode() + "\r\n "


def _unstructured(text: str) -> str:
    """A subject: as it is where that is short ASCII, else in encoded words, folded."""
    if text.isascii() and len(text) < 68:
        return text
    return Header(text, "utf-8", header_name="Subject", maxlinelen=72).encode(linesep="\r\n")


def _recheck(text: str) -> None:
    head = text.partition("\r\n\r\n")[0]
    names = tuple(line.partition(":")[0] for line in re.split(r"\r\n(?![ \t])", head))
    if names != _HEADERS:
        raise ValueError("it would change the headers of the mail")
