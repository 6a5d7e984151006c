"""Known authorization servers (``oauth.toml``): endpoints, scopes and grants of OAuth 2.0."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..mailcheck.core.once import once
from ..mailcheck.diagnosis.token import Grant

FILE = Path(__file__).with_suffix(".toml")
OTHER = "other"
BASIC, POST = "basic", "post"  # how a client secret is sent (RFC 6749 2.3.1)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where one authorization server is asked, and for what."""

    authorization_url: str | None
    token_url: str | None
    device_url: str | None
    scope: str
    client_auth: str


@dataclass(frozen=True, slots=True)
class Provider:
    """An authorization server; see the file for the fields."""

    id: str
    name: str
    catalogue: str
    hosts: frozenset[str]
    grants: tuple[Grant, ...]
    tenant: str | None
    extra: Mapping[str, str]
    source: str
    entry: Mapping[str, Any]

    def endpoints(self, grant: Grant, host: str, tenant: str | None) -> Endpoints:
        """Return the endpoints for an SMTP server; ``tenant`` None: the default one."""
        words = {"tenant": tenant or self.tenant or "", "region": _region(host)}
        urls = {
            name: self.entry[name].format(**words) if name in self.entry else None
            for name in ("authorization_url", "token_url", "device_url")
        }
        app = grant is Grant.CLIENT_CREDENTIALS
        scope = self.entry.get("app_scope" if app else "scope", "")
        return Endpoints(**urls, scope=scope, client_auth=self.entry["client_auth"])

    def needs_tenant(self, grant: Grant) -> bool:
        """Whether the default tenant will not do: an application belongs to one organization."""
        return self.tenant == "organizations" and grant is Grant.CLIENT_CREDENTIALS


def providers() -> tuple[Provider, ...]:
    """Return all providers, in the order of the file."""
    return tuple(_by_id().values())


def named(provider_id: str) -> Provider | None:
    """Return the provider with this id; None for ``other``."""
    return _by_id().get(provider_id)


def of_host(host: str) -> Provider | None:
    """Return the provider whose tokens this SMTP server accepts, if it is known."""
    name = host.lower().removesuffix(".")
    return next((one for one in providers() if name in one.hosts), None)


def ids() -> tuple[str, ...]:
    """Return the ids that can be chosen."""
    return (*_by_id(), OTHER)


@once
def _by_id() -> dict[str, Provider]:
    entries = tomllib.loads(FILE.read_text(encoding="utf-8"))["provider"]
    return {entry["id"]: _provider(entry) for entry in entries}


def _provider(entry: dict[str, Any]) -> Provider:
    return Provider(
        id=entry["id"],
        name=entry["name"],
        catalogue=entry.get("catalogue", ""),
        hosts=frozenset(entry["hosts"]),
        grants=tuple(map(Grant, entry["grants"])),
        tenant=entry.get("tenant"),
        extra=entry.get("extra", {}),
        source=entry["source"],
        entry=entry,
    )


def _region(host: str) -> str:
    _before, found, region = host.lower().partition(".zoho.")
    return region if found else "com"
