"""Read the metadata of an authorization server (RFC 8414, OpenID Connect Discovery)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from ..errors import BadInput, Sentence
from ..providers import oauth
from ..registry import oauth_rules
from ..registry.grants import OauthChanges
from ..vetted_http import NoResponse
from . import client


@dataclass(frozen=True, slots=True)
class _Unusable(Exception):
    text: Sentence


def is_needed(given: OauthChanges) -> bool:
    """Check whether the issuer has to be asked for its endpoints: no token URL is given."""
    return bool(
        given.get("oauthissuer")
        and not given.get("oauthtokenurl")
        and not oauth.named(given.get("oauthprovider", ""))
    )


def completed(given: OauthChanges) -> OauthChanges:
    """Return the settings with the endpoints of their issuer, if :func:`is_needed`.

    Raises :class:`BadInput` for an issuer that does not say what is needed. Must not be called in
    a transaction: it waits for the network.
    """
    issuer = given.get("oauthissuer")
    if not issuer or not is_needed(given):
        return given
    try:
        content = _read(issuer)
        found: dict[str, Any] = {
            "oauthtokenurl": _endpoint(content, "token_endpoint"),
            "oauthauthurl": _endpoint(content, "authorization_endpoint"),
            "oauthdeviceurl": _endpoint(content, "device_authorization_endpoint"),
        }
    except _Unusable as error:
        raise BadInput({"oauthissuer": [error.text]}) from None
    methods = content.get("token_endpoint_auth_methods_supported")
    # Many servers do not decode what RFC 6749 2.3.1 encodes, so "basic" is for those that want it
    if isinstance(methods, list) and "client_secret_post" not in methods:
        found["oauthclientauth"] = oauth.BASIC
    typed = {name: value for name, value in given.items() if value or name not in found}
    return cast(OauthChanges, found | typed)


def _read(issuer: str) -> dict[str, Any]:
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    # RFC 8414 3.1 puts the suffix before the path, OpenID Connect after it
    for tried in (
        f"/.well-known/oauth-authorization-server{path}",
        f"{path}/.well-known/openid-configuration",
    ):
        url = urlunsplit((parts.scheme, parts.netloc, tried, "", ""))
        try:
            response = client.http("GET", url, headers={"Accept": "application/json"})
        except NoResponse as error:
            raise _Unusable(
                Sentence("Its metadata could not be read. %(reason)s", reason=str(error))
            ) from None
        if response.status == 200:
            return _checked(issuer, response.body)
    raise _Unusable(
        Sentence(
            "It has no metadata (HTTP %(status)s). Enter its token URL instead.",
            status=response.status,
        )
    )


def _checked(issuer: str, body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise _Unusable(Sentence("Its metadata is not JSON. Enter its token URL instead."))
    named = content.get("issuer")
    # RFC 8414 3.3: metadata of another issuer must not be used
    if not isinstance(named, str) or named.rstrip("/") != issuer.rstrip("/"):
        raise _Unusable(Sentence("Its metadata belongs to another issuer. Check the URL."))
    return content


def _endpoint(content: dict[str, Any], name: str) -> str | None:
    value = content.get(name)
    if value is None and name != "token_endpoint":
        return None
    try:
        if isinstance(value, str):
            return oauth_rules.endpoint(value)
    except ValueError:
        pass
    raise _Unusable(Sentence("Its metadata has no usable %(name)s.", name=name))
