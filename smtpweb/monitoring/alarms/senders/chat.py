"""Chat services and pagers by Apprise, which runs in a process of its own.

Its many plugins reach the network each in its own way, and read answers of any length. In that
process an audit hook judges every address before it is connected to; the process has a limit of
memory, nothing of our environment, and is killed when its time is over.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

from ....config import ROOT, settings
from ....mailcheck.core.redaction import cleaned, cut
from .outcome import Attempt, Message

TIMEOUT = 25.0  # seconds
# Of the environment: no secret of ours, and no proxy, which would connect where we may not.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "REQUESTS_CA_BUNDLE")


def send(url: str, message: Message) -> Attempt:
    """Deliver the message to one Apprise URL."""
    config = settings()
    if urlsplit(url).scheme.lower() not in config.apprise_schemas:
        return Attempt(False, "This service is not allowed here any more.")
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
        return Attempt(False, f"No answer within {TIMEOUT:.0f} seconds.")
    except OSError as error:
        return Attempt(False, f"No process could be started: {error.strerror}.")
    try:
        outcome = json.loads(ended.stdout)
        result = cut(cleaned(str(outcome["result"])).replace(url, "(hidden)"), 300)
        return Attempt(bool(outcome["delivered"]), result)
    except (ValueError, KeyError, TypeError):
        return Attempt(False, "Apprise ended without an answer.")


def text_of(message: Message) -> str:
    """The message as chat services show it.

    What a server said must neither call everybody of a channel nor become markup there.
    """
    parts = []
    for paragraph in message.paragraphs:
        lines = [f"{paragraph.title}:"] if paragraph.title else []
        lines += [_defused(line) if paragraph.foreign else line for line in paragraph.lines]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


_DEFUSED = str.maketrans({"@": "＠", "<": "‹", ">": "›", "`": "´", "*": "∗", "[": "(", "]": ")"})


def _defused(text: str) -> str:
    return text.translate(_DEFUSED)
