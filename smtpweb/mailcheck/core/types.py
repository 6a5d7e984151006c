"""What goes into a check and what comes out of it: plain frozen values, no behaviour.

:class:`Target` goes in, :class:`Report` comes out. A report survives a round trip
through JSON (:meth:`Report.to_dict`, :meth:`Report.from_dict`), because every check is kept.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NewType, Self

from .egress import EgressPolicy

# Words of a server that are fit to be kept. Only ``Recorder.said`` makes one, so that what has not
# passed it cannot get into a report.
ServerText = NewType("ServerText", str)


class Stage(enum.StrEnum):
    """The stages of a check, in their order; a report names the last one reached."""

    POLICY = "policy"
    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    ACCEPTED = "accepted"


class Encryption(enum.StrEnum):
    """How the connection is protected; anything but NONE is required, never tried."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class Purpose(enum.StrEnum):
    """How far a check goes."""

    EMAIL = "email"  # it sends a real email
    PROBE = "probe"  # up to RCPT, then RSET: it proves all but that the server takes an email


class Outcome(enum.StrEnum):
    """How one stage ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # not part of this conversation, such as starttls where TLS is implicit
    NOT_REACHED = "not reached"
    UNDER_WAY = "under way"  # told to a watcher only; never in a report


class Side(enum.StrEnum):
    """Whose move it is when a check failed."""

    SMTP = "smtp"  # the SMTP server or the account there
    SETTINGS = "settings"  # what was registered for this SMTP: host, port, encryption, login
    APP = "app"  # the app's own settings: its test address, its default From
    MACHINE = "machine"  # the machine that smtpweb runs on: DNS, routes, firewall, EHLO name
    POLICY = "policy"  # this installation's egress policy
    NONE = "none"  # nobody's: accepted


@dataclass(frozen=True, slots=True)
class Mode:
    """A port, and how a connection to it is protected."""

    port: int
    encryption: Encryption


# What servers for submission usually offer, best first (RFC 8314 3.3; 2525 is a custom)
USUAL_MODES = (
    Mode(465, Encryption.IMPLICIT),
    Mode(587, Encryption.STARTTLS),
    Mode(2525, Encryption.STARTTLS),
)


@dataclass(frozen=True, slots=True)
class Target:
    """One SMTP server and the test mail that it is asked to take.

    ``username`` and ``password`` are used only where ``auth`` is true. ``timeout`` is the
    deadline for the whole check in seconds, name resolution included. ``arrival_url`` goes into
    the mail: whoever opens it has received the mail. ``other_modes`` are tried, without
    credentials and mail, where the host cannot be reached as it was asked for.
    """

    host: str
    port: int
    mail_from: str
    rcpt_to: str
    encryption: Encryption = Encryption.NONE
    auth: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    from_name: str = ""
    ehlo_name: str | None = None  # None: our own FQDN, or an address literal if there is none
    timeout: float = 25.0
    policy: EgressPolicy = field(default_factory=EgressPolicy)
    ca_file: Path | None = None  # extra CA certificates, added to the system's
    arrival_url: str = field(default="", repr=False)  # ASCII; what it holds is as good as a secret
    other_modes: tuple[Mode, ...] = USUAL_MODES
    purpose: Purpose = Purpose.EMAIL


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply, cleaned of control characters, scrubbed of credentials, cut at 500."""

    code: int
    enhanced: ServerText  # enhanced status code of RFC 3463 such as "5.7.8", or ""
    text: ServerText


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the conversation. ``milliseconds`` is None unless it was begun."""

    stage: Stage
    outcome: Outcome
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the transcript, at ``milliseconds`` after the start.

    ``direction`` is "C" for us, "S" for the server, "*" for a remark such as a TLS handshake.
    """

    direction: str
    milliseconds: float
    text: str


# What becomes of an address; other errors of connect() have the names of their errno.
TIMED_OUT = "timed out"
REFUSED = "refused"
NO_ROUTE = "no route"  # of this machine
UNREACHABLE = "unreachable"  # says a router, or the server's own network
NO_SOCKET = "no socket"  # this machine has none left
NOT_PERMITTED = "not permitted"
CONNECTED = "connected"
NOT_TRIED = "not tried"
GIVEN_UP = "given up"  # another address was faster


