"""SASL for SMTP: the mechanisms, their order, and the responses of each.

RFC 4954 (AUTH), 4616 (PLAIN), 2195 (CRAM-MD5), 5802 and 7677 (SCRAM); LOGIN was never
published, but is the only one that many servers offer.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Iterator

import scramp

from ..core.failure import Failure, Symptom
from ..core.options import PASSWORD_MECHANISMS

MAX_CREDENTIAL = 1024  # octets, for user name and password each
MAX_TURNS = 4  # responses to one mechanism; SCRAM needs three
MAX_ITERATIONS = 200_000  # a hostile server may ask for millions of rounds of our CPU

# Over TLS nobody can eavesdrop, so the mechanisms that most accounts support come first; in plain
# text the password must not be seen, so those that do not send it come first.
ORDER_OVER_TLS = PASSWORD_MECHANISMS
ORDER_IN_CLEAR = ("SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN")


class Mechanism:
    """A mechanism for one authentication. ``first`` is the initial response, or None."""

    name = ""
    first: bytes | None = None

    def respond_first(self) -> bytes:
        """Return the initial response, requested by a challenge as it was not sent with AUTH."""
        return self.first or b""

    def respond(self, challenge: bytes) -> bytes:
        """Return the unencoded response to a challenge as received. Raises :class:`Failure`."""
        raise NotImplementedError

    def check_success(self, text: str) -> None:
        """Check the text of the 235 if the mechanism authenticates the server."""


class Plain(Mechanism):
    """RFC 4616: user name and password in one response."""

    name = "PLAIN"
    first: bytes

    def __init__(self, username: str, password: str):
        self.first = b"\0" + username.encode() + b"\0" + password.encode()
        self._asked = False

    def respond_first(self) -> bytes:
        """Return the same as :meth:`respond`: there is no second response."""
        return self.respond(b"")

    def respond(self, challenge: bytes) -> bytes:  # noqa: ARG002 - should be empty; some say "Go"
        """Return the response again for a server that ignored the initial one."""
        if self._asked:
            raise Failure(Symptom.BAD_CHALLENGE)
        self._asked = True
        return self.first


class Login(Mechanism):
    """The user name, then the password, whatever the prompts say."""

    name = "LOGIN"

    def __init__(self, username: str, password: str):
        self._answers = iter((username.encode(), password.encode()))

    def respond(self, challenge: bytes) -> bytes:  # noqa: ARG002 - no standard prompt
        """Return the next of the two."""
        answer = next(self._answers, None)
        if answer is None:
            raise Failure(Symptom.BAD_CHALLENGE)
        return answer


class CramMd5(Mechanism):
    """RFC 2195: a keyed digest of the challenge."""

    name = "CRAM-MD5"

    def __init__(self, username: str, password: str):
        self._username, self._password = username.encode(), password.encode()
        self._answered = False

    def respond(self, challenge: bytes) -> bytes:
        """Return the user name and the digest."""
        challenge = decode(challenge)
        if self._answered or not challenge:
            raise Failure(Symptom.BAD_CHALLENGE)
        self._answered = True
        digest = hmac.new(self._password, challenge, "md5").hexdigest()
        return self._username + b" " + digest.encode()


class ScramSha256(Mechanism):
    """RFC 5802 and 7677: both sides prove that they know the password.

    No channel binding: Python's ssl lacks tls-exporter, the only type for TLS 1.3 (RFC 9266).
    """

    name = "SCRAM-SHA-256"

    def __init__(self, username: str, password: str):
        try:
            self._client = scramp.ScramClient([self.name], username, password)
            self.first = self._client.get_client_first().encode()
        except (scramp.ScramException, ValueError):
            # SASLprep forbids some characters that the other mechanisms allow
            raise Failure(Symptom.CREDENTIALS_UNUSABLE, what="scram") from None
        self._turn = 0

    def respond(self, challenge: bytes) -> bytes:
        """Return the proof, then an empty response to the server's proof."""
        self._turn += 1
        try:
            text = decode(challenge).decode("ascii")
            if self._turn == 1:
                asked = re.search(r"(?:^|,)i=([0-9]+)", text)
                if asked and (len(asked[1]) > 6 or int(asked[1]) > MAX_ITERATIONS):
                    raise Failure(Symptom.BAD_CHALLENGE)
                self._client.set_server_first(text)
                return str(self._client.get_client_final()).encode()
            if self._turn == 2:
                if not text.startswith("e="):  # otherwise a regular SMTP refusal follows
                    self._client.set_server_final(text)
                return b""
        except (scramp.ScramException, ValueError, LookupError):
            raise Failure(Symptom.BAD_CHALLENGE) from None
        raise Failure(Symptom.BAD_CHALLENGE)

    def check_success(self, text: str) -> None:
        """Check the server's proof, which may come with the 235 (RFC 4954 4, "additional data")."""
        if self._turn >= 2:
            return
        for word in text.split():
            try:
                self._client.set_server_final(decode(word.encode()).decode("ascii"))
            except (scramp.ScramException, ValueError, LookupError):
                continue
            return
        raise Failure(Symptom.BAD_CHALLENGE)


_MECHANISMS: dict[str, type[Plain | Login | CramMd5 | ScramSha256]] = {
    mechanism.name: mechanism for mechanism in (Plain, Login, CramMd5, ScramSha256)
}


def in_order(offered: Iterable[str], *, over_tls: bool) -> Iterator[str]:
    """Yield the names of our mechanisms that the server offers, safest first."""
    known = set(offered)
    return (name for name in (ORDER_OVER_TLS if over_tls else ORDER_IN_CLEAR) if name in known)


def start(name: str, username: str, password: str) -> Mechanism:
    """Start ``name``. Raises :class:`Failure` for credentials that it cannot transmit."""
    return _MECHANISMS[name](username, password)


def check_credentials(username: str, password: str) -> None:
    """Reject credentials that no mechanism can transmit, before anything is sent.

    Raises :class:`Failure`.
    """
    require_sendable("login", username)
    require_sendable("password", password)


def require_sendable(field: str, value: str) -> None:
    """Reject a value that is empty, too long, or cannot be encoded. Raises :class:`Failure`."""
    if not value:
        raise Failure(Symptom.CREDENTIALS_MISSING, field=field)
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise Failure(Symptom.CREDENTIALS_UNUSABLE, what="unicode", field=field) from None
    if "\0" in value:
        raise Failure(Symptom.CREDENTIALS_UNUSABLE, what="nul", field=field)
    if size > MAX_CREDENTIAL:
        raise Failure(Symptom.CREDENTIALS_UNUSABLE, what="long", field=field)


def encode(data: bytes) -> bytes:
    """Encode as base64."""
    return base64.b64encode(data)


def decode(line: bytes) -> bytes:
    """Decode base64. Raises :class:`Failure` if it is invalid."""
    try:
        return base64.b64decode(line.strip(), validate=True)
    except binascii.Error:
        raise Failure(Symptom.BAD_CHALLENGE) from None
