"""TLS for a check: one context per trust setting, and certificates put into words."""

from __future__ import annotations

import functools
import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from ..core.failure import Symptom
from ..core.redaction import cut
from ..core.types import ServerText, TlsFacts

# OpenSSL's X509_V_ERR_..., from openssl/x509_vfy.h
_VERIFY_CODES = {
    9: Symptom.CERTIFICATE_NOT_YET_VALID,
    10: Symptom.CERTIFICATE_EXPIRED,
    18: Symptom.CERTIFICATE_SELF_SIGNED,
    19: Symptom.CERTIFICATE_UNTRUSTED,
    2: Symptom.CERTIFICATE_UNTRUSTED,
    20: Symptom.CERTIFICATE_UNTRUSTED,
    21: Symptom.CERTIFICATE_UNTRUSTED,
    62: Symptom.CERTIFICATE_NAME,
    64: Symptom.CERTIFICATE_NAME,
    66: Symptom.CERTIFICATE_WEAK,
    67: Symptom.CERTIFICATE_WEAK,
    68: Symptom.CERTIFICATE_WEAK,
}

# Words of OpenSSL's reasons; they outlive its numbers. First match wins.
_REASONS = (
    (r"CERTIFICATE_REQUIRED|PEER_DID_NOT_RETURN_A_CERTIFICATE", Symptom.CLIENT_CERTIFICATE),
    (r"UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW", Symptom.TLS_VERSION),
    (r"DH_KEY_TOO_SMALL|BAD_DH_VALUE|WRONG_SIGNATURE_TYPE|LEGACY_SIGALG|"
     r"NO_CIPHERS_AVAILABLE|WRONG_CIPHER|UNSAFE_LEGACY_RENEGOTIATION", Symptom.TLS_WEAK),
    (r"EE_KEY_TOO_SMALL|CA_KEY_TOO_SMALL|CA_MD_TOO_WEAK", Symptom.CERTIFICATE_WEAK),
    (r"ALERT", Symptom.TLS_ALERT),
    (r"WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG|RECORD_LAYER", Symptom.NOT_TLS),
)  # fmt: skip

_ENCODING_DER = 2  # of _ssl, whose certificates give themselves out in it

_lock = threading.Lock()


def context_for(ca_file: Path | None) -> ssl.SSLContext:
    """The context that verifies against the system's CAs and ``ca_file``; made once.

    Making one costs some 50 ms of CPU, because it parses the CA store. A changed file makes
    a new one. Raises OSError (ssl.SSLError is one) when the file cannot be read.
    """
    stamp = 0 if ca_file is None else ca_file.stat().st_mtime_ns
    with _lock:  # lru_cache alone lets two threads make the same context
        return _context(ca_file, stamp)


@functools.lru_cache(16)
def _context(ca_file: Path | None, stamp: int) -> ssl.SSLContext:  # noqa: ARG001 - is a key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_default_certs()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


@functools.lru_cache(1)
def looking_context() -> ssl.SSLContext:
    """A context that verifies nothing, for a second look at a server that was refused.

    Nothing but a handshake goes through it: no command, no credentials, no mail.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def symptom_of(error: ssl.SSLError) -> Symptom:
    """What an error of OpenSSL means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY_CODES.get(error.verify_code, Symptom.CERTIFICATE_REFUSED)
    reason = f"{error.reason or ''} {error}".upper().replace(" ", "_")
    for pattern, symptom in _REASONS:
        if re.search(pattern, reason):
            return symptom
    return Symptom.TLS_FAILED


def words_of(error: ssl.SSLError) -> str:
    """OpenSSL's own words, without its file names and line numbers; not cleaned yet."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or "TLS failed").replace("_", " ").lower()


def facts_of(session: ssl.SSLObject, said: Callable[[str], ServerText]) -> TlsFacts:
    """The session and the certificate that the server showed; its names pass ``said``.

    Who runs the server chooses what stands in its certificate, as in any of its replies.
    """
    cipher = session.cipher()
    der = session.getpeercert(binary_form=True)
    shown = _certificate(der) if der else _NO_CERTIFICATE
    subject, names, issuer, not_after = shown
    days = None if not_after is None else (not_after - datetime.now(UTC)).days
    return TlsFacts(
        version=session.version() or "",
        cipher=cipher[0] if cipher else "",
        subject=said(subject),
        names=tuple(said(name) for name in names),
        issuer=said(issuer),
        not_after="" if not_after is None else not_after.isoformat(),
        days_left=days,
    )


_Shown = tuple[str, tuple[str, ...], str, datetime | None]
_NO_CERTIFICATE: _Shown = ("", (), "", None)


@functools.lru_cache(256)
def _certificate(der: bytes) -> _Shown:
    """Subject, names, issuer and end of a certificate, as it has them: not cleaned yet."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject, issuer = _name(certificate.subject), _name(certificate.issuer)
        not_after = certificate.not_valid_after_utc
    except ValueError:
        return ("not readable", (), "not readable", None)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [
            *found.get_values_for_type(x509.DNSName),
            *map(str, found.get_values_for_type(x509.IPAddress)),
        ]
    except (x509.ExtensionNotFound, ValueError):
        names = []
    return subject, tuple(cut(name, 255) for name in names[:100]), issuer, not_after


def _name(name: x509.Name) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(oid):
            return cut(str(attribute.value), 200)
    return cut(name.rfc4514_string(), 200)


def lacks_intermediate(session: ssl.SSLObject) -> bool:
    """Whether the server sent its own certificate alone although a CA's file says who signed it.

    Public CAs put the address of the missing certificate into each one (RFC 5280 4.2.2.1);
    private ones rarely do.
    """
    der = session.getpeercert(binary_form=True)
    if der is None or _chain_length(session) != 1:
        return False
    try:
        certificate = x509.load_der_x509_certificate(der)
        found = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return certificate.issuer != certificate.subject and any(
        access.access_method == AuthorityInformationAccessOID.CA_ISSUERS for access in found.value
    )


@dataclass(frozen=True, slots=True)
class ExpiredLink:
    """A certificate of the chain, not the server's own, that has expired."""

    subject: str
    not_after: str  # ISO 8601, UTC


def expired_link(session: ssl.SSLObject) -> ExpiredLink | None:
    """The first certificate behind the server's own that is no longer valid."""
    now = datetime.now(UTC)
    for der in _chain(session)[1:]:
        subject, _, _, not_after = _certificate(der)
        if not_after is not None and not_after < now:
            return ExpiredLink(subject, not_after.isoformat())
    return None


def _chain_length(session: ssl.SSLObject) -> int | None:
    return len(_chain(session)) or None


def _chain(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates that the server sent, its own first; () where Python cannot tell."""
    # Public since Python 3.13; the same method waits one level down before that
    for holder in (session, getattr(session, "_sslobj", None)):
        method = getattr(holder, "get_unverified_chain", None)
        if method is not None:
            return tuple(map(_der, method() or ()))
    return ()


def _der(certificate: Any) -> bytes:
    if isinstance(certificate, bytes):
        return certificate
    encoded: bytes = certificate.public_bytes(_ENCODING_DER)
    return encoded
