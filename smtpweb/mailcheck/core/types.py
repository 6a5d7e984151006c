"""The input and output of a check, as plain frozen dataclasses without behavior.

:class:`Target` is the input, :class:`Report` the output. A report survives a round trip
through JSON (:meth:`Report.to_dict`, :meth:`Report.from_dict`), because every check is stored.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NewType, Self

from .egress import Address, EgressPolicy
from .modes import USUAL_MODES, Encryption, Mode
from .trust import SYSTEM_TRUST, ClientIdentity, Trust

# Server text that is safe to store. Only ``Recorder.said`` creates it, so text that has not gone
# through there cannot get into a report.
ServerText = NewType("ServerText", str)


class Stage(enum.StrEnum):
    """The stages of a check, in order; a report names the last one reached."""

    TOKEN = "token"  # noqa: S105 - obtaining an OAuth 2.0 access token, before any connection
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


class Purpose(enum.StrEnum):
    """How far a check goes."""

    EMAIL = "email"  # it sends a real email
    PROBE = "probe"  # up to RCPT, then RSET: everything except sending an email


class Outcome(enum.StrEnum):
    """How one stage ended."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # not part of this conversation, such as starttls with implicit TLS
    NOT_REACHED = "not reached"
    UNDER_WAY = "under way"  # only passed to a watcher; never in a report


class Side(enum.StrEnum):
    """Who has to act when a check failed."""

    SMTP = "smtp"  # the SMTP server or the account there
    SETTINGS = "settings"  # this server's settings: host, port, encryption, credentials
    APP = "app"  # the app's own settings: its test address, its default From
    MACHINE = "machine"  # the machine that smtpweb runs on: DNS, routes, firewall, EHLO name
    POLICY = "policy"  # this installation's egress policy
    NONE = "none"  # nobody: the email was accepted


@dataclass(frozen=True, slots=True)
class Content:
    """The content of an email in place of the test email; ``message_id`` without angle brackets.

    With the same ``message_id``, receivers recognize a second copy as a duplicate.
    """

    subject: str
    text: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Target:
    """One SMTP server and the test email to send through it.

    ``username`` and ``password`` are used only if ``auth`` is true. With an ``access_token``
    (OAuth 2.0), no password mechanism is used, and without one no token mechanism.
    ``token_milliseconds`` is the time in which the token was obtained, None if it was at hand.
    ``timeout`` is the deadline for the whole check in seconds, including name resolution but not
    the token request, which comes before. ``arrival_url`` is put
    into the test email: opening it confirms delivery. ``other_modes`` are tried, without
    sending credentials or email, if the host cannot be reached in the requested mode.
    ``content``: what to send instead of the test email.
    """

    host: str
    port: int
    mail_from: str
    rcpt_to: str
    encryption: Encryption = Encryption.NONE
    auth: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    token_milliseconds: float | None = None
    from_name: str = ""
    ehlo_name: str | None = None  # None: our own FQDN, or an address literal if there is none
    timeout: float = 25.0
    policy: EgressPolicy = field(default_factory=EgressPolicy)
    ca_file: Path | None = None  # extra CA certificates, added to the system's
    arrival_url: str = field(default="", repr=False)  # ASCII; treat as a secret
    other_modes: tuple[Mode, ...] = USUAL_MODES
    content: Content | None = None
    purpose: Purpose = Purpose.EMAIL
    mechanism: str = ""  # the only SASL mechanism to use; "": the best of those offered
    envelope_from: str = ""  # MAIL FROM, if it differs from the header From
    source_address: Address | None = None  # of ours; None: the system chooses
    trust: Trust = SYSTEM_TRUST
    identity: ClientIdentity | None = None  # our certificate, for servers that ask for one


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's reply without control characters or credentials, cut to 500 characters."""

    code: int
    enhanced: ServerText  # enhanced status code of RFC 3463 such as "5.7.8", or ""
    text: ServerText


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the conversation. ``milliseconds`` is None if it did not start."""

    stage: Stage
    outcome: Outcome
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the transcript, at ``milliseconds`` after the start.

    ``direction`` is "C" for client, "S" for server, "*" for a remark such as a TLS handshake.
    """

    direction: str
    milliseconds: float
    text: str


# Outcomes of connecting to an address; other connect() errors use their errno name.
TIMED_OUT = "timed out"
REFUSED = "refused"
NO_ROUTE = "no route"  # from this machine
UNREACHABLE = "unreachable"  # reported by a router or the server's own network
NO_SOCKET = "no socket"  # this machine has none left
NOT_PERMITTED = "not permitted"
NO_SOURCE = "source address not usable"  # none of this machine
CONNECTED = "connected"
NOT_TRIED = "not tried"
GIVEN_UP = "given up"  # another address was faster


@dataclass(frozen=True, slots=True)
class AddressOutcome:
    """The outcome for one resolved address: "connected", "refused", "not tried", ..."""

    address: str
    outcome: str
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """The TLS session and the certificate that the server presented."""

    version: str
    cipher: str
    subject: ServerText
    names: tuple[ServerText, ...]
    issuer: ServerText
    not_after: str  # ISO 8601, UTC
    days_left: int | None
    problem: str = ""  # description, if the certificate was not accepted
    pin: str = ""  # SHA-256 of its public key in base64; "" in older reports


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning besides the outcome: an English text, and the facts that it names in braces.

    The text is its own translation key. Without facts it is shown verbatim; older reports, from
    before facts were stored, contain whole sentences.
    """

    text: str
    facts: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text.format_map(self.facts) if self.facts else self.text


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a check.

    ``code`` is stable and starts with ``SMTP_`` (``SMTP_ACCEPTED`` for success); ``title`` is
    the cause in one plain line, ``meaning`` the explanation, ``advice`` the next steps.
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
    message: str = ""  # the email as it was sent, with its link masked; "" if it was not
    link: str = ""  # page with more about the cause, or ""
    encryption: Encryption | None = None  # None in reports from before this was stored
    credential: str = ""  # "login" or "password" if only that one is wrong
    alternatives: tuple[Mode, ...] = ()  # same host, worked up to EHLO, best first
    ours: bool = False  # the catalogue puts the cause on our side; False in older reports
    confidence: str = ""  # "certain", "likely" or "unclear"; "" in older reports
    also_possible: tuple[str, ...] = ()  # codes of other causes that look the same
    facts: dict[str, str] = field(default_factory=dict)  # values used in the texts of the cause
    sandbox: str = ""  # its name, if the server accepts email for tests and delivers none

    @property
    def judges(self) -> bool:
        """Whether the outcome says anything about the SMTP server.

        False if we did not try or failed ourselves: a machine without DNS or with a broken CA
        file must not disable every server that is checked.
        """
        return not self.refused_by_policy and not self.ours

    @property
    def refused_by_policy(self) -> bool:
        """Whether we decided not to try, before sending any packet; not about the server."""
        return self.stage is Stage.POLICY and not self.accepted

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        values: dict[str, Any] = _plain(self)
        return values

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """Create a report from :meth:`to_dict` output; unknown members are ignored."""
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


@functools.cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(item.name for item in dataclasses.fields(kind))


def _plain(value: Any) -> Any:
    """Do as ``dataclasses.asdict``, which takes twice as long: it copies every text deeply."""
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if dataclasses.is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in _names(value.__class__)}
    return dict(value)
