"""What an access token says about itself, to explain why a server refuses it.

Only tokens in JWT form (RFC 9068, Microsoft's for organisations) can be read; Google's and those
of personal Microsoft accounts are opaque. The signature is not verified: nothing is decided by
the claims, they only explain a refusal. The token itself is never part of a fact.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..core.redaction import cleaned, cut

MAX_CLAIM = 200  # characters
MAX_LISTED = 12  # members of a claim

# The audiences of Exchange Online, by the beginning of the host or as the id of the application
_OUTLOOK_HOSTS = ("outlook.office", "outlook.live", "outlook-", "partner.outlook", "ps.outlook")
_OUTLOOK_ID = "00000002-0000-0ff1-ce00-000000000000"
_SEND_AS_USER = "smtp.send"
_SEND_AS_APPLICATION = "smtp.sendasapp"


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims that matter for SMTP, cleaned and cut. Missing ones are empty."""

    audience: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()  # delegated: "scp" or "scope"
    roles: tuple[str, ...] = ()  # of an application: "roles"
    tenant: str = ""
    user: str = ""
    application: str = ""
    expires: datetime | None = None

    @property
    def for_application(self) -> bool:
        """Whether the token stands for an application instead of a user (Microsoft)."""
        return bool(self.roles) and not self.permissions

    @property
    def for_outlook(self) -> bool:
        """Whether one of the audiences is Exchange Online."""
        return any(map(_is_outlook, self.audience))

    @property
    def may_send(self) -> bool:
        """Whether it has a permission of Microsoft's to send by SMTP."""
        return _SEND_AS_USER in map(_last, self.permissions) or _SEND_AS_APPLICATION in map(
            _last, self.roles
        )


def claims_of(token: str) -> Claims | None:
    """Return the claims of ``token``, or None if it is opaque."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        raw = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        members = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(members, dict):
        return None
    return Claims(
        audience=_words(members.get("aud")),
        permissions=_words(members.get("scp") or members.get("scope")),
        roles=_words(members.get("roles")),
        tenant=_first(members, "tid"),
        user=_first(members, "upn", "preferred_username", "unique_name", "email"),
        application=_first(members, "appid", "azp", "client_id"),
        expires=_moment(members.get("exp")),
    )


def facts_of(
    token: str, username: str, *, microsoft: bool, now: datetime | None = None
) -> dict[str, Any]:
    """Return the facts about ``token`` that the catalogue may match on or name."""
    claims = claims_of(token)
    if claims is None:
        return {}
    now = now or datetime.now(UTC)
    facts: dict[str, Any] = {
        "token_audience": ", ".join(claims.audience),
        "token_permissions": " ".join((*claims.permissions, *claims.roles)),
        "token_tenant": claims.tenant,
        "token_user": claims.user,
        "client_id": claims.application,
        "token_application": claims.for_application,
    }
    if claims.expires is not None:
        facts["token_expires"] = claims.expires.strftime("%Y-%m-%d %H:%M UTC")
        facts["token_expired"] = claims.expires < now
    if microsoft and claims.audience:
        facts["audience_wrong"] = not claims.for_outlook
        facts["scope_missing"] = claims.for_outlook and not claims.may_send
    if claims.user and "@" in claims.user and not claims.for_application:
        facts["user_differs"] = claims.user.casefold() != username.strip().casefold()
    return facts


def _is_outlook(audience: str) -> bool:
    host = audience.casefold().removeprefix("https://").rstrip("/")
    return host == _OUTLOOK_ID or host.startswith(_OUTLOOK_HOSTS)


def _last(permission: str) -> str:
    """Return a permission without the resource that may precede it."""
    return permission.rpartition("/")[2].casefold()


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list):
        return ()
    words = (_said(word) for word in value[:MAX_LISTED] if isinstance(word, str))
    return tuple(word for word in words if word)


def _first(members: Mapping[str, object], *names: str) -> str:
    for name in names:
        value = members.get(name)
        if isinstance(value, str) and value:
            return _said(value)
    return ""


def _said(text: str) -> str:
    return cut(cleaned(text).strip(), MAX_CLAIM)


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
