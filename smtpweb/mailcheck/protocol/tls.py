"""TLS for a check: one context per trust setting, and certificate descriptions."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from ..core.failure import Symptom
from ..core.once import once
from ..core.options import OptionError
from ..core.redaction import cut
from ..core.trust import (
    SYSTEM_TRUST,
    ClientIdentity,
    Trust,
    TrustKind,
    parse_identity,
    pin_of,
)
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

# Parts of OpenSSL's reason texts, which are more stable than its numbers. First match wins.
_REASONS = (
    (r"CERTIFICATE_REQUIRED|PEER_DID_NOT_RETURN_A_CERTIFICATE", Symptom.CLIENT_CERTIFICATE),
    (r"UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|VERSION_TOO_LOW", Symptom.TLS_VERSION),
    (r"DH_KEY_TOO_SMALL|BAD_DH_VALUE|WRONG_SIGNATURE_TYPE|LEGACY_SIGALG|"
     r"NO_CIPHERS_AVAILABLE|WRONG_CIPHER|UNSAFE_LEGACY_RENEGOTIATION", Symptom.TLS_WEAK),
    (r"EE_KEY_TOO_SMALL|CA_KEY_TOO_SMALL|CA_MD_TOO_WEAK", Symptom.CERTIFICATE_WEAK),
    (r"ALERT", Symptom.TLS_ALERT),
    (r"WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG|RECORD_LAYER", Symptom.NOT_TLS),
)  # fmt: skip

_ENCODING_DER = 2  # of _ssl, whose certificates can be exported as DER

_lock = threading.Lock()


class UnusableTrust(Exception):
    """The CA or the client certificate of one server cannot be used; the message says why."""


def context_for(
    ca_file: Path | None, trust: Trust = SYSTEM_TRUST, identity: ClientIdentity | None = None
) -> ssl.SSLContext:
    """Return a context for ``trust`` that presents ``identity`` to a server that asks for it.

    Raises OSError (ssl.SSLError is one) if ``ca_file`` cannot be read, and
    :class:`UnusableTrust` if the CA of ``trust`` or the identity cannot be used.
    """
    if trust.kind is TrustKind.SYSTEM and identity is None:
        return system_context(ca_file)
    context = _bare_context()
    if trust.kind is TrustKind.PIN:
        # The key is compared after the handshake, before anything is sent: see smtp.py
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif trust.kind is TrustKind.CA:
        # An intermediate CA, or the certificate of the server itself, may be the one entered
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cadata=trust.ca)
        except (ssl.SSLError, ValueError):
            raise UnusableTrust("the CA certificate cannot be read") from None
    else:
        _load_system(context, ca_file)
    if identity is not None:
        try:
            _load_identity(context, identity)
        except OptionError as error:
            raise UnusableTrust(str(error).rstrip(".")) from None
        except (OSError, ValueError):
            raise UnusableTrust("OpenSSL cannot read the client certificate") from None
    return context


def _load_identity(context: ssl.SSLContext, identity: ClientIdentity) -> None:
    """Load a certificate and its key, which OpenSSL takes from a file only: one in memory."""
    checked = parse_identity(identity.certificate, identity.key)  # it may have expired meanwhile
    context.post_handshake_auth = True  # a TLS 1.3 server may ask for it later
    with _only_in_memory((checked.certificate + checked.key).encode()) as path:
        context.load_cert_chain(path)


@contextlib.contextmanager
def _only_in_memory(data: bytes) -> Iterator[str]:
    """Yield a path to ``data`` that no other user can read, and that is gone afterwards."""
    if not hasattr(os, "memfd_create"):  # not Linux
        with tempfile.NamedTemporaryFile() as file:  # mode 0600
            file.write(data)
            file.flush()
            yield file.name
        return
    handle = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(handle, data)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def system_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return the cached context that verifies against the system's CAs and ``ca_file``.

    Creating one takes about 50 ms of CPU, because it parses the CA store. A changed file creates
    a new one. Raises OSError (ssl.SSLError is one) if the file cannot be read.
    """
    stamp = 0 if ca_file is None else ca_file.stat().st_mtime_ns
    with _lock:  # lru_cache alone lets two threads create the same context
        return _context(ca_file, stamp)


@functools.lru_cache(16)
def _context(ca_file: Path | None, stamp: int) -> ssl.SSLContext:  # noqa: ARG001 - cache key
    context = _bare_context()
    _load_system(context, ca_file)
    return context


def _bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _load_system(context: ssl.SSLContext, ca_file: Path | None) -> None:
    context.load_default_certs()
    if ca_file is not None:
        context.load_verify_locations(ca_file)


@once
def looking_context() -> ssl.SSLContext:
    """Return a context that verifies nothing, to inspect a server that was refused.

    Use it only for a handshake: no command, no credentials, no email.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def symptom_of(error: ssl.SSLError) -> Symptom:
    """Return the symptom for an OpenSSL error."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY_CODES.get(error.verify_code, Symptom.CERTIFICATE_REFUSED)
    reason = f"{error.reason or ''} {error}".upper().replace(" ", "_")
    for pattern, symptom in _REASONS:
        if re.search(pattern, reason):
            return symptom
    return Symptom.TLS_FAILED


def is_about_our_certificate(error: ssl.SSLError) -> bool:
    """Check whether the server refused our certificate, or the lack of one."""
    reason = f"{error.reason or ''} {error}".upper().replace(" ", "_")
    return bool(re.search(r"ALERT_.*(?:CERTIFICATE|UNKNOWN_CA)|CERTIFICATE_REQUIRED", reason))


def words_of(error: ssl.SSLError) -> str:
    """Return OpenSSL's error text without file names and line numbers; not cleaned yet."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (error.reason or "TLS failed").replace("_", " ").lower()


def facts_of(session: ssl.SSLObject, said: Callable[[str], ServerText]) -> TlsFacts:
    """Return the session and the server's certificate; its names are passed through ``said``.

    The server's operator controls the certificate's contents, as with any reply.
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
        pin=pin_of(der) if der else "",
    )


_Shown = tuple[str, tuple[str, ...], str, datetime | None]
_NO_CERTIFICATE: _Shown = ("", (), "", None)


@functools.lru_cache(256)
def _certificate(der: bytes) -> _Shown:
    """Return subject, names, issuer and expiry of a certificate; not cleaned yet."""
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
    """Check whether the server sent only its own certificate, although that has an issuer URL.

    Public CAs put the URL of the issuing certificate into each one (RFC 5280 4.2.2.1);
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
    """An expired certificate in the chain, other than the server's own."""

    subject: str
    not_after: str  # ISO 8601, UTC


def expired_link(session: ssl.SSLObject) -> ExpiredLink | None:
    """Return the first certificate after the server's own that has expired."""
    now = datetime.now(UTC)
    for der in _chain(session)[1:]:
        subject, _, _, not_after = _certificate(der)
        if not_after is not None and not_after < now:
            return ExpiredLink(subject, not_after.isoformat())
    return None


def _chain_length(session: ssl.SSLObject) -> int | None:
    return len(_chain(session)) or None


def _chain(session: ssl.SSLObject) -> tuple[bytes, ...]:
    """Return the certificates that the server sent, its own first; () if Python has no API."""
    # Public since Python 3.13; before that, the method is on the inner object
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
