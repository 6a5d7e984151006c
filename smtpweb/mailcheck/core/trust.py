"""Whom a check trusts: the system's CAs, a CA of one's own, or exactly one key; and who we are.

Everything is PEM text as pasted or uploaded, parsed and judged here, before it is stored. There is
no way to skip verification.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID

from .options import OptionError
from .redaction import cleaned, cut

MAX_PEM = 64 * 1024  # octets
MAX_CERTIFICATES = 32
MAX_KEY = 3_800  # characters in PEM: RSA of 4096 bits takes some 3,300

MIN_RSA = 2048  # bits; OpenSSL refuses less at its usual security level

_BOUNDARY = re.compile(r"-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----")
_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)  # of client certificates in TLS 1.3
_ENCRYPTED = re.compile(r"BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: *4, *ENCRYPTED")
_DER = 0x30  # a SEQUENCE, with which certificates and keys begin
_PIN = re.compile(r"(?:pin-)?sha-?256[/:=]{0,2}", re.IGNORECASE)


class TrustKind(enum.StrEnum):
    """Which certificates of a server are accepted."""

    SYSTEM = "system"  # of a CA of the system or of SMTPWEB_CA_FILE
    CA = "ca"  # of the CA entered for this server, and of no other
    PIN = "pin"  # with exactly this public key, whoever issued them and for whatever name


@dataclass(frozen=True, slots=True)
class Trust:
    """Which certificates of a server are accepted.

    ``ca`` is PEM, as returned by :func:`parse_ca`; ``pin`` the base64 of the SHA-256 of the
    SubjectPublicKeyInfo (RFC 7469 2.4), as returned by :func:`parse_pin`.
    """

    kind: TrustKind = TrustKind.SYSTEM
    ca: str = field(default="", repr=False)  # long, not secret
    pin: str = ""


SYSTEM_TRUST = Trust()


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """Our certificate with its chain and its private key, in PEM; see :func:`parse_identity`."""

    certificate: str = field(repr=False)
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Named:
    """A certificate, as it is named to people. ``not_after``: ISO 8601, UTC."""

    subject: str
    not_after: str


def parse_ca(data: str | bytes, now: datetime | None = None) -> str:
    """Return CA certificates as PEM without anything else. Raises :class:`OptionError`.

    The certificate of a server itself is accepted too: it then vouches for itself.
    """
    text = _text(data)
    kinds = set(_BEGIN.findall(text))
    if any(kind.endswith("PRIVATE KEY") for kind in kinds):
        raise OptionError(
            "It contains a private key. Enter only the certificate of the CA; its key belongs"
            " nowhere else than with the CA."
        )
    certificates = _certificates(text)
    for certificate in certificates:
        _require_current(certificate, now)
    return _pem(certificates)


def parse_pin(text: str) -> str:
    """Return the SHA-256 of a public key in base64. Raises :class:`OptionError`.

    Accepted are base64 and hexadecimal, the latter with or without colons.
    """
    bare = _PIN.sub("", text.strip(), count=1).strip(" \"'")
    digits = re.sub(r"[\s:]", "", bare)
    if re.fullmatch(r"[0-9A-Fa-f]{64}", digits):
        return base64.b64encode(bytes.fromhex(digits)).decode()
    try:
        digest = base64.b64decode(bare, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise OptionError(
            "It is not the SHA-256 of a public key: enter 64 hexadecimal digits, or 44 characters"
            " of base64."
        )
    return base64.b64encode(digest).decode()


def parse_identity(
    certificate: str | bytes, key: str | bytes, now: datetime | None = None
) -> ClientIdentity:
    """Return a client certificate with its key, unencrypted PKCS #8. Raises :class:`OptionError`.

    The first certificate must be ours; those of its issuers may follow.
    """
    chain, private = parse_client_certificate(certificate, now), parse_client_key(key)
    require_fit(chain, private)
    return ClientIdentity(chain, private)


def parse_client_certificate(data: str | bytes, now: datetime | None = None) -> str:
    """Return our certificate and its chain as PEM. Raises :class:`OptionError`."""
    text = _text(data)
    if any(kind.endswith("PRIVATE KEY") for kind in _BEGIN.findall(text)):
        raise OptionError(
            "The client certificate contains a private key. Enter the key in its own field."
        )
    chain = _certificates(text)
    _require_current(chain[0], now)
    _require_usable_signature(chain[0])
    return _pem(chain)


def parse_client_key(data: str | bytes) -> str:
    """Return a private key as unencrypted PKCS #8 in PEM. Raises :class:`OptionError`."""
    key = _key(_text(data))
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def require_fit(certificate: str, key: str) -> None:
    """Raise :class:`OptionError` unless the key, as parsed, is that of the certificate."""
    own = _certificates(certificate)[0]
    if _spki(own.public_key()) != _spki(_key(key).public_key()):
        raise OptionError(
            "The private key does not belong to the client certificate %(subject)s.",
            subject=_name(own),
        )


def expires(certificates: str) -> datetime:
    """Return when the first of these certificates, as parsed, expires: of a chain, our own."""
    return _certificates(certificates)[0].not_valid_after_utc


def expired(trust: Trust, now: datetime | None = None) -> Named | None:
    """Return the first CA of ``trust`` that has expired since it was entered, or None."""
    now = now or datetime.now(UTC)
    if trust.kind is not TrustKind.CA:
        return None
    for certificate in _certificates(trust.ca):
        if certificate.not_valid_after_utc < now:
            return Named(_name(certificate), certificate.not_valid_after_utc.isoformat())
    return None