@dataclass(frozen=True, slots=True)
class AddressOutcome:
    """What became of one resolved address: "connected", "refused", "not tried", ..."""

    address: str
    outcome: str
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """The TLS session and the certificate that the server showed."""

    version: str
    cipher: str
    subject: ServerText
    names: tuple[ServerText, ...]
    issuer: ServerText
    not_after: str  # ISO 8601, UTC
    days_left: int | None
    problem: str = ""  # in words, where the certificate was not accepted


@dataclass(frozen=True, slots=True)
class Notice:
    """Something noticed beside the outcome: an English text, and the facts that it names in braces.

    The text is its own key in the translations. Without facts it is shown as it stands, as the
    whole sentences of reports from before the facts were kept are.
    """

    text: str
    facts: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text.format_map(self.facts) if self.facts else self.text


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a check.

    ``code`` is stable and starts with ``SMTP_`` (``SMTP_ACCEPTED`` for success); ``title`` is
    the cause in one line of plain words, ``meaning`` what it means, ``advice`` the next steps.
    """

    accepted: bool
    stage: Stage
    code: str
    title: str
    meaning: str
    advice: tuple[str, ...]
    temporary: bool
    side: Side
    reply: Reply | None = None
    steps: tuple[Step, ...] = ()
    transcript: tuple[Line, ...] = ()
    tls: TlsFacts | None = None
    addresses: tuple[AddressOutcome, ...] = ()
    capabilities: tuple[ServerText, ...] = ()
    warnings: tuple[Notice, ...] = ()
    milliseconds: float = 0.0
    host: str = ""
    port: int = 0
    mail_from: str = ""
    rcpt_to: str = ""
    message_id: str = ""
    queue_id: ServerText = ServerText("")
    link: str = ""  # where to read more about the cause, if there is such a page
    encryption: Encryption | None = None  # None: in reports of before this was kept
    credential: str = ""  # "login" or "password" where that one alone is at fault
    alternatives: tuple[Mode, ...] = ()  # of the same host, seen to work up to EHLO, best first
    ours: bool = False  # the cause is on our side, by the catalogue; False in reports of before
    confidence: str = ""  # "certain", "likely" or "unclear"; "" in reports of before it was kept
    also_possible: tuple[str, ...] = ()  # codes of other causes that look alike
    facts: dict[str, str] = field(default_factory=dict)  # what the texts of the cause name

    @property
    def judges(self) -> bool:
        """Whether it says anything about the SMTP; not where we did not try, or failed ourselves.

        A machine without DNS or a faulty CA file must not disable every SMTP that is checked.
        """
        return not self.refused_by_policy and not self.ours

    @property
    def refused_by_policy(self) -> bool:
        """True where we decided, before any packet, not to try: says nothing about the SMTP."""
        return self.stage is Stage.POLICY and not self.accepted

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`; members that are not known here are ignored."""
        known = {item.name for item in dataclasses.fields(cls)}
        values = {name: value for name, value in stored.items() if name in known}
        values["stage"] = Stage(values["stage"])
        values["side"] = Side(values["side"])
        if values.get("reply"):
            values["reply"] = Reply(**values["reply"])
        if values.get("tls"):
            facts = dict(values["tls"])
            values["tls"] = TlsFacts(**facts | {"names": tuple(facts["names"])})
        values["steps"] = tuple(
            Step(Stage(step["stage"]), Outcome(step["outcome"]), step["milliseconds"])
            for step in values.get("steps", ())
        )
        values["transcript"] = tuple(Line(**line) for line in values.get("transcript", ()))
        values["addresses"] = tuple(AddressOutcome(**one) for one in values.get("addresses", ()))
        if values.get("encryption"):
            values["encryption"] = Encryption(values["encryption"])
        values["alternatives"] = tuple(
            Mode(one["port"], Encryption(one["encryption"]))
            for one in values.get("alternatives", ())
        )
        values["warnings"] = tuple(
            Notice(one) if isinstance(one, str) else Notice(**one)
            for one in values.get("warnings", ())
        )
        for name in ("advice", "also_possible", "capabilities"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)
