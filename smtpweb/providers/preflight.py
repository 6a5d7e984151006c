"""Warn, before anything is sent, of SMTP server settings that are likely to fail.

Every finding is only a warning: each setting is correct somewhere, so nothing is forbidden. The
valid values of a host or a port are defined by ``validators``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import Sentence
from ..mailcheck import Encryption
from ..mailcheck.core.modes import ENCRYPTION_NAMES, SPOKEN, USUAL_PORTS
from . import credentials, presets, reachability
from .presets import Preset
from .settings import Found, Settings, Warning

_AWS_TEMPORARY = re.compile(r"ASIA[A-Z0-9]{12,28}", re.ASCII)
_AWS_KEY_ID = re.compile(r"A[A-Z0-9]{15,31}", re.ASCII)
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|::1", re.ASCII)


def warnings(given: Settings) -> tuple[Warning, ...]:
    """Return everything that is likely to fail, in the order of the form."""
    known = presets.of_host(given.host)
    found = [warning for rule in _RULES for warning in rule(given, known)]
    return tuple(sorted(found, key=lambda warning: _ORDER.index(warning.field)))


_ORDER = ("host", "encryption", "port", "username", "password", "defaultfromemail")


def _port_and_mode(given: Settings, known: Preset | None) -> Found:
    if given.port is None:
        return
    if given.port in reachability.READING:
        yield Warning(
            "port",
            "PORT_OF_READING",
            Sentence(
                "Port %(port)s is for reading email (%(protocol)s). To send email, use port 587"
                " with STARTTLS, or port 465 with implicit TLS.",
                port=given.port,
                protocol=reachability.READING[given.port],
            ),
        )
        return
    if known and given.port in known.missing:
        best = known.modes[0]
        yield Warning(
            "port",
            "PORT_NOT_OFFERED",
            Sentence(
                "%(provider)s does not answer on port %(port)s. Use port %(better)s with %(mode)s.",
                provider=known.name,
                port=given.port,
                better=best.port,
                mode=_MODE_NAMES[best.encryption],
            ),
        )
        return
    if given.encryption is Encryption.IMPLICIT and given.port == 25:
        spoken = Encryption.STARTTLS
    elif given.port in SPOKEN:
        spoken = SPOKEN[given.port]
    else:
        return
    if given.encryption is spoken:
        return
    if given.encryption is Encryption.NONE:
        text = Sentence(
            "Port %(port)s usually requires %(mode)s. Choose that, or another port.",
            port=given.port,
            mode=_MODE_NAMES[spoken],
        )
    else:
        text = Sentence(
            "Port %(port)s usually uses %(mode)s. Choose that, or port %(better)s.",
            port=given.port,
            mode=_MODE_NAMES[spoken],
            better=USUAL_PORTS[given.encryption],
        )
    yield Warning("port", "PORT_AND_ENCRYPTION", text)


def _both_flags(given: Settings, _known: Preset | None) -> Found:
    if given.both_flags:
        yield Warning(
            "encryption",
            "BOTH_FLAGS",
            Sentence("starttls and sslTls are both true, so implicit TLS is used."),
        )


def _login_in_clear(given: Settings, _known: Preset | None) -> Found:
    if (
        given.auth
        and given.encryption is Encryption.NONE
        and not _LOOPBACK.fullmatch(given.host.lower())
    ):
        yield Warning(
            "encryption",
            "LOGIN_IN_CLEAR",
            Sentence("The password is sent in plain text: anybody on the network can read it."),
        )


def _passwords_end(given: Settings, known: Preset | None) -> Found:
    if not known or not known.passwords or not given.auth or given.oauth:
        return
    if known.passwords == "refused":
        text = Sentence(
            "%(provider)s no longer accepts passwords from apps. Sign in with OAuth 2.0"
            " instead, or use an email service for apps.",
            provider=known.name,
        )
    else:
        text = Sentence(
            "%(provider)s is ending password authentication for SMTP: it is off in new"
            " organizations, and off by default in all others from the end of December"
            " 2026. Sign in with OAuth 2.0 instead, or move to an email service for apps.",
            provider=known.name,
        )
    yield Warning("host", "BASIC_AUTH_ENDS", text)


def _user_name(given: Settings, known: Preset | None) -> Found:
    name = given.username
    if not given.auth or not name:
        return
    if place := credentials.blank_in(name, generated=True):
        yield _blank("username", place)
    if not known:
        return
    if known.word and name.strip() != known.word:
        yield Warning(
            "username",
            "USERNAME_IS_A_WORD",
            Sentence(
                "At %(provider)s the user name is always the word %(word)s.",
                provider=known.name,
                word=known.word,
            ),
        )
    elif known.wants_address and "@" not in name:
        yield Warning(
            "username",
            "USERNAME_NO_ADDRESS",
            Sentence(
                "At %(provider)s the user name is the full email address.", provider=known.name
            ),
        )
    elif known.id == "ses" and _AWS_TEMPORARY.fullmatch(name.strip()):
        yield Warning(
            "username",
            "AWS_ACCESS_KEY",
            Sentence(
                "This is a temporary AWS access key. SES requires SMTP credentials: create them"
                " in its console, under SMTP settings."
            ),
        )
    elif known.id == "ses" and not _AWS_KEY_ID.fullmatch(name.strip()):
        yield Warning(
            "username",
            "USERNAME_NOT_OF_SES",
            Sentence(
                "SES SMTP user names start with AKIA. Create SMTP credentials in its console,"
                " under SMTP settings."
            ),
        )


def _password(given: Settings, known: Preset | None) -> Found:
    if not given.auth or given.oauth:
        return
    for finding in given.password_findings.split():
        code, _, place = finding.partition(":")
        if code == credentials.INVISIBLE_CHARACTERS:
            yield _blank("password", place)
        elif known and code in _ABOUT_PASSWORDS:
            template = _ABOUT_PASSWORDS[code].template
            text = Sentence(template, word=known.word, provider=known.name)
            yield Warning("password", code, text)


_ABOUT_PASSWORDS = {
    "NO_APP_PASSWORD": Sentence(
        "Google requires an app password, which has 16 letters; this one doesn't."
        " Create one in your Google account's settings, with 2-step verification on."
    ),
    "AWS_ACCESS_KEY": Sentence(
        "This looks like an AWS secret access key. SES requires an SMTP password, which"
        " is a different one: create SMTP credentials in its console, under SMTP"
        " settings."
    ),
    "PASSWORD_IS_THE_WORD": Sentence(
        "%(word)s is the user name at %(provider)s. Enter the key here."
    ),
}


def _blank(name: str, place: str) -> Warning:
    """Warn of copying mistakes; the text does not show the surrounding characters."""
    text = _PLACES.get(place)
    if text is None:
        code, _, position = place.partition(":")
        text = Sentence(
            "Contains an invisible character (U+%(code)s at position %(position)s),"
            " probably from copying. Type it by hand.",
            code=code,
            position=int(position),
        )
    return Warning(name, credentials.INVISIBLE_CHARACTERS, text)


_PLACES = {
    credentials.BOTH_ENDS: Sentence("Starts and ends with a space. The spaces are kept."),
    credentials.START: Sentence("Starts with a space. The space is kept."),
    credentials.END: Sentence("Ends with a space. The space is kept."),
    credentials.INSIDE: Sentence("Contains a space. The space is kept."),
}


def _sender(given: Settings, known: Preset | None) -> Found:
    if not known or not given.mail_from:
        return
    sender = given.mail_from.lower()
    domain = sender.rpartition("@")[2]
    login = given.username.strip().lower() if given.auth else ""
    if known.own_from == "login" and "@" in login and sender != login:
        yield Warning(
            "defaultfromemail",
            "FROM_NOT_LOGIN",
            Sentence(
                "%(provider)s only sends from the account's own address and its aliases: email"
                " from %(sender)s is refused or sent from the account's address.",
                provider=known.name,
                sender=given.mail_from,
            ),
        )
    elif known.is_relay and (home := presets.of_domain(domain)) is not None:
        yield Warning(
            "defaultfromemail",
            "FROM_FREEMAIL",
            Sentence(
                "%(domain)s belongs to %(owner)s, so it cannot be verified at %(provider)s:"
                " email from it is refused there or by the recipient's server. Use your own"
                " domain.",
                domain=domain,
                owner=home.preset.name,
                provider=known.name,
            ),
        )


_MODE_NAMES = {mode: Sentence(name) for mode, name in ENCRYPTION_NAMES.items()}
_RULES: tuple[Callable[[Settings, Preset | None], Found], ...] = (
    reachability.no_such_host,
    reachability.refused_here,
    _passwords_end,
    _both_flags,
    _login_in_clear,
    _port_and_mode,
    _user_name,
    _password,
    reachability.no_from,
    _sender,
)
