"""What a fake SMTP server may do instead of replying, and names for combinations of knobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Deed:
    """An action of the server in place of a reply."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return self.name


SILENCE = Deed("SILENCE")
HANG_UP = Deed("HANG_UP")
RESET = Deed("RESET")
DRIP = Deed("DRIP")
FLOOD = Deed("FLOOD")
ENDLESS_LINE = Deed("ENDLESS_LINE")


@dataclass(frozen=True)
class Slowly:
    """Reply after some seconds."""

    seconds: float
    reply: Any


class EachConnection(tuple[Any, ...]):
    """One reply per connection; the last one applies to all further connections."""

    def __new__(cls, *replies: Any) -> EachConnection:
        return super().__new__(cls, replies)


@dataclass(frozen=True)
class HangUpAfter:
    """Send these bytes and close the connection."""

    data: bytes


@dataclass(frozen=True)
class AfterNoise:
    """Wait for any bytes first, like a server whose clients speak first; then close."""

    data: bytes


# RFC 7628 3.2.2
TOKEN_ERROR = {"status": "invalid_token", "schemes": "bearer", "scope": "https://mail.example/"}

MISBEHAVIOURS: dict[str, dict[str, Any]] = {
    "silent from the start": {"replies": {"connect": SILENCE}},
    "hangs up without a greeting": {"replies": {"connect": HANG_UP}},
    "resets without a greeting": {"replies": {"connect": RESET}},
    "drips its greeting": {"replies": {"connect": DRIP}},
    "drips the reply to EHLO": {"replies": {"EHLO": DRIP}},
    "floods the greeting": {"replies": {"connect": FLOOD}},
    "floods the reply to EHLO": {"replies": {"EHLO": FLOOD}},
    "never ends a line": {"replies": {"EHLO": ENDLESS_LINE}},
    "goes silent after EHLO": {"replies": {"EHLO": SILENCE}},
    "goes silent at MAIL": {"replies": {"MAIL": SILENCE}},
    "goes silent after the dot": {"replies": {"dot": SILENCE}},
    "hangs up after EHLO": {"replies": {"EHLO": HANG_UP}},
    "hangs up after the dot": {"replies": {"dot": HANG_UP}},
    "resets after the dot": {"replies": {"dot": RESET}},
    "floods after the verdict": {"replies": {"QUIT": FLOOD}},
    "drips after the verdict": {"replies": {"QUIT": DRIP}},
    "resets at QUIT": {"replies": {"QUIT": RESET}},
    "hangs up at QUIT": {"replies": {"QUIT": HANG_UP}},
    "ignores QUIT": {"replies": {"QUIT": SILENCE}},
    "says everything at once": {
        "replies": {
            "connect": b"220 hi\r\n" + b"250 ok\r\n" * 3 + b"354 go\r\n250 queued\r\n221 bye\r\n",
            "EHLO": SILENCE,
        }
    },
    "injects behind STARTTLS": {
        "tls": "starttls",
        "replies": {"STARTTLS": b"220 go ahead\r\n250 injected\r\n"},
    },
    "goes on in clear after STARTTLS": {
        "tls": "starttls",
        "replies": {"STARTTLS": b"220 go ahead\r\n", "EHLO": ["250-fake\r\n250 STARTTLS"]},
    },
    "loses pipelined commands": {"loses_pipelined": True},
    "speaks HTTP": {"replies": {"connect": b"HTTP/1.1 400 Bad Request\r\n\r\n"}},
    "speaks SSH": {"replies": {"connect": b"SSH-2.0-OpenSSH_9.2\r\n"}},
    "speaks IMAP": {"replies": {"connect": b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n"}},
    "speaks POP3": {"replies": {"connect": b"+OK POP3 ready <1@example.com>\r\n"}},
    "speaks FTP": {
        "replies": {"connect": "220 (vsFTPd 3.0.3)", "EHLO": "530 Please login with USER and PASS.",
                    "HELO": "530 Please login with USER and PASS."}
    },
    "sends binary": {"replies": {"connect": bytes(range(256)) + b"\r\n"}},
}  # fmt: skip