def pin_of(der: bytes) -> str:
    """Return the pin of a certificate, or "" if it cannot be read."""
    try:
        spki = _spki(x509.load_der_x509_certificate(der).public_key())
    except (ValueError, UnsupportedAlgorithm):
        return ""
    return base64.b64encode(hashlib.sha256(spki).digest()).decode()


def _text(data: str | bytes) -> str:
    if len(data) > MAX_PEM:
        raise OptionError("It is longer than %(most)s bytes.", most=MAX_PEM)
    if isinstance(data, str):
        return data
    if data[:1] == bytes([_DER]):
        try:
            return _pem([x509.load_der_x509_certificate(data)])
        except ValueError:
            raise _not_a_certificate() from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _not_a_certificate() from None


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield label and text of each PEM block, in one pass; of nested ones the inner (RFC 7468)."""
    kind, start = "", 0
    for boundary in _BOUNDARY.finditer(text):
        if boundary[1] == "BEGIN":
            kind, start = boundary[2], boundary.start()
        elif boundary[2] == kind:
            yield kind, text[start : boundary.end()]
            kind = ""


def _certificates(text: str) -> list[x509.Certificate]:
    kinds = _BEGIN.findall(text)
    if any("REQUEST" in kind for kind in kinds):
        raise OptionError("It is a request for a certificate. Enter the certificate itself.")
    blocks = [block for kind, block in _blocks(text) if kind == "CERTIFICATE"]
    if not blocks or len(blocks) != kinds.count("CERTIFICATE"):
        raise _not_a_certificate()
    if len(blocks) > MAX_CERTIFICATES:
        raise OptionError("It contains more than %(most)s certificates.", most=MAX_CERTIFICATES)
    return list(map(_certificate, blocks))


def _certificate(block: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(block.encode())
        certificate.public_key()
        _name(certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _not_a_certificate() from None
    return certificate


def _not_a_certificate() -> OptionError:
    return OptionError(
        "It is not a certificate in PEM form, which begins with -----BEGIN CERTIFICATE-----."
    )


def _key(text: str) -> PrivateKeyTypes:
    """Return the first private key; raise :class:`OptionError` if TLS could not sign with it."""
    kind, block = next(((k, b) for k, b in _blocks(text) if k.endswith("PRIVATE KEY")), ("", ""))
    if not block:
        raise _not_a_key()
    if _ENCRYPTED.search(block):
        raise _encrypted_key()
    if len(block) > MAX_KEY:  # it would be checked for minutes, and nothing else would run
        raise OptionError("The private key is too long: use one of at most 4096 bits.")
    try:
        if kind == "OPENSSH PRIVATE KEY":
            key: PrivateKeyTypes = serialization.load_ssh_private_key(block.encode(), None)
        else:
            key = serialization.load_pem_private_key(block.encode(), None)
    except TypeError:  # a passphrase is needed
        raise _encrypted_key() from None
    except (ValueError, UnsupportedAlgorithm):
        raise _not_a_key() from None
    _require_usable_key(key)
    return key


def _require_usable_key(key: PrivateKeyTypes) -> None:
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < MIN_RSA:
            raise OptionError(
                "The private key is too short for TLS: RSA with %(bits)s bits. Use one of at least"
                " %(least)s bits.",
                bits=key.key_size,
                least=MIN_RSA,
            )
    elif not (
        isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
        or (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, _CURVES))
    ):
        raise OptionError(
            "TLS cannot sign with a private key of this kind. Use RSA, Ed25519, or ECDSA with"
            " P-256, P-384 or P-521."
        )


def _require_usable_signature(certificate: x509.Certificate) -> None:
    try:
        algorithm = certificate.signature_hash_algorithm  # None: that of EdDSA
    except UnsupportedAlgorithm:
        algorithm = hashes.MD5()  # noqa: S303 - too weak all the same
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        raise OptionError(
            "The certificate %(subject)s is signed with a hash that TLS refuses (MD5 or SHA-1).",
            subject=_name(certificate),
        )


def _encrypted_key() -> OptionError:
    return OptionError(
        "The private key is encrypted with a passphrase. Enter it without one; it is stored"
        " encrypted here."
    )


def _not_a_key() -> OptionError:
    return OptionError(
        "It is not a private key in PEM form, which begins with -----BEGIN PRIVATE KEY-----."
    )


def _require_current(certificate: x509.Certificate, now: datetime | None) -> None:
    now = now or datetime.now(UTC)
    if certificate.not_valid_after_utc < now:
        raise OptionError(
            "The certificate %(subject)s expired on %(day)s.",
            subject=_name(certificate),
            day=certificate.not_valid_after_utc.date().isoformat(),
        )
    if certificate.not_valid_before_utc > now:
        raise OptionError(
            "The certificate %(subject)s is not valid before %(day)s.",
            subject=_name(certificate),
            day=certificate.not_valid_before_utc.date().isoformat(),
        )


def _name(certificate: x509.Certificate) -> str:
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in certificate.subject.get_attributes_for_oid(oid):
            return cut(cleaned(str(attribute.value)), 200)
    return (
        cut(cleaned(certificate.subject.rfc4514_string()), 200) or f"{certificate.serial_number:x}"
    )


def _spki(key: object) -> bytes:
    encode = getattr(key, "public_bytes")  # noqa: B009 - all types of keys have it
    spki: bytes = encode(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return spki


def _pem(certificates: list[x509.Certificate]) -> str:
    return "".join(_each_pem(certificates))


def _each_pem(certificates: list[x509.Certificate]) -> Iterator[str]:
    for certificate in certificates:
        yield certificate.public_bytes(serialization.Encoding.PEM).decode()
