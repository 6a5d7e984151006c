"""Certificates for the fake SMTP server: good ones, and each kind of bad one by name."""

from __future__ import annotations

import datetime
import functools
import ssl
import tempfile
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID


@functools.lru_cache(1)
def _authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@functools.lru_cache(1)
def _stranger() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@functools.lru_cache(1)
def ca_file() -> Path:
    """The CA of all certificates here, as a file for ``Target.ca_file``."""
    path = Path(tempfile.mkdtemp(prefix="fake-smtp-")) / "ca.pem"
    _authority().cert_pem.write_to_path(str(path))
    return path


def key_and_chain() -> bytes:
    """A good certificate with its key, in PEM."""
    issued = _authority().issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    return issued.private_key_and_cert_chain_pem.bytes()


@functools.lru_cache(32)
def server_context(
    certificate: str, client_certificate: bool = False, version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """A context with a certificate of the named kind."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = ("localhost", "127.0.0.1", "::1")
    kind = trustme.KeyType.ECDSA
    now = datetime.datetime.now(datetime.UTC)
    match certificate:
        case "good":
            issued = _authority().issue_cert(*names, key_type=kind)
        case "expired":
            issued = _authority().issue_cert(
                *names, key_type=kind,
                not_before=now - datetime.timedelta(days=90),
                not_after=now - datetime.timedelta(days=1),
            )  # fmt: skip
        case "expires-soon":
            issued = _authority().issue_cert(
                *names, key_type=kind, not_after=now + datetime.timedelta(days=5, hours=1)
            )
        case "not-yet-valid":
            issued = _authority().issue_cert(
                *names, key_type=kind, not_before=now + datetime.timedelta(days=2)
            )
        case "wrong-name":
            issued = _authority().issue_cert("mail.example.org", key_type=kind)
        case "untrusted":
            issued = _stranger().issue_cert(*names, key_type=kind)
        case "no-intermediate":
            _without_intermediate(context, names)
            issued = None
        case "expired-intermediate":
            _expired_intermediate(context, names)
            issued = None
        case "self-signed":
            _self_signed(context)
            issued = None
        case _ if certificate.startswith("says "):
            _saying(context, certificate.removeprefix("says "), trusted=True)
            issued = None
        case _ if certificate.startswith("untrusted, says "):
            _saying(context, certificate.removeprefix("untrusted, says "), trusted=False)
            issued = None
        case _:
            raise ValueError(certificate)
    if issued is not None:
        issued.configure_cert(context)
    if client_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        _authority().configure_trust(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def _without_intermediate(context: ssl.SSLContext, names: tuple[str, ...]) -> None:
    """A certificate of an intermediate CA that is not sent along, as public CAs make them."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Intermediate CA 7")])
    now = datetime.datetime.now(datetime.UTC)
    where = x509.UniformResourceIdentifier("http://ca.example.com/intermediate.der")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(names[0])]), critical=False)
        .add_extension(
            x509.AuthorityInformationAccess(
                [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)]
            ),
            critical=False,
        )
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    path = Path(tempfile.mkdtemp(prefix="fake-smtp-")) / "leaf.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context.load_cert_chain(path)


def _saying(context: ssl.SSLContext, text: str, *, trusted: bool) -> None:
    """A certificate for localhost with ``text`` wherever a certificate can hold some.

    The issuer's name can be chosen only where nobody is to trust it.
    """
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, text[:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, text[:64]),
        ]
    )
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost")]
    if text.isascii():
        names.append(x509.DNSName(text))
    signer: ec.EllipticCurvePrivateKey = key
    issuer = name
    if trusted:
        authority = _authority()
        loaded = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
        issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    path = Path(tempfile.mkdtemp(prefix="fake-smtp-")) / "leaf.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context.load_cert_chain(path)


def _expired_intermediate(context: ssl.SSLContext, names: tuple[str, ...]) -> None:
    """A good certificate of an intermediate CA that has expired, sent along with it."""
    now = datetime.datetime.now(datetime.UTC)
    root = serialization.load_pem_private_key(_authority().private_key_pem.bytes(), None)
    assert isinstance(root, ec.EllipticCurvePrivateKey)
    root_name = x509.load_pem_x509_certificate(_authority().cert_pem.bytes()).subject
    middle, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    middle_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Intermediate CA 3")])
    intermediate = (
        x509.CertificateBuilder()
        .subject_name(middle_name)
        .issuer_name(root_name)
        .public_key(middle.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=900))
        .not_valid_after(now - datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root, hashes.SHA256())
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .issuer_name(middle_name)
        .public_key(leaf.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(names[0])]), critical=False)
        .sign(middle, hashes.SHA256())
    )
    path = Path(tempfile.mkdtemp(prefix="fake-smtp-")) / "chain.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        leaf.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
        + intermediate.public_bytes(pem)
    )
    context.load_cert_chain(path)


def _self_signed(context: ssl.SSLContext) -> None:
    # A CA's own certificate signs itself
    authority = _stranger()
    path = Path(tempfile.mkdtemp(prefix="fake-smtp-")) / "self.pem"
    authority.private_key_pem.write_to_path(str(path))
    authority.cert_pem.write_to_path(str(path), append=True)
    context.load_cert_chain(path)
