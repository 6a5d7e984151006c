"""Known email providers (``presets.toml``): servers, ports, form of user name and password."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Sentence
from ..mailcheck import Encryption, Mode
from ..mailcheck.core.once import once

FILE = Path(__file__).with_suffix(".toml")

# Offered first to somebody who registers a first SMTP server
USUAL = ("gmail", "microsoft", "ses", "sendgrid", "brevo", "mailgun", "mailjet", "postmark")

_USERS = {
    "address": Sentence("Your full email address."),
    "local": Sentence("Only the part of your address before the @."),
    "login": Sentence("The name of your account with the provider."),
    "shown": Sentence("The user name shown in the provider's SMTP settings."),
    "postmaster": Sentence("The SMTP user of your domain, such as postmaster@mg.example.com."),
    "ses": Sentence("The SMTP user name that SES created in this region."),
    "key": Sentence("Your API key."),
    "token": Sentence("The server's API token; use the same token as the password."),
    "project": Sentence("The ID of your project."),
    "any": Sentence("Any text works."),
    "sender": Sentence("The sender address that you set up with the provider."),
    "none": Sentence("None: untick “Server requires authentication”."),
}
_PASSWORDS = {
    "app": Sentence("An app password, which you create in your account's settings."),
    "sixteen": Sentence("An app password of 16 letters, not the one you sign in with."),
    "app-or-mailbox": Sentence(
        "The password of the mailbox, or an app password if 2-step verification is on."
    ),
    "mailbox": Sentence("The password of the mailbox."),
    "web-mail-allows": Sentence(
        "The password of the mailbox. First allow sending from apps in the webmail settings."
    ),
    "separate": Sentence("The separate password for email apps."),
    "secure-key": Sentence("The secure mail key of your account."),
    "code": Sentence("The authorization code that the webmail shows when you enable SMTP."),
    "key": Sentence("An API key that is allowed to send email."),
    "secret-key": Sentence("Your API secret key."),
    "smtp-key": Sentence("An SMTP key, not an API key or the password of your account."),
    "smtp-token": Sentence("An SMTP token, which requires a paid account with your own domain."),
    "token": Sentence("An API token."),
    "same": Sentence("The same token as in the user name."),
    "smtp": Sentence("The password of the SMTP user."),
    "ses": Sentence("The SMTP password that SES created with it, not the AWS secret key."),
    "shown": Sentence("The password shown next to the user name there."),
    "generated": Sentence("A password generated for this address."),
    "entra": Sentence("A client secret of the Entra ID application."),
    "none": Sentence("None."),
}


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider. ``modes``: the preferred one first; see the file for the other fields."""

    id: str
    name: str
    hosts: dict[str, str]  # label -> host; a host with a leading dot lacks its first part
    modes: tuple[Mode, ...]
    word: str
    user: Sentence
    user_form: str
    password: Sentence
    password_form: str
    wants_address: bool
    own_from: str
    passwords: str
    missing: frozenset[int]
    domains: dict[str, tuple[str, ...]]  # by host
    mx: dict[str, tuple[str, ...]]  # by host
    also: re.Pattern[str] | None
    spf: tuple[str, ...] = ()  # one of these is included by domains that send through it
    dkim: tuple[str, ...] = ()  # selectors of the keys that it signs with, for a domain of a user

    @property
    def needs(self) -> Sentence:
        """What to have at hand before entering the credentials."""
        if self.passwords:
            return Sentence("An application that you register with the provider (OAuth 2.0).")
        if self.password_form == "same":  # noqa: S105 - a kind of password
            return Sentence("The server's API token, which is both user name and password.")
        return self.password

    @property
    def host_is_known(self) -> bool:
        """Whether the file names its hosts in full."""
        return not any(host.startswith(".") for host in self.hosts.values())

    @property
    def is_relay(self) -> bool:
        """Whether it sends for its customers' domains, which it requires to be verified."""
        return self.own_from == "verified"

    def username_of(self, address: str) -> str:
        """Return the user name for this address; "" if it cannot be derived from the address."""
        if self.user_form == "local":
            return address.rpartition("@")[0]
        return address if self.wants_address else self.word


@dataclass(frozen=True, slots=True)
class Choice:
    """An option in the form: a provider, or one of its hosts."""

    label: str
    host: str
    preset: Preset

    @property
    def mode(self) -> Mode:
        """The preferred port and encryption."""
        return self.preset.modes[0]


