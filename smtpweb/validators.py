"""Validation of hosts, ports, addresses, names: one function each, with one clear error message.

Every function returns the accepted value or raises :class:`ValueError` with a
:class:`~.errors.Sentence` for the user. They run before any driver sees the value, because
SQLite and PostgreSQL refuse different things (NUL, lone surrogates, large integers), and before
it can reach an email header.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import BadInput, Sentence
from .mailcheck.core import pasted
from .mailcheck.core.addresses import MailboxError, parse_host, parse_mailbox
from .mailcheck.core.invisible import Invisible, first_invisible, first_undrawn

PORTS = (1, 65535)
PRIORITIES = (0, 2**31 - 1)
SCOPES = ("read", "write", "check", "secrets", "probe", "token")
STRATEGIES = ("PRIORITY", "RANDOM")
LANGUAGES = {"en": "English", "es": "Español"}  # of the pages, each by its native name
ALARM_KINDS = ("email", "webhook", "apprise")
ALARM_EVENTS = ("lost", "lastlost", "recovered", "expiring", "degraded")
USUAL_EVENTS = "lost lastlost recovered expiring"

# C0, DEL and C1 controls (C1 has U+0085, which some treat as a line end), the Unicode line
# ends, bidi controls, and lone surrogates, which neither database can store.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_INTEGER = re.compile(r"[0-9]{1,10}", re.ASCII)  # int() also accepts "٣", "1_0" and " 25\n"
_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})", re.ASCII)
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}", re.ASCII)
_NO_ZONE = Sentence("Must be the name of a time zone, such as Europe/Madrid.")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$", re.ASCII | re.IGNORECASE)
_MAIL_ADDRESS = re.compile(r"(?:mailto:)?[^@/:]+@[^@/:]+", re.IGNORECASE)
_MOST_PASTED = 2000  # a URL with a user name and a password is longer than any host
# The most common messages of email-validator, and our wording, which can be translated. What
# follows the beginning of its sentence is ``rest``.
_MAIL_REASONS = {
    "There must be something before the @-sign.": Sentence(
        "There must be something before the @ sign."
    ),
    "An email address cannot have two periods in a row.": Sentence(
        "An email address cannot have two periods in a row."
    ),
    "An email address cannot start with a period.": Sentence(
        "An email address cannot start with a period."
    ),
    "An email address cannot have a period immediately before the @-sign.": Sentence(
        "An email address cannot have a period immediately before the @ sign."
    ),
    "The email address is too long before the @-sign ": Sentence(
        "The part before the @ sign is too long %(rest)s"
    ),
    "The email address contains invalid characters before the @-sign: ": Sentence(
        "There are invalid characters before the @ sign: %(rest)s"
    ),
    "The email address contains invalid characters in quotes before the @-sign: ": Sentence(
        "There are invalid characters in quotes before the @ sign: %(rest)s"
    ),
    "The email address contains unsafe characters: ": Sentence(
        "There are unsafe characters: %(rest)s"
    ),
}
_TRUE = frozenset({"true", "on", "yes", "1"})
_FALSE = frozenset({"false", "off", "no", "0"})


def text(value: str, *, most: int) -> str:
    """Validate one line of printable text of at most ``most`` characters."""
    if found := _UNSAFE.search(value):
        raise ValueError(
            Sentence(
                "Must not contain control characters (U+%(code)s at position %(position)s).",
                code=f"{ord(found[0]):04X}",
                position=found.start() + 1,
            )
        )
    if len(value) > most:
        raise ValueError(Sentence("Must have at most %(most)s characters.", most=most))
    return value


def pasted_text(value: str) -> str:
    """Validate pasted text of any length, on any number of lines."""
    if _NO_TEXT.search(value):
        raise ValueError(Sentence("Must be plain text, without NUL characters."))
    if not value.strip():
        raise ValueError(Sentence("Paste an error, a log or a transcript."))
    return value


def integer(value: str, least: int, most: int) -> int:
    """Validate a whole number in decimal digits from ``least`` to ``most``, both included."""
    if not _INTEGER.fullmatch(value) or not least <= int(value) <= most:
        raise ValueError(
            Sentence("Must be a whole number from %(least)s to %(most)s.", least=least, most=most)
        )
    return int(value)


def flag(value: str) -> bool:
    """Validate a boolean in one of its usual spellings."""
    word = value.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(Sentence("Must be true or false."))


def object_id(value: str) -> str:
    """Validate an id: 24 hexadecimal digits, returned in lower case."""
    lowered = value.lower()
    if not _OBJECT_ID.fullmatch(lowered):
        raise ValueError(Sentence("Must be an ID of 24 hexadecimal digits."))
    return lowered


class PastedServer(ValueError):
    """More than a host was entered; ``parts`` is its content, if it can be identified reliably.

    Neither the message nor ``parts`` contains a password; the input does if ``secret``.
    """

    def __init__(self, message: Sentence, parts: pasted.Parts | None, *, secret: bool) -> None:
        super().__init__(message)
        self.parts = parts
        self.secret = secret


def host(value: str) -> str:
    """Validate a domain name or an IP address, without scheme, port or spaces.

    It is returned as it is looked up: in lower case, in A-labels and without a trailing dot.
    Numeric spellings such as ``127.1`` or ``0x7f.1`` are refused: the C resolver accepts them as
    addresses, and an egress policy must not be bypassed by alternate spellings. Raises
    :class:`PastedServer` for a URL and the like.
    """
    name = text(value, most=_MOST_PASTED)
    if any(mark in name for mark in "/@") or (":" in name and not _is_address(name)):
        raise _pasted(name)
    blank = name.find(" ") + 1
    found = Invisible(" ", blank) if blank else first_invisible(name)
    if found:
        raise ValueError(
            Sentence(
                "Must not contain %(name)s (U+%(code)s at position %(position)s).",
                name=unicodedata.name(found.char, "an unassigned character"),
                code=f"{ord(found.char):04X}",
                position=found.position,
            )
        )
    if len(name) > 253:
        raise ValueError(Sentence("Must have at most %(most)s characters.", most=253))
    try:
        return parse_host(name).name
    except ValueError as error:
        if _ENDS_IN_NUMBER.search(name):
            raise ValueError(
                Sentence("Must be a domain name, or an IP address written in full.")
            ) from error
        raise ValueError(Sentence("Must be a domain name or an IP address.")) from error


def _is_address(name: str) -> bool:
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return False
    return True


def _pasted(value: str) -> PastedServer:
    if _MAIL_ADDRESS.fullmatch(value):
        message = Sentence(
            "This is an email address. Enter the name of a server, such as smtp.example.com."
        )
        return PastedServer(message, None, secret=False)
    parts = pasted.take_apart(value)
    if parts is None:
        message = Sentence("Enter only a host name or an IP address, without scheme, port or path.")
        return PastedServer(message, None, secret=True)
    if parts.port is None:
        message = Sentence("Enter only the host name: %(host)s.", host=parts.host)
    else:
        message = Sentence(
            "Enter only the host name, %(host)s, and %(port)s as the port.",
            host=parts.host,
            port=parts.port,
        )
    return PastedServer(message, parts, secret=any(mark in value for mark in "@?#"))


def port(value: str) -> int:
    """Validate a TCP port."""
    return integer(value, *PORTS)


def priority(value: str) -> int:
    """Validate the position at which an app uses an SMTP server; 0 is first."""
    return integer(value, *PRIORITIES)


def email(value: str) -> str:
    """Validate one email address that a check can send to or from; see :func:`.parse_mailbox`."""
    try:
        return parse_mailbox(text(value, most=254)).written
    except MailboxError as error:
        raise ValueError(
            Sentence(
                "Enter a valid email address, such as name@example.com. %(reason)s",
                reason=_mail_reason(error),
            )
        ) from error


def _mail_reason(error: MailboxError) -> str:
    if error.values:
        return Sentence(error.template, **error.values)
    for beginning, reason in _MAIL_REASONS.items():
        if error.template.startswith(beginning):
            return Sentence(reason.template, rest=error.template[len(beginning) :])
    return Sentence(error.template)


def display_name(value: str) -> str:
    """Validate the display name of an address in a header.

    Encoded words are refused: some Python versions decode ``=?utf-8?q?=0D=0A...?=`` into a new
    header line when the message is written (CVE-2024-6923).
    """
    if "=?" in value:
        raise ValueError(Sentence("Must not contain '=?'."))
    return text(value, most=200)


def credential(value: str) -> str:
    """Validate an SMTP user name or password, keeping spaces; at most 1 KiB in UTF-8."""
    if len(text(value, most=1024).encode()) > 1024:
        raise ValueError(Sentence("Must have at most 1024 bytes in UTF-8."))
    return value


def app_name(value: str) -> str:
    """Validate the name of an app, which appears in the subject of test emails."""
    name = display_name(value).strip()
    if not 1 <= len(name) <= 100:
        raise ValueError(Sentence("Must have 1 to 100 characters."))
    return name


def user_name(value: str) -> str:
    """Validate an account name: 1 to 100 visible characters, no leading or trailing spaces."""
    name = text(value, most=100).strip()
    if found := first_undrawn(name):
        raise ValueError(
            Sentence(
                "Must not contain invisible characters (U+%(code)s at position %(position)s).",
                code=f"{ord(found.char):04X}",
                position=found.position,
            )
        )
    key = name_key(name)
    if not key:
        raise ValueError(Sentence("Must have 1 to 100 characters."))
    if len(key) > 200:  # a few characters become three or more
        raise ValueError(Sentence("This name is too long. Choose a shorter one."))
    return name


def name_key(name: str) -> str:
    """Return the form in which account names are compared: without case or compatibility forms.

    Unicode 3.13, D146 (compatibility caseless match), except that nothing is removed.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", name)).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold()).strip()


