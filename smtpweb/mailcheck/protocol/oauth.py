"""SASL with an OAuth 2.0 access token: OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's, older).

Both send the token in one response. A server that refuses it answers with a challenge in JSON,
which must be answered before the refusal itself follows.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from dataclasses import dataclass

from ..core.failure import Failure, Symptom
from ..core.options import TOKEN_MECHANISMS
from ..core.raw_reply import decoded
from .sasl import Mechanism, require_sendable

# RFC 4954 4: octets of an encoded response, with its CRLF
MAX_RESPONSE = 12288
ORDER = TOKEN_MECHANISMS  # the standard first

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)  # RFC 6750 2.1
_MEMBERS = ("status", "schemes", "scope", "openid-configuration")  # RFC 7628 3.2.2
_MAX_MEMBER = 200  # characters


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server's error challenge, as received: not cleaned yet. Members may be missing."""

    status: str = ""
    schemes: str = ""
    scope: str = ""
    configuration: str = ""


class OAuth(Mechanism):
    """A mechanism that sends an access token. ``refusal`` is set by an error challenge."""

    first: bytes
    dummy = b""  # the response to an error challenge

    def __init__(self, response: bytes):
        self.first = response
        self.refusal: Refusal | None = None
        self._sent_again = False

    def respond(self, challenge: bytes) -> bytes:
        """Acknowledge an error challenge; send the response again to an empty challenge.

        Servers that ignore the initial response send the empty one; it is the same attempt.
        """
        if self.refusal is not None:
            raise Failure(Symptom.BAD_CHALLENGE)
        if not challenge.strip() and not self._sent_again:
            self._sent_again = True
            return self.first
        self.refusal = _refusal(challenge)
        return self.dummy

    def respond_first(self) -> bytes:
        """Return the response that did not fit into the AUTH line."""
        self._sent_again = True
        return self.first

    def check_success(self, text: str) -> None:  # noqa: ARG002 - nothing proves the server
        """Reject a success after an error challenge (RFC 7628 3.2.3: the server must fail)."""
        if self.refusal is not None:
            raise Failure(Symptom.BAD_CHALLENGE)


class OAuthBearer(OAuth):
    """RFC 7628 3.1: a GS2 header, then key and value pairs."""

    name = "OAUTHBEARER"
    dummy = b"\1"  # RFC 7628 3.2.3

    def __init__(self, username: str, token: str, host: str, port: int):
        authzid = username.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 4
        response = f"n,a={authzid},\1host={host}\1port={port}\1auth=Bearer {token}\1\1"
        super().__init__(response.encode())


class XOAuth2(OAuth):
    """The form of before the standard: https://developers.google.com/gmail/imap/xoauth2-protocol."""

    name = "XOAUTH2"

    def __init__(self, username: str, token: str):
        super().__init__(f"user={username}\1auth=Bearer {token}\1\1".encode())


def start(name: str, username: str, token: str, host: str, port: int) -> OAuth:
    """Start ``name``, one of :data:`ORDER`. Raises :class:`Failure` if the response is too long."""
    mechanism: OAuth
    if name == OAuthBearer.name:
        mechanism = OAuthBearer(username, token, host, port)
    else:
        mechanism = XOAuth2(username, token)
    if len(base64.b64encode(mechanism.first)) + 2 > MAX_RESPONSE:
        raise Failure(Symptom.CREDENTIALS_UNUSABLE, what="long", field="access token")
    return mechanism


def check_credentials(username: str, token: str) -> None:
    """Reject a user name or token that no mechanism can transmit, before anything is sent.

    Raises :class:`Failure`.
    """
    require_sendable("login", username)
    if "\1" in username:  # it separates the parts of the response
        raise Failure(Symptom.CREDENTIALS_UNUSABLE, what="separator", field="login")
    if not token:
        raise Failure(Symptom.CREDENTIALS_MISSING, field="access token")
    if not _TOKEN.fullmatch(token):
        raise Failure(Symptom.CREDENTIALS_UNUSABLE, what="characters", field="access token")


def _refusal(challenge: bytes) -> Refusal:
    """Parse an error challenge leniently: whatever it is, it is a refusal."""
    line = challenge.strip()
    with contextlib.suppress(binascii.Error):  # some servers send JSON as it is
        line = base64.b64decode(line, validate=True)
    try:
        members = json.loads(decoded(line))
    except (ValueError, RecursionError):
        return Refusal()
    if not isinstance(members, dict):
        return Refusal()
    return Refusal(*(_text(members.get(name)) for name in _MEMBERS))


def _text(value: object) -> str:
    if isinstance(value, list):
        value = " ".join(item for item in value if isinstance(item, str))
    if isinstance(value, int):  # Microsoft's and Google's status is a number in a string
        value = str(value)
    return value[:_MAX_MEMBER] if isinstance(value, str) else ""
