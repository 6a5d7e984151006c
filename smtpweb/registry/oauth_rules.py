"""Validation of the OAuth settings of an SMTP server: one function for each kind of value."""

from __future__ import annotations

import ipaddress
import json
import re
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from .. import validators
from ..errors import Sentence
from ..mailcheck.core.addresses import parse_host
from ..mailcheck.core.trust import MAX_KEY
from ..mailcheck.diagnosis.token import Grant
from ..providers import oauth

NONE = "none"  # sign in with user name and password
GRANTS = tuple(grant.value for grant in Grant if grant is not Grant.GIVEN)
MOST_SECRET = 8192  # octets
MOST_TOKEN = 16 * 1024  # octets of an access token; Microsoft's have two to three thousand
MOST_URL = 500

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)  # RFC 6750 2.1
_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
# RFC 6749 appendix A: visible ASCII and spaces
_VISIBLE = re.compile(r"[ -~]+", re.ASCII)
# RFC 6749 3.3: no quotation mark, no backslash
_SCOPE = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*", re.ASCII)
_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)


def grant(value: str) -> str:
    """Validate how access tokens are obtained; ``none``: not at all."""
    choices = (*GRANTS, NONE)
    if value.lower() not in choices:
        raise ValueError(Sentence("Must be one of %(list)s.", list=", ".join(choices)))
    return value.lower()


def provider(value: str) -> str:
    """Validate a known authorization server, or ``other``."""
    if value.lower() not in oauth.ids():
        raise ValueError(Sentence("Must be one of %(list)s.", list=", ".join(oauth.ids())))
    return value.lower()


def client_auth(value: str) -> str:
    """Validate how the client secret is sent."""
    choices = (oauth.POST, oauth.BASIC)
    if value.lower() not in choices:
        raise ValueError(Sentence("Must be one of %(list)s.", list=", ".join(choices)))
    return value.lower()


def endpoint(value: str) -> str:
    """Validate the URL of an authorization server (RFC 6749 3.1, 3.2: TLS, no fragment).

    Plain http is accepted for this machine only, where nobody can listen in.
    """
    url = value.strip()
    fault = ValueError(
        Sentence("Must be a URL such as https://login.example.com/token, without a user name.")
    )
    if len(url) > MOST_URL or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise fault
    try:
        parts = urlsplit(url)
        host = parse_host(parts.hostname or "").name
        port = parts.port  # raises ValueError, too
    except ValueError:
        raise fault from None
    if parts.username is not None or "#" in url or "?" in url or port == 0:
        raise fault
    if parts.scheme not in ("https", "http"):
        raise fault
    if parts.scheme == "http" and not _is_this_machine(host):
        raise ValueError(Sentence("Must start with https://, because secrets are sent there."))
    authority = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{authority}{f':{port}' if port else ''}{parts.path}"


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def client_id(value: str) -> str:
    """Validate the id of an application at its authorization server."""
    return _visible(value, MOST_URL)


def secret(value: str) -> str:
    """Validate a client secret or a refresh token; copied spaces around it are dropped."""
    return _visible(value, MOST_SECRET)


def _visible(value: str, most: int) -> str:
    text = value.strip()
    if not _VISIBLE.fullmatch(text) or len(text) > most:
        raise ValueError(Sentence("Must have 1 to %(most)s visible ASCII characters.", most=most))
    return text


def access_token(value: str) -> str:
    """Validate an access token (RFC 6750 2.1)."""
    token = value.strip()
    if not _TOKEN.fullmatch(token) or len(token) > MOST_TOKEN:
        raise ValueError(
            Sentence("Must be an access token of at most %(most)s characters.", most=MOST_TOKEN)
        )
    return token


def scope(value: str) -> str:
    """Validate scopes, separated by spaces."""
    text = " ".join(value.split())
    if not _SCOPE.fullmatch(text) or len(text) > 1000:
        raise ValueError(
            Sentence("Must be scopes in visible ASCII characters, separated by spaces.")
        )
    return text


def tenant(value: str) -> str:
    """Validate the organization at Microsoft: its id, or one of its domains."""
    text = value.strip()
    if not _TENANT.fullmatch(text) or ".." in text:
        raise ValueError(Sentence("Must be the ID of your organization, or one of its domains."))
    return text.lower()


def service_account(value: str) -> str:
    """Validate the key file of a Google service account; return it as compact JSON.

    The messages never contain a part of the key.
    """
    if len(value) > MOST_SECRET:
        raise ValueError(Sentence("Must have at most %(most)s characters.", most=MOST_SECRET))
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(
            Sentence("Must be the JSON file of a service account, complete.")
        ) from None
    names = ("client_email", "private_key")
    if not isinstance(content, dict) or not all(
        isinstance(content.get(name), str) and content[name] for name in names
    ):
        raise ValueError(
            Sentence(
                "Must be the JSON file of a service account, with client_email and private_key."
            )
        )
    try:
        validators.email(content["client_email"])
        if len(content["private_key"]) > MAX_KEY:
            raise ValueError
        key = load_pem_private_key(content["private_key"].encode(), None)
    except (ValueError, TypeError, UnicodeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(
            Sentence("Its private_key is not an unencrypted RSA key, or client_email is damaged.")
        )
    # Written anew: what signs with it looks for words anywhere in the text
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    kept = {"client_email": content["client_email"], "private_key": pem}
    if isinstance(key_id := content.get("private_key_id"), str):
        kept["private_key_id"] = key_id
    return json.dumps(kept, separators=(",", ":"))
