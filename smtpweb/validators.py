"""What a host, a port, an address, a name may be: one function each, one clear sentence if not.

Every function returns the accepted value or raises :class:`ValueError` with a
:class:`~.errors.Sentence` fit for the user. They run before any driver sees the value, because
SQLite and PostgreSQL refuse different things (NUL, lone surrogates, large integers), and before
it can reach a mail header.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

import idna
from email_validator import EmailNotValidError, validate_email

from .errors import BadInput, Sentence

PORTS = (1, 65535)
PRIORITIES = (0, 2**31 - 1)
SCOPES = ("read", "write", "check", "secrets")
STRATEGIES = ("PRIORITY", "RANDOM")
LANGUAGES = ("en", "es")

# C0, DEL and C1 controls (C1 has U+0085, a line end to some), the Unicode line ends, bidi
# controls, and lone surrogates, which neither database can store.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_INTEGER = re.compile(r"[0-9]{1,10}", re.ASCII)  # int() alone also takes "٣", "1_0" and " 25\n"
_OBJECT_ID = re.compile(r"[0-9a-f]{24}")
# A URL, or a host with its port: what people paste where only the host belongs
_PASTED = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/@]*@)?)?"
    r"(?P<name>[^:/]*)(?::(?P<port>[0-9]{0,5}))?(?:/.*)?",
    re.ASCII | re.IGNORECASE,
)
_PORT_OF_SCHEME = {"smtps": "465", "submissions": "465", "smtp": "587", "submission": "587"}
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# What email-validator says most, so that pages can say it in their language too.
_MAIL_REASONS = (
    Sentence("An email address must have an @-sign."),
    Sentence("There must be something before the @-sign."),
    Sentence("There must be something after the @-sign."),
    Sentence("An email address cannot have two periods in a row."),
    Sentence("An email address cannot start with a period."),
    Sentence("An email address cannot have a period immediately before the @-sign."),
    Sentence("An email address cannot have a period immediately after the @-sign."),
    Sentence("An email address cannot end with a period."),
    Sentence("An email address cannot have a hyphen immediately after the @-sign."),
    Sentence("An email address cannot end with a hyphen."),
    Sentence("The email address is too long before the @-sign %(rest)s"),
    Sentence("The email address is too long after the @-sign %(rest)s"),
    Sentence("The email address contains invalid characters before the @-sign: %(rest)s"),
    Sentence("The part after the @-sign contains invalid characters: %(rest)s"),
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


def pasted(value: str) -> str:
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


def host(value: str) -> str:
    """A domain name or an IP address in its canonical form, without scheme, port or blanks.

    Numeric spellings such as ``127.1`` or ``0x7f.1`` are refused: the C resolver takes them for
    addresses, and an egress policy must not be passed by a way of writing.
    """
    name = text(value, most=253)
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    try:
        if "%" not in name:
            return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    if ":" in name or "/" in name:
        raise ValueError(_taken_apart(name))
    if "@" in name:
        raise ValueError(
            Sentence(
                "This is a mail address: type the name of its server, such as smtp.example.com."
            )
        )
    ascii_name = name.lower().removesuffix(".")
    if not ascii_name.isascii():
        try:
            ascii_name = idna.encode(name, uts46=True).decode().lower().removesuffix(".")
        except (idna.IDNAError, UnicodeError) as error:
            raise ValueError(Sentence("Must be a domain name or an IP address.")) from error
    labels = ascii_name.split(".")
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(Sentence("Must be a domain name or an IP address."))
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        raise ValueError(Sentence("Must be a domain name, or an IP address written in full."))
    return name


def _taken_apart(pasted: str) -> Sentence:
    """What to type instead of a URL, or of a host with its port."""
    found = _PASTED.fullmatch(pasted)
    if found is None or not _is_host(found["name"]):
        return Sentence("Only a host name or an IP address, without scheme, port or path.")
    port = found["port"] or _PORT_OF_SCHEME.get((found["scheme"] or "").lower())
    if not port:
        return Sentence("Only the host name: type %(host)s.", host=found["name"])
    return Sentence(
        "Only the host name: type %(host)s, and %(port)s as the port.",
        host=found["name"],
        port=port,
    )


def _is_host(text: str) -> bool:
    try:
        host(text)
    except ValueError:
        return False
    return True


def port(value: str) -> int:
    """A TCP port."""
    return integer(value, *PORTS)


def priority(value: str) -> int:
    """The order in which an app uses its SMTPs; 0 is first."""
    return integer(value, *PRIORITIES)


def email(value: str) -> str:
    """One mail address (addr-spec of RFC 5322, SMTPUTF8 allowed); internal domains are fine."""
    try:
        checked = validate_email(
            text(value, most=254), check_deliverability=False, globally_deliverable=False
        )
    except EmailNotValidError as error:
        raise ValueError(
            Sentence("Must be one mail address: %(reason)s", reason=_mail_reason(str(error)))
        ) from error
    return checked.normalized


def _mail_reason(told: str) -> str:
    for reason in _MAIL_REASONS:
        before, more, _ = reason.template.partition("%(rest)s")
        if told == reason:
            return reason
        if more and told.startswith(before):
            return Sentence(reason.template, rest=told[len(before) :])
    return told


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
    """The name of an account: 1 to 100 characters without blanks at its ends."""
    name = text(value, most=100).strip()
    if not name:
        raise ValueError(Sentence("Must have 1 to 100 characters."))
    if len(name.casefold()) > 200:  # names are compared so, and a few letters become three
        raise ValueError(Sentence("Must have at most %(most)s characters.", most=66))
    return name


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
