"""Recognize a server's protocol by its first bytes: SMTP or something else."""

from __future__ import annotations

import re

_SMTP = re.compile(rb"[2-5][0-9][0-9][ \t-]")

# Greetings of other servers. Their text is never shown: a check must not be a way to read them.
_PROTOCOLS = (
    (re.compile(rb"HTTP/[0-9.]+ |<!DOCTYPE|<html", re.IGNORECASE), "HTTP"),
    (re.compile(rb"SSH-[0-9.]+-"), "SSH"),
    (re.compile(rb"\* (OK|PREAUTH|BYE|BAD)\b", re.IGNORECASE), "IMAP"),
    (re.compile(rb"(\+OK|-ERR)\b"), "POP3"),
    (re.compile(rb"-ERR |-NOAUTH|-DENIED"), "Redis"),
    (re.compile(rb".\x00\x00\x00[\x0a\xff]", re.DOTALL), "MySQL"),
    (re.compile(rb"\xff[\xfb-\xfe]"), "Telnet"),
    (re.compile(rb"RFB [0-9]{3}\."), "VNC"),
    (re.compile(rb"\"IMPLEMENTATION\"", re.IGNORECASE), "ManageSieve"),
    (re.compile(rb"[\x14-\x18]\x03[\x00-\x04]"), "TLS"),
)


def protocol_of(start: bytes) -> str:
    """Return the protocol of a server whose output starts like this: "SMTP", another, or ""."""
    if _SMTP.match(start):
        return "SMTP"
    return next((name for pattern, name in _PROTOCOLS if pattern.match(start)), "")
