"""The exception that ends a check, with its stage, symptom and facts."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from .types import Stage

if TYPE_CHECKING:
    from .raw_reply import RawReply


class Symptom(enum.StrEnum):
    """What was observed; the catalogue of causes matches on it."""

    NONE = "none"  # nothing is wrong
    NONE_SO_FAR = "none so far"  # likewise for a probe, which sends no email
    REFUSED = "refused"  # a 4xx or 5xx reply, or an unexpected one

    SEAL_UNREADABLE = "seal unreadable"  # none of our keys opens the stored password
    NO_FROM = "no from"  # neither the server nor its app has a From address
    TOO_BUSY = "too busy"  # this machine cannot start more threads

    TOKEN_REFUSED = "token refused"  # noqa: S105 - no access token was obtained; see token.py

    PORT_DENIED = "port denied"
    OWN_SERVICE = "own service"
    RANGE_DENIED = "range denied"
    RESERVED_DENIED = "reserved denied"

    HOST_INVALID = "host invalid"
    NAME_UNKNOWN = "name unknown"
    NO_ADDRESS = "no address"
    RESOLVER_FAILED = "resolver failed"
    RESOLVER_SLOW = "resolver slow"

    CONNECTION_REFUSED = "connection refused"
    CONNECT_TIMEOUT = "connect timeout"
    NO_ROUTE = "no route"
    UNREACHABLE = "unreachable"  # says a router, or no answer on the server's own network
    NOT_PERMITTED = "not permitted"
    NO_SOCKET = "no socket"
    CONNECT_FAILED = "connect failed"

    SOURCE_ADDRESS = "source address"  # none of ours, or of the other family

    CA_FILE_UNREADABLE = "ca file unreadable"
    TRUST_INVALID = "trust invalid"  # the CA or client certificate entered for this server
    NOT_TLS = "not tls"  # plain text instead of a TLS handshake
    TLS_EXPECTED = "tls expected"  # silence, and a second connection found TLS
    CERTIFICATE_EXPIRED = "certificate expired"
    CERTIFICATE_NOT_YET_VALID = "certificate not yet valid"
    CERTIFICATE_NAME = "certificate name"
    CERTIFICATE_SELF_SIGNED = "certificate self-signed"
    CERTIFICATE_INCOMPLETE = "certificate chain incomplete"
    CERTIFICATE_UNTRUSTED = "certificate untrusted"
    CERTIFICATE_WEAK = "certificate weak"
    CERTIFICATE_REFUSED = "certificate refused"
    CERTIFICATE_PIN = "certificate pin"  # another key than the one that is trusted
    CLIENT_CERTIFICATE = "client certificate wanted"
    TLS_VERSION = "tls version"
    TLS_WEAK = "tls weak"
    TLS_ALERT = "tls alert"
    TLS_FAILED = "tls failed"
    INJECTED = "injected"  # plain text after the reply to STARTTLS

    SILENT = "silent"
    CLOSED = "closed"
    MALFORMED = "malformed"
    TOO_LONG = "too long"
    OUT_OF_STEP = "out of step"  # a reply arrived before its command was sent
    WRONG_PROTOCOL = "wrong protocol"

    NOT_OFFERED = "not offered"
    NO_COMMON_MECHANISM = "no common mechanism"
    CREDENTIALS_MISSING = "credentials missing"
    CREDENTIALS_UNUSABLE = "credentials unusable"
    BAD_CHALLENGE = "bad challenge"
    EHLO_NAME_INVALID = "ehlo name invalid"
    ADDRESS_INVALID = "address invalid"
    FROM_NAME_UNSAFE = "from name unsafe"
    SMTPUTF8_MISSING = "smtputf8 missing"

    OUR_BUG = "our bug"


class Stopped(BaseException):
    """A check that its caller stopped; no code of a check catches it."""


class Failure(Exception):
    """The end of a check. ``facts`` are plain values that the catalogue may match on or name."""

    def __init__(
        self,
        symptom: Symptom,
        *,
        stage: Stage | None = None,
        reply: RawReply | None = None,
        **facts: Any,
    ):
        super().__init__(symptom.value)
        self.symptom = symptom
        self.stage = stage  # None: the current stage
        self.reply = reply
        self.facts = facts
