"""Logging that cannot be forged: each record is one line or one block, without control characters.

Text from servers, browsers and email clients ends up in logs, and terminals interpret escape
sequences.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

# gunicorn quotes invalid input: a request line may contain a password, a header a token.
_QUOTING = re.compile(r"(Invalid request from ip=\S+ [^:]*).*", re.DOTALL)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def without_controls(text: str) -> str:
    """Return the text with control characters escaped, except line ends and tabs."""
    return _CONTROLS.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


class WithoutRequests(logging.Filter):
    """Remove client input, including query strings, from gunicorn's own messages."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Edit the record in place; never drop it."""
        record.msg = _QUOTING.sub(r"\1", str(record.msg))
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args
            )
        return True


class Text(logging.Formatter):
    """Text for a console. All lines of a record except the first are indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Format the record with control characters escaped, such as ``\\x1b``."""
        return without_controls(super().format(record).replace("\n", "\n    "))


class Json(logging.Formatter):
    """One JSON object on one ASCII line."""

    def format(self, record: logging.LogRecord) -> str:
        """Format the record with time (UTC), level, logger, process, message and any traceback."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configuration(*, production: bool) -> dict[str, Any]:
    """Return settings for ``logging.config``: log to stderr, gunicorn's INFO only in production."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"without_requests": {"()": WithoutRequests}},
        "formatters": {"line": {"()": Json if production else Text}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": "INFO", "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {
                "level": "INFO" if production else "WARNING",
                "propagate": True,
                "filters": ["without_requests"],
            },
            "alembic": {"level": "WARNING"},
            "huey": {"level": "WARNING"},  # else it says every second that it looked
        },
    }
