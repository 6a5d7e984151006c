"""The one exception of a check: at which stage it ended, by what symptom, with what facts."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from .types import Stage

if TYPE_CHECKING:
    from .raw_reply import RawReply


class Symptom(enum.StrEnum):
    """What was seen; the catalogue of causes matches on it."""

    NONE = "none"  # nothing is wrong
    NONE_SO_FAR = "none so far"  # nor is it for a probe, which sends no email
    REFUSED = "refused"  # a reply of class 4 or 5, or one that does not fit

    SEAL_UNREADABLE = "seal unreadable"  # the stored password is opened by none of our keys
    NO_FROM = "no from"  # neither the server nor its app has a sender
    TOO_BUSY = "too busy"  # this machine gives no more threads

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
    UNREACHABLE = "unreachable"  # said by a router, or by nobody on the server's own network
    NOT_PERMITTED = "not permitted"
    NO_SOCKET = "no socket"
    CONNECT_FAILED = "connect failed"

    CA_FILE_UNREADABLE = "ca file unreadable"
    NOT_TLS = "not tls"  # plain text came where a TLS handshake was due
    TLS_EXPECTED = "tls expected"  # silence, and a second look found TLS
    CERTIFICATE_EXPIRED = "certificate expired"
    CERTIFICATE_NOT_YET_VALID = "certificate not yet valid"
    CERTIFICATE_NAME = "certificate name"
    CERTIFICATE_SELF_SIGNED = "certificate self-signed"
    CERTIFICATE_INCOMPLETE = "certificate chain incomplete"
    CERTIFICATE_UNTRUSTED = "certificate untrusted"
    CERTIFICATE_WEAK = "certificate weak"
    CERTIFICATE_REFUSED = "certificate refused"
    CLIENT_CERTIFICATE = "client certificate wanted"
    TLS_VERSION = "tls version"
    TLS_WEAK = "tls weak"
    TLS_ALERT = "tls alert"
    TLS_FAILED = "tls failed"
    INJECTED = "injected"  # plain text behind the reply to STARTTLS

    SILENT = "silent"
    CLOSED = "closed"
    MALFORMED = "malformed"
    TOO_LONG = "too long"
    OUT_OF_STEP = "out of step"  # a reply came before its command was sent
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


class Failure(Exception):
    """The check ends here. ``facts`` are plain values that the catalogue may match or name."""

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
        self.stage = stage  # None: the stage under way
        self.reply = reply
        self.facts = facts
