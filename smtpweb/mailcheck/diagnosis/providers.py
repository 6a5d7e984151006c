"""Mail providers, and what is known about their servers (``providers.toml``)."""

from __future__ import annotations

import datetime
import enum
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core.once import once

FILE = Path(__file__).with_suffix(".toml")

LINKS = ("app_password", "settings", "sender", "status", "unblock", "quota")
STATES = ("suspended", "unconfirmed", "quota", "disabled", "pending", "sandbox")
_KEYS = {"id", "name", "group", "greeting", "certificate", "links", "states", "notices", "checked"}
_MAX_GREETING = 512  # characters


class Role(enum.StrEnum):
    """The purpose of a provider's host."""

    SUBMISSION = "submission"  # email from people with a mailbox there
    RELAY = "relay"  # email from apps, which authenticate
    MX = "mx"  # receives email for its own users; no authentication
    SANDBOX = "sandbox"  # accepts email and delivers none


class ProviderDataError(ValueError):
    """An entry of ``providers.toml`` is invalid."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A change at a provider from some day on, in English."""

    since: datetime.date
    text: str
    link: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A company that runs mail servers for others. ``hosts``: the patterns of each role."""

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
        """The ids whose causes apply to this provider."""
        return frozenset({self.id, self.group})

    @property
    def is_sandbox(self) -> bool:
        """Whether it accepts email but delivers none."""
        return Role.SANDBOX in self.hosts

    @property
    def host(self) -> str:
        """A host that apps send to, for display; "" if the name depends on the customer."""
        for role in (Role.SUBMISSION, Role.RELAY, Role.SANDBOX):
            for pattern in self.hosts.get(role, ()):
                if "*" not in pattern:
                    return pattern
        return ""

    def state_in(self, words: str) -> str | None:
        """Return the account state that a reply of its server names."""
        folded = " ".join(words.split()).lower()
        for state, phrases in self.states.items():
            if any(phrase in folded for phrase in phrases):
                return state
        return None


@once
def providers() -> tuple[Provider, ...]:
    """Return all providers, in file order. Raises :class:`ProviderDataError`."""
    entries = tomllib.loads(FILE.read_text(encoding="utf-8"))["provider"]
    found = tuple(map(_provider, entries))
    _refuse_repetitions(found)
    return found


def named(text: str) -> Provider | None:
    """Return the provider with this id or name, ignoring case."""
    return _by_name().get(text.strip().casefold())


def provider_of(host: str, greeting: str = "", names: Iterable[str] = ()) -> Provider | None:
    """Return the provider with this host, certificate ``names`` or ``greeting``.

    A known host decides; then the certificate, which cannot be forged; then the ``greeting``,
    which is the text after 220.
    """
    if found := _of_pattern(_patterns(), host):
        return found[0]
    for name in names:
        # A wildcard in a certificate matches one label
        if shown := _of_pattern(_certificates(), name.replace("*.", "any.", 1)):
            return shown[0]
    words = greeting[:_MAX_GREETING].strip()
    if words:
        for provider in providers():
            if provider.greeting is not None and provider.greeting.search(words):
                return provider
    return None


def role_of(host: str) -> Role | None:
    """Return the role of this host, or None if it belongs to no known provider."""
    found = _of_pattern(_patterns(), host)
    return found[1] if found else None


def patterns() -> Iterator[tuple[Provider, Role, str]]:
    """Yield every host pattern with its provider and role."""
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


@once
def _patterns() -> tuple[_Pattern, ...]:
    """Return the patterns, longest first: "smtp.google.com" comes before "*.google.com"."""
    listed = sorted(patterns(), key=lambda one: (-len(one[2].replace("*", "")), one[2]))
    return tuple((_compiled(pattern), provider, role) for provider, role, pattern in listed)


@once
def _certificates() -> tuple[_Pattern, ...]:
    listed = sorted(
        ((name, provider) for provider in providers() for name in provider.certificate),
        key=lambda one: (-len(one[0].replace("*", "")), one[0]),
    )
    return tuple((_compiled(name), provider, Role.SUBMISSION) for name, provider in listed)


@once
def _by_name() -> dict[str, Provider]:
    return {key.casefold(): one for one in providers() for key in (one.id, one.name)}


def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern in which ``*`` matches one or more letters, digits, hyphens and dots."""
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
