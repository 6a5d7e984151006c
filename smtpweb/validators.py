"""What a host, a port, an address, a name may be: one function each, one clear sentence if not.

Every function returns the accepted value or raises :class:`ValueError` with a
:class:`~.errors.Sentence` fit for the user. They run before any driver sees the value, because
SQLite and PostgreSQL refuse different things (NUL, lone surrogates, large integers), and before
it can reach a mail header.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime

from .errors import BadInput, Sentence
from .mailcheck.core import pasted
from .mailcheck.core.addresses import MailboxError, parse_host, parse_mailbox

PORTS = (1, 65535)
PRIORITIES = (0, 2**31 - 1)
SCOPES = ("read", "write", "check", "secrets", "probe")
STRATEGIES = ("PRIORITY", "RANDOM")
LANGUAGES = ("en", "es")

# C0, DEL and C1 controls (C1 has U+0085, a line end to some), the Unicode line ends, bidi
# controls, and lone surrogates, which neither database can store.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# Unicode's Default_Ignorable_Code_Point and format characters, the empty Braille pattern, and the
# object replacement: nothing of them can be seen, so that two names would look the same.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc"
    "\U000110bd\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_INTEGER = re.compile(r"[0-9]{1,10}", re.ASCII)  # int() alone also takes "٣", "1_0" and " 25\n"
_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
_ANY = re.compile(r".", re.DOTALL)
_SPACE = re.compile(" ")
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$", re.ASCII | re.IGNORECASE)
_MAIL_ADDRESS = re.compile(r"(?:mailto:)?[^@/:]+@[^@/:]+", re.IGNORECASE)
_MOST_PASTED = 2000  # a URL with a user name and a password is longer than any host
# Letters and marks that are drawn as nothing, or as a blank
_BLANK_LETTERS = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
) | {chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))}
# What email-validator says most, so that pages can say it in their language too.
_MAIL_REASONS = (
    Sentence("There must be something before the @-sign."),
    Sentence("An email address cannot have two periods in a row."),
    Sentence("An email address cannot start with a period."),
    Sentence("An email address cannot have a period immediately before the @-sign."),
    Sentence("The email address is too long before the @-sign %(rest)s"),
    Sentence("The email address contains invalid characters before the @-sign: %(rest)s"),
    Sentence("The email address contains invalid characters in quotes before the @-sign: %(rest)s"),
    Sentence("The email address contains unsafe characters: %(rest)s"),
)
_TRUE = frozenset({"true", "on", "yes", "1"})
_FALSE = frozenset({"false", "off", "no", "0"})


def text(value: str, *, most: int) -> str:
    """One line of printable text of at most ``most`` characters."""
    if found := _UNSAFE.search(value):
        raise ValueError(
            Sentence(
                "Must not hold control characters (U+%(code)s at position %(position)s).",
                code=f"{ord(found[0]):04X}",
                position=found.start() + 1,
            )
        )
    if len(value) > most:
        raise ValueError(Sentence("Must have at most %(most)s characters.", most=most))
    return value


def pasted_text(value: str) -> str:
    """Text of any length on several lines, as somebody pasted it."""
    if _NO_TEXT.search(value):
        raise ValueError(Sentence("Must be plain text, without NUL characters."))
    if not value.strip():
        raise ValueError(Sentence("Paste an error, a log or a transcript."))
    return value


def integer(value: str, least: int, most: int) -> int:
    """A whole number in decimal digits between ``least`` and ``most``, both included."""
    if not _INTEGER.fullmatch(value) or not least <= int(value) <= most:
        raise ValueError(
            Sentence("Must be a whole number from %(least)s to %(most)s.", least=least, most=most)
        )
    return int(value)


def flag(value: str) -> bool:
    """A boolean in one of its usual spellings."""
    word = value.lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(Sentence("Must be true or false."))


def object_id(value: str) -> str:
    """An id: 24 hexadecimal digits, returned in lower case."""
    lowered = value.lower()
    if not _OBJECT_ID.fullmatch(lowered):
        raise ValueError(Sentence("Must be an id of 24 hexadecimal digits."))
    return lowered


def invisible(value: str) -> re.Match[str] | None:
    """The first character of ``value`` that cannot be seen; an ordinary space is none."""
    return next((found for found in _ANY.finditer(value) if _is_invisible(found[0])), None)


def _is_invisible(char: str) -> bool:
    return char != " " and (
        char.isspace()
        or unicodedata.category(char) in ("Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs")
        or char in _BLANK_LETTERS
    )


class PastedServer(ValueError):
    """More than a host was entered; ``parts`` is what it names, if that can be told for sure.

    Neither the message nor ``parts`` holds a password; what was entered does if ``secret``.
    """

    def __init__(self, message: Sentence, parts: pasted.Parts | None, *, secret: bool) -> None:
        super().__init__(message)
        self.parts = parts
        self.secret = secret


def host(value: str) -> str:
    """A domain name or an IP address, without scheme, port or blanks, as it is looked up.

    That is in lower case, in A-labels and without a trailing dot. Numeric spellings such as
    ``127.1`` or ``0x7f.1`` are refused: the C resolver takes them for addresses, and an egress
    policy must not be bypassed by alternate spellings. Raises :class:`PastedServer` for a URL
    and the like.
    """
    name = text(value, most=_MOST_PASTED)
    if any(mark in name for mark in "/@") or (":" in name and not _is_address(name)):
        raise _pasted(name)
    if found := (_SPACE.search(name) or invisible(name)):
        raise ValueError(
            Sentence(
                "Must not hold %(name)s (U+%(code)s at position %(position)s).",
                name=unicodedata.name(found[0], "an unassigned character"),
                code=f"{ord(found[0]):04X}",
                position=found.start() + 1,
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
            "This is a mail address: type the name of its server, such as smtp.example.com."
        )
        return PastedServer(message, None, secret=False)
    parts = pasted.take_apart(value)
    if parts is None:
        message = Sentence("Only a host name or an IP address, without scheme, port or path.")
        return PastedServer(message, None, secret=True)
    if parts.port is None:
        message = Sentence("Only the host name: type %(host)s.", host=parts.host)
    else:
        message = Sentence(
            "Only the host name: type %(host)s, and %(port)s as the port.",
            host=parts.host,
            port=parts.port,
        )
    return PastedServer(message, parts, secret=any(mark in value for mark in "@?#"))


def port(value: str) -> int:
    """A TCP port."""
    return integer(value, *PORTS)


def priority(value: str) -> int:
    """The order in which an app uses its SMTPs; 0 is first."""
    return integer(value, *PRIORITIES)


def email(value: str) -> str:
    """One email address that a check can send to, or from; see :func:`.parse_mailbox`."""
    try:
        return parse_mailbox(text(value, most=254)).written
    except MailboxError as error:
        raise ValueError(
            Sentence("Must be one mail address: %(reason)s", reason=_mail_reason(error))
        ) from error


def _mail_reason(error: MailboxError) -> str:
    if error.values:
        return Sentence(error.template, **error.values)
    for reason in _MAIL_REASONS:
        before, more, _ = reason.template.partition("%(rest)s")
        if more and error.template.startswith(before):
            return Sentence(reason.template, rest=error.template[len(before) :])
    return Sentence(error.template)


def display_name(value: str) -> str:
    """The name before an address in a header.

    Encoded words are refused: some Pythons decode ``=?utf-8?q?=0D=0A...?=`` into a new header
    line when the message is written (CVE-2024-6923).
    """
    if "=?" in value:
        raise ValueError(Sentence("Must not hold '=?'."))
    return text(value, most=200)


def credential(value: str) -> str:
    """An SMTP user name or password, blanks kept; at most 1 KiB in UTF-8."""
    if len(text(value, most=1024).encode()) > 1024:
        raise ValueError(Sentence("Must have at most 1024 bytes in UTF-8."))
    return value


def app_name(value: str) -> str:
    """The name of an app; it goes into the subject of the test mail."""
    name = display_name(value).strip()
    if not 1 <= len(name) <= 100:
        raise ValueError(Sentence("Must have 1 to 100 characters."))
    return name


def user_name(value: str) -> str:
    """The name of an account: 1 to 100 characters that can be seen, without blanks at its ends."""
    name = text(value, most=100).strip()
    if found := _IGNORABLE.search(name):
        raise ValueError(
            Sentence(
                "Must not hold characters that cannot be seen (U+%(code)s at position"
                " %(position)s).",
                code=f"{ord(found[0]):04X}",
                position=found.start() + 1,
            )
        )
    key = name_key(name)
    if not key:
        raise ValueError(Sentence("Must have 1 to 100 characters."))
    if len(key) > 200:  # a few letters become three or more
        raise ValueError(
            Sentence("Is too long in the form in which names are compared: choose a shorter one.")
        )
    return name


def name_key(name: str) -> str:
    """The name of an account as names are compared: case and compatibility forms are one.

    Unicode 3.13, D146 (compatibility caseless match), but that nothing is left out.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", name)).casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", folded).casefold()).strip()


