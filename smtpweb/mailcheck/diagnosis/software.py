"""Recognise the software of a mail server by its greeting and the shapes of its replies."""

from __future__ import annotations

import re

from .reading import Reading

_GREETINGS = (
    ("exchange", r"Microsoft ESMTP MAIL Service"),
    ("hmailserver", r"hMailServer"),
    ("mailenable", r"MailEnable"),
    ("domino", r"Lotus Domino|HCL Domino"),
    ("exim", r"\bExim\b"),
    ("mailcow", r"Postcow"),
    ("postfix", r"\bPostfix\b"),
    ("sendmail", r"\bSendmail\b"),
    ("opensmtpd", r"\bOpenSMTPD\b"),
    ("haraka", r"\bHaraka\b"),
    ("stalwart", r"\bStalwart\b"),
    ("zimbra", r"\bZimbra\b"),
    ("mdaemon", r"\bMDaemon\b"),
    ("kerio", r"\bKerio\b"),
    ("coremail", r"\bCoremail\b"),
    ("qmail", r"\bqmail\b"),
    ("nemesis", r"\bNemesis ESMTP\b"),
    ("cpanel", r"we do not authorize the use of this system"),
)
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _GREETINGS)
# In the normalised words of a reply
_SHAPES = (
    ("exchange", r"storedrv|resolver rst|resolver adr|client does not have permissions"),
    ("postfix", r"(?:sender|recipient) address rejected|(?:client host|helo command) rejected"),
    ("exim", r"unrouteable address|sender verify failed|relay not permitted"),
    ("qmail", r"sorry that domain isnt in my list"),
)
_SHAPES_COMPILED = tuple((name, re.compile(rf" (?:{shape}) ")) for name, shape in _SHAPES)


def of(greeting: str, reading: Reading | None) -> str:
    """The software's name in small letters, or "" where it cannot be told."""
    for name, pattern in _COMPILED:
        if pattern.search(greeting[:512]):
            return name
    if reading is not None:
        for name, pattern in _SHAPES_COMPILED:
            if pattern.search(reading.words):
                return name
    return ""