@once
def presets() -> tuple[Preset, ...]:
    """Return all providers, in the order of the file."""
    return tuple(map(_preset, tomllib.loads(FILE.read_text(encoding="utf-8"))["provider"]))


def of_id(preset_id: str) -> Preset | None:
    """Return the provider with this id."""
    return next((preset for preset in presets() if preset.id == preset_id), None)


@once
def choices() -> tuple[Choice, ...]:
    """Return all hosts of all providers, sorted by label."""
    found = (
        Choice(f"{preset.name} ({label})" if label else preset.name, host, preset)
        for preset in presets()
        for label, host in preset.hosts.items()
    )
    return tuple(sorted(found, key=lambda choice: choice.label.casefold()))


def named(text: str) -> list[Choice]:
    """Return the choices that match what was typed, by words of the label, else by host.

    Only one if it is a complete label.
    """
    wanted = text.strip().casefold()
    if not wanted:
        return []
    for choice in choices():
        if choice.label.casefold() == wanted:
            return [choice]
    begins = re.compile(rf"(?<![^\W_]){re.escape(wanted)}")
    return [one for one in choices() if begins.search(one.label.casefold())] or [
        one for one in choices() if wanted in one.host
    ]


@functools.lru_cache(1024)  # a list asks for each of its servers
def of_host(host: str) -> Preset | None:
    """Return the provider of this server."""
    name = host.lower().removesuffix(".")
    known = _by_host().get(name)
    if known is not None:
        return known
    return next((one for one in presets() if one.also and one.also.fullmatch(name)), None)


def is_secret_name(host: str, username: str | None, password: str | None) -> bool:
    """Check whether the user name is as secret as the password.

    Some providers use one token for both; and a user may have entered the same value for both.
    """
    if not username:
        return False
    known = of_host(host)
    if known is not None and known.password_form == "same":  # noqa: S105 - a kind of password
        return True
    return password is not None and username.strip() == password.strip()


def hosts_with_secret_names() -> list[str]:
    """Return the hosts whose user names are as secret as passwords."""
    return sorted(
        host
        for preset in presets()
        if preset.password_form == "same"  # noqa: S105
        for host in preset.hosts.values()
    )


def of_domain(domain: str) -> Choice | None:
    """Return the provider that gives its users addresses in this domain."""
    return _by_domain().get(domain.lower())


def of_mx(host: str) -> Choice | None:
    """Return the provider that receives the email of domains with this MX host."""
    name = host.lower().removesuffix(".")
    return next(
        (
            choice
            for choice in choices()
            for ending in choice.preset.mx.get(choice.host, ())
            if name == ending or name.endswith("." + ending)
        ),
        None,
    )


@once
def _by_host() -> dict[str, Preset]:
    # Anything may listen on loopback, so these two are offered but never recognised
    own = ("localhost", "127.0.0.1")
    return {choice.host: choice.preset for choice in choices() if choice.host not in own}


@once
def _by_domain() -> dict[str, Choice]:
    return {
        domain: choice
        for choice in choices()
        for domain in choice.preset.domains.get(choice.host, ())
    }


def _preset(entry: dict[str, Any]) -> Preset:
    hosts = entry.get("hosts") or {"": entry["host"]}
    first = next(iter(hosts.values()))
    word = entry.get("word", "")
    user = Sentence("Always the word %(word)s.", word=word) if word else _USERS[entry["user"]]
    also = entry.get("also")
    return Preset(
        id=entry["id"],
        name=entry["name"],
        hosts=hosts,
        modes=tuple(_mode(text) for text in entry["modes"]),
        word=word,
        user=user,
        user_form=entry.get("user", ""),
        password=_PASSWORDS[entry["password"]],
        password_form=entry["password"],
        wants_address=entry.get("user") == "address",
        own_from=entry.get("from", ""),
        passwords=entry.get("passwords", ""),
        missing=frozenset(entry.get("missing", ())),
        domains=_by_first(entry, "domains", first),
        mx=_by_first(entry, "mx", first),
        also=re.compile(also) if also else None,
        spf=tuple(entry.get("spf", ())),
        dkim=tuple(entry.get("dkim", ())),
    )


def _by_first(entry: dict[str, Any], name: str, first: str) -> dict[str, tuple[str, ...]]:
    """Return what is listed per host, or, if no host is named, assign it to the first one."""
    by_host = entry.get(f"{name}_of") or {first: entry.get(name, [])}
    return {host: tuple(found) for host, found in by_host.items()}


def _mode(text: str) -> Mode:
    port, encryption = text.split()
    return Mode(int(port), Encryption(encryption))
