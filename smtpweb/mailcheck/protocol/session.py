"""The state of one SMTP conversation: its purpose, and what is known so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..core import addresses
from ..core.effects import Asks
from ..core.egress import Address
from ..core.failure import Failure, Symptom
from ..core.raw_reply import RawReply
from ..core.recorder import Recorder
from ..core.types import ServerText, Target, TlsFacts
from .connection import Connection
from .message import Message


class PipeliningLoses(Exception):
    """The server offered PIPELINING and lost commands that were sent in one group.

    ``here`` if the connection is still in step, and can be used with one command at a time. If
    nothing arrived for a while, the server may just be slow: with the ``answers`` so far,
    :func:`resume` continues to wait.
    """

    def __init__(self, failure: Failure, answers: list[RawReply], *, here: bool):
        super().__init__()
        self.failure = failure
        self.answers = answers
        self.here = here

    @property
    def may_be_slow(self) -> bool:
        """Whether the replies may still arrive."""
        return self.failure.symptom is Symptom.SILENT


@dataclass(slots=True)
class Session:
    """One conversation: its purpose, and what is known so far."""

    target: Target
    host: addresses.Host
    link: Connection
    record: Recorder
    local: Address
    on_silence: Callable[[], Asks[None]] | None = None  # second connection; may raise the cause
    on_long_silence: Callable[[], Asks[None]] | None = None  # tries other modes; raises nothing
    verdict_by: float | None = None  # the deadline from MAIL on, if not the link's
    wall_clock: Callable[[], float] = time.time
    pipelining: bool = True  # False: strictly one command at a time
    ehlo_name: str = ""
    banner: str = ""
    keywords: dict[str, str] = field(default_factory=dict)
    mechanisms: tuple[str, ...] = ()
    used_helo: bool = False
    authenticated: bool = False
    tls: TlsFacts | None = None
    message: Message | None = None
    was_sent: bool = False  # the message, whatever the server said to it
    queue_id: ServerText = ServerText("")  # noqa: RUF009 - an immutable str

    @property
    def capabilities(self) -> tuple[ServerText, ...]:
        """The capabilities that the server offered, safe to show."""
        return tuple(
            self.record.said(f"{keyword} {values}".strip())
            for keyword, values in self.keywords.items()
        )