def seconds(value: str) -> int:
    """A span of time in whole seconds."""
    return integer(value, 0, 2**31 - 1)


def idempotency_key(value: str) -> str:
    """What a client chose to call one request by: 1 to 255 visible ASCII characters."""
    if not _KEY.fullmatch(value):
        raise ValueError(Sentence("Must have 1 to 255 visible ASCII characters."))
    return value


def note(value: str) -> str:
    """What a person says of why something was turned off; one line."""
    return text(value, most=200).strip()


def moment(value: str) -> datetime:
    """A time in ISO 8601, UTC where it names no zone."""
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


def check_every(value: str) -> int:
    """Minutes between two scheduled checks; 0: none."""
    minutes = integer(value, 0, 24 * 60)
    if 0 < minutes < 15:
        raise ValueError(Sentence("Must be 0, or from 15 to 1440."))
    return minutes


def email_every(value: str) -> str:
    """How often a scheduled check sends a real email."""
    word = value.strip().lower()
    if word not in ("never", "daily", "always"):
        raise ValueError(Sentence("Must be never, daily or always."))
    return word


def strategy(value: str) -> str:
    """How an app picks among its SMTPs."""
    if value.upper() not in STRATEGIES:
        raise ValueError(Sentence("Must be PRIORITY or RANDOM."))
    return value.upper()


def scope(value: str) -> str:
    """What a token may do."""
    if value not in SCOPES:
        raise ValueError(Sentence("Must be one of %(list)s.", list=", ".join(SCOPES)))
    return value


def language(value: str) -> str:
    """A language that the pages speak."""
    if value not in LANGUAGES:
        raise ValueError(Sentence("Must be one of %(list)s.", list=", ".join(LANGUAGES)))
    return value


def accept(**given: tuple[Callable[[str], str], str]) -> dict[str, str]:
    """Run each value through its rule; raise one :class:`BadInput` for all that fail."""
    accepted, errors = {}, {}
    for name, (rule, value) in given.items():
        try:
            accepted[name] = rule(value)
        except ValueError as error:
            errors[name] = [error.args[0]]
    if errors:
        raise BadInput(errors)
    return accepted
