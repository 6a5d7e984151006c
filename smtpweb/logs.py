"""Log lines that nobody can forge: each record is one line or one block, without controls.

What servers, browsers and mail clients say ends up in logs, and terminals obey escape sequences.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

# gunicorn quotes what it cannot read: a request line may hold a password, a header a token.
_QUOTING = re.compile(r"(Invalid request from ip=\S+ [^:]*).*", re.DOTALL)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def without_controls(text: str) -> str:
    """The text with control characters written out; line ends and tabs stay."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class WithoutRequests(logging.Filter):
    """For gunicorn's own words: leaves out what a client sent, and the query of its address."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record where needed; never drop it."""
        record.msg = _QUOTING.sub(r"\1", str(record.msg))
        if isinstance(record.args, tuple):
            record.args = tuple(
                one.partition("?")[0] if isinstance(one, str) else one for one in record.args
            )
        return True


class Text(logging.Formatter):
    """For people at a console. The further lines of a record are indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The record with control characters written out, such as ``\\x1b``."""
        return without_controls(super().format(record).replace("\n", "\n    "))


class Json(logging.Formatter):
    """For machines: one JSON object in one ASCII line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with time (UTC), level, name, message and, if there is one, traceback."""
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
    """For ``logging.config``: everything to stderr, gunicorn's chatter only in production."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"without requests": {"()": WithoutRequests}},
        "formatters": {"line": {"()": Json if production else Text}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": "INFO", "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {
                "level": "INFO" if production else "WARNING",
                "propagate": True,
                "filters": ["without requests"],
            },
            "alembic": {"level": "WARNING"},
            "huey": {"level": "WARNING"},  # else it says every second that it looked
        },
    }
