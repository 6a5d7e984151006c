"""Who runs a mail server, and what is to be known of it (``providers.toml``)."""

from __future__ import annotations

import datetime
import enum
import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

FILE = Path(__file__).with_suffix(".toml")

LINKS = ("app_password", "settings", "sender", "status", "unblock", "quota")
STATES = ("suspended", "unconfirmed", "quota", "disabled", "pending", "sandbox")
_KEYS = {"id", "name", "group", "greeting", "certificate", "links", "states", "notices", "checked"}
_MAX_GREETING = 512  # characters


class Role(enum.StrEnum):
    """What a host of a provider is for."""

    SUBMISSION = "submission"  # mail of people with a mailbox there
    RELAY = "relay"  # mail of apps, which sign in
    MX = "mx"  # receives mail for its own users; knows no sign-in
    SANDBOX = "sandbox"  # accepts mail and delivers none


class ProviderDataError(ValueError):
    """An entry of ``providers.toml`` is not in order."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What changes at a provider from a day on, in English."""

    since: datetime.date
    text: str
    link: str


@dataclass(frozen=True, slots=True)
class Provider:
    """Somebody who runs mail servers for others. ``hosts``: the patterns of each role."""

    id: str
    name: str
    group: str
    hosts: Mapping[Role, tuple[str, ...]]
    greeting: re.Pattern[str] | None
    certificate: tuple[str, ...]
    links: Mapping[str, str]
    states: Mapping[str, tuple[str, ...]]
    notices: tuple[Notice, ...]
    checked: datetime.date

    @property
    def ids(self) -> frozenset[str]:
        """The ids whose causes hold for this provider."""
        return frozenset({self.id, self.group})

    @property
    def is_sandbox(self) -> bool:
        """Whether it delivers nothing of what it accepts."""
        return Role.SANDBOX in self.hosts

    @property
    def host(self) -> str:
        """A host that apps send to, to speak of it; "" where the name depends on the customer."""
        for role in (Role.SUBMISSION, Role.RELAY, Role.SANDBOX):
            for pattern in self.hosts.get(role, ()):
                if "*" not in pattern:
                    return pattern
        return ""

    def state_in(self, words: str) -> str | None:
        """The state of the account that a reply of its server names."""
        folded = " ".join(words.split()).lower()
        for state, phrases in self.states.items():
            if any(phrase in folded for phrase in phrases):
                return state
        return None


@functools.lru_cache(1)
def providers() -> tuple[Provider, ...]:
    """All providers, in the order of the file; raises :class:`ProviderDataError`."""
    entries = tomllib.loads(FILE.read_text(encoding="utf-8"))["provider"]
    found = tuple(map(_provider, entries))
    _refuse_repetitions(found)
    return found


def named(text: str) -> Provider | None:
    """The provider with this id or name, in any case."""
    return _by_name().get(text.strip().casefold())


def provider_of(host: str, greeting: str = "", names: Iterable[str] = ()) -> Provider | None:
    """Who runs the server that was asked for, showed these ``names``, or greeted us like this.

    The host decides where it is known; then the certificate, which cannot be forged; then the
    ``greeting``, the text that follows 220.
    """
    if found := _of_pattern(_patterns(), host):
        return found[0]
    for name in names:
        # A certificate's own wildcard stands for one label
        if shown := _of_pattern(_certificates(), name.replace("*.", "any.", 1)):
            return shown[0]
    words = greeting[:_MAX_GREETING].strip()
    if words:
        for provider in providers():
            if provider.greeting is not None and provider.greeting.search(words):
                return provider
    return None


def role_of(host: str) -> Role | None:
    """What this host is for; None where no provider is known by it."""
    found = _of_pattern(_patterns(), host)
    return found[1] if found else None


def patterns() -> Iterator[tuple[Provider, Role, str]]:
    """Every host pattern with its provider and role."""
    for provider in providers():
        for role, hosts in provider.hosts.items():
            for host in hosts:
                yield provider, role, host


_Pattern = tuple[re.Pattern[str], Provider, Role]


def _of_pattern(known: tuple[_Pattern, ...], host: str) -> tuple[Provider, Role] | None:
    name = host.strip().rstrip(".").lower()[:255]
    if not name:
        return None
    return next(
        ((provider, role) for regex, provider, role in known if regex.fullmatch(name)), None
    )


@functools.lru_cache(1)
def _patterns() -> tuple[_Pattern, ...]:
    """The longest first: "smtp.google.com" is looked at before "*.google.com"."""
    listed = sorted(patterns(), key=lambda one: (-len(one[2].replace("*", "")), one[2]))
    return tuple((_compiled(pattern), provider, role) for provider, role, pattern in listed)


@functools.lru_cache(1)
def _certificates() -> tuple[_Pattern, ...]:
    listed = sorted(
        ((name, provider) for provider in providers() for name in provider.certificate),
        key=lambda one: (-len(one[0].replace("*", "")), one[0]),
    )
    return tuple((_compiled(name), provider, Role.SUBMISSION) for name, provider in listed)


@functools.lru_cache(1)
def _by_name() -> dict[str, Provider]:
    return {key.casefold(): one for one in providers() for key in (one.id, one.name)}


def _compiled(pattern: str) -> re.Pattern[str]:
    """``*`` stands for any letters, digits, hyphens and dots, but not for nothing."""
    return re.compile(re.escape(pattern.lower()).replace(r"\*", "[a-z0-9.-]+"))


def _provider(entry: Mapping[str, Any]) -> Provider:
    try:
        return _checked(entry)
    except (KeyError, TypeError, re.error) as error:
        raise ProviderDataError(f"{entry.get('id', '?')}: {error!r}") from error


def _checked(entry: Mapping[str, Any]) -> Provider:
    wrong = (
        set(entry) - _KEYS - set(Role)
        | set(entry.get("links", {})) - set(LINKS)
        | set(entry.get("states", {})) - set(STATES)
    )
    if wrong:
        raise ProviderDataError(f"{entry['id']}: unknown {', '.join(sorted(wrong))}")
    links = dict(entry.get("links", {}))
    notices = tuple(
        Notice(one["from"], one["text"], one.get("link", "")) for one in entry.get("notices", ())
    )
    for url in (*links.values(), *(one.link for one in notices if one.link)):
        if not url.startswith("https://"):
            raise ProviderDataError(f"{entry['id']}: {url} is not an https address")
    greeting = entry.get("greeting", [])
    return Provider(
        id=entry["id"],
        name=entry["name"],
        group=entry.get("group", entry["id"]),
        hosts=MappingProxyType({role: tuple(entry[role]) for role in Role if role in entry}),
        greeting=re.compile("|".join(f"(?:{one})" for one in greeting), re.IGNORECASE)
        if greeting
        else None,
        certificate=tuple(entry.get("certificate", ())),
        links=MappingProxyType(links),
        states=MappingProxyType(
            {state: tuple(phrases) for state, phrases in entry.get("states", {}).items()}
        ),
        notices=notices,
        checked=entry["checked"],
    )


def _refuse_repetitions(found: tuple[Provider, ...]) -> None:
    ids = {one.id for one in found}
    seen: set[str] = set()
    for one in found:
        hosts = [host for listed in one.hosts.values() for host in listed]
        for key in (f"id {one.id}", *(f"host {host}" for host in hosts)):
            if key in seen:
                raise ProviderDataError(f"{one.id}: {key} stands twice")
            seen.add(key)
        if one.group not in ids:
            raise ProviderDataError(f"{one.id}: there is no provider {one.group}")
