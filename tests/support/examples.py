"""The examples in the catalogue of causes, and what a check would have seen in each."""

from __future__ import annotations

from typing import Any

from smtpweb.mailcheck import Stage
from smtpweb.mailcheck.core.failure import Symptom
from smtpweb.mailcheck.diagnosis.catalogue import causes
from smtpweb.mailcheck.diagnosis.matcher import Seen
from smtpweb.mailcheck.protocol.replies import ReplyReader

EXAMPLES = [(cause.id, example) for cause in causes() for example in cause.examples]


def seen(example: dict[str, Any]) -> Seen:
    """Return what a check would have seen; "|" separates the lines of a reply."""
    reply = None
    if "reply" in example:
        reader = ReplyReader()
        reader.feed(example["reply"].replace("|", "\r\n").encode() + b"\r\n")
        reply = reader.next()
        assert reply is not None
    return Seen(
        Stage(example["stage"]),
        Symptom(example.get("symptom", "refused")),
        reply,
        {"host": example.get("host", "mail.example.com"), **example.get("facts", {})},
    )
