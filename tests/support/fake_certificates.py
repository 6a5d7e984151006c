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
    """Return the CA file for all certificates here, for ``Target.ca_file``."""
    path = Path(tempfile.mkdtemp(prefix="fake-smtp-")) / "ca.pem"
    _authority().cert_pem.write_to_path(str(path))
    return path


def key_and_chain() -> bytes:
    """Return a good certificate and its key, in PEM."""
    issued = _authority().issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    return issued.private_key_and_cert_chain_pem.bytes()


def ca_pem(*, stranger: bool = False) -> str:
    """Return the certificate of the CA, or of the CA that nobody trusts, in PEM."""
    return (_stranger() if stranger else _authority()).cert_pem.bytes().decode()


def client_pair(*, stranger: bool = False) -> tuple[str, str]:
    """Return a client certificate of the CA, or of the stranger, and its key, in PEM."""
    authority = _stranger() if stranger else _authority()
    issued = authority.issue_cert("client.example.com", key_type=trustme.KeyType.ECDSA)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return chain.decode(), issued.private_key_pem.bytes().decode()


def certificate_valid(
    start: datetime.timedelta, end: datetime.timedelta, name: str = "Old Example CA"
) -> str:
    """Return a self-signed CA certificate, valid from ``start`` to ``end`` counted from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@functools.lru_cache(32)
def server_context(
    certificate: str, client_certificate: bool = False, version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Return a context with a certificate of the named kind."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = ("localhost", "127.0.0.1", "::1")
    kind = trustme.KeyType.ECDSA
    now = datetime.datetime.now(datetime.UTC)
    issued: trustme.LeafCert | None = None
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
        case "expired-intermediate":
            _expired_intermediate(context, names)
        case "of an expired CA":
            _of_expired_authority(context, names)
        case "self-signed":
            _self_signed(context)
        case _ if certificate.startswith("says "):
            _saying(context, certificate.removeprefix("says "), trusted=True)
        case _ if certificate.startswith("untrusted, says "):
            _saying(context, certificate.removeprefix("untrusted, says "), trusted=False)
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
    """Load a certificate of an intermediate CA, as public CAs do, and do not send the CA's."""
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
    """Load a certificate for localhost with ``text`` in every field that can hold text.

    The issuer's name can be chosen only if the certificate need not be trusted.
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
    """Load a good certificate of an expired intermediate CA, and send the CA's along with it."""
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


@functools.lru_cache(1)
def _expired_authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Expired Example CA")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=900))
        .not_valid_after(now - datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def expired_ca_pem() -> str:
    """Return the CA that signed the certificate "of an expired CA", in PEM."""
    return _expired_authority()[1].public_bytes(serialization.Encoding.PEM).decode()


def _of_expired_authority(context: ssl.SSLContext, names: tuple[str, ...]) -> None:
    signer, authority = _expired_authority()
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(names[0])]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    path = Path(tempfile.mkdtemp(prefix="fake-smtp-")) / "leaf.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    context.load_cert_chain(path)


def _self_signed(context: ssl.SSLContext) -> None:
    # A CA certificate is self-signed
    authority = _stranger()
    path = Path(tempfile.mkdtemp(prefix="fake-smtp-")) / "self.pem"
    authority.private_key_pem.write_to_path(str(path))
    authority.cert_pem.write_to_path(str(path), append=True)
    context.load_cert_chain(path)