def seconds(value: str) -> int:
    """Validate a duration in whole seconds."""
    return integer(value, 0, 2**31 - 1)


def idempotency_key(value: str) -> str:
    """Validate a client's identifier for one request: 1 to 255 visible ASCII characters."""
    if not _KEY.fullmatch(value):
        raise ValueError(Sentence("Must have 1 to 255 visible ASCII characters."))
    return value


def note(value: str) -> str:
    """Return a note, such as why a server was turned off, in one line."""
    return text(value, most=200).strip()


def moment(value: str) -> datetime:
    """Return a time in ISO 8601; UTC if it has no time zone."""
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError(
            Sentence("Must be a time such as 2026-01-31T18:00:00, in UTC unless it has a zone.")
        ) from None
    try:
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError(Sentence("Is too far away.")) from None
    if not 2000 <= at.year <= 2200:
        raise ValueError(Sentence("Is too far away."))
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def checkevery(value: str) -> int:
    """Return the minutes between two scheduled checks; 0 for none."""
    minutes = integer(value, 0, 24 * 60)
    if 0 < minutes < 15:
        raise ValueError(Sentence("Must be 0, or from 15 to 1440."))
    return minutes


def emailevery(value: str) -> str:
    """Return how often a scheduled check sends a real email."""
    word = value.strip().lower()
    if word not in ("never", "daily", "always"):
        raise ValueError(Sentence("Must be never, daily or always."))
    return word


