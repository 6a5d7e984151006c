"""Send to chat services and pagers through Apprise, which runs in a separate process.

Its many plugins access the network in different ways, and read responses of any length. So an
audit hook checks every address before a connection, and the process has limited memory, none
of our settings, and a time limit after which it is killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

from ....config import ROOT, settings
from ....mailcheck.core.redaction import HIDDEN, cut
from .outcome import Attempt, Message
from .secret_parts import hidden_in

TIMEOUT = 25.0  # seconds
# Environment variables passed on: no secrets, and no proxy, which could bypass the egress policy.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "REQUESTS_CA_BUNDLE")


def send(url: str, message: Message) -> Attempt:
    """Send the message to one Apprise URL."""
    config = settings()
    if urlsplit(url).scheme.lower() not in config.apprise_schemas:
        return Attempt(False, "This service is not allowed here any longer.")
    job = {
        "url": url,
        "title": message.subject,
        "body": text_of(message),
        "allow": config.webhook_egress.to_dict(),
    }
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "smtpweb.monitoring.alarms.senders.apprise_process"],
            input=json.dumps(job),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            cwd=ROOT,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Attempt(False, f"No response within {TIMEOUT:.0f} seconds.")
    except OSError as error:
        return Attempt(False, f"No process could be started: {error.strerror}.")
    try:
        outcome = json.loads(ended.stdout)
        result = cut(hidden_in(str(outcome["result"]).replace(url, HIDDEN), url), 300)
        return Attempt(bool(outcome["delivered"]), result)
    except (ValueError, KeyError, TypeError):
        return Attempt(False, "Apprise ended without a result.")


def text_of(message: Message) -> str:
    """Return the message as text for chat services.

    Text of a server must not mention everybody in a channel or be rendered as markup.
    """
    parts = []
    for paragraph in message.paragraphs:
        lines = [f"{paragraph.title}:"] if paragraph.title else []
        lines += [_escaped(line) if paragraph.foreign else line for line in paragraph.lines]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


_ESCAPES = str.maketrans({"@": "＠", "<": "‹", ">": "›", "`": "´", "*": "∗", "[": "(", "]": ")"})


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