def strategy(value: str) -> str:
    """Validate how an app chooses among its SMTP servers."""
    if value.upper() not in STRATEGIES:
        raise ValueError(Sentence("Must be PRIORITY or RANDOM."))
    return value.upper()


def scope(value: str) -> str:
    """Validate a permission of a token."""
    if value not in SCOPES:
        raise ValueError(Sentence("Must be one of %(list)s.", list=", ".join(SCOPES)))
    return value


def language(value: str) -> str:
    """Validate a language of the pages."""
    if value not in LANGUAGES:
        raise ValueError(Sentence("Must be one of %(list)s.", list=", ".join(LANGUAGES)))
    return value


def alarm_kind(value: str) -> str:
    """Return the kind of an alarm channel."""
    if value.lower() not in ALARM_KINDS:
        raise ValueError(Sentence("Must be one of %(list)s.", list=", ".join(ALARM_KINDS)))
    return value.lower()


def alarm_events(value: str) -> str:
    """Return the events of a channel, given separated by commas, separated by spaces in order."""
    words = {word.strip().lower() for word in value.split(",") if word.strip()}
    if not words or not words <= set(ALARM_EVENTS):
        raise ValueError(
            Sentence("Must be some of %(list)s, separated by commas.", list=", ".join(ALARM_EVENTS))
        )
    return " ".join(word for word in ALARM_EVENTS if word in words)


def clock_time(value: str) -> int:
    """Return a time of day such as 22:30 as minutes since midnight."""
    found = _CLOCK.fullmatch(value)
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        raise ValueError(Sentence("Must be a time of the day such as 22:30."))
    return int(found[1]) * 60 + int(found[2])


def timezone(value: str) -> str:
    """Return the name of a time zone, such as Europe/Madrid."""
    if not _ZONE.fullmatch(value):
        raise ValueError(_NO_ZONE)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(_NO_ZONE) from None
    return value


def date(value: str) -> datetime:
    """Return the beginning of a date such as 2027-01-31, in UTC."""
    try:
        if not _DATE.fullmatch(value):
            raise ValueError
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(Sentence("Must be a date such as 2027-01-31.")) from None


def accept(**given: tuple[Callable[[str], str], str]) -> dict[str, str]:
    """Apply each value's rule; raise one :class:`BadInput` for all that fail."""
    accepted, errors = {}, {}
    for name, (rule, value) in given.items():
        try:
            accepted[name] = rule(value)
        except ValueError as error:
            errors[name] = [error.args[0]]
    if errors:
        raise BadInput(errors)
    return accepted
