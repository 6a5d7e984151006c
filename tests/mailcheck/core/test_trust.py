"""What may be pasted as a CA, a pin, or a client certificate with its key, and what may not."""

from __future__ import annotations

import base64
import datetime
import hashlib
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import (
    dsa,
    ec,
    ed448,
    ed25519,
    rsa,
    x448,
    x25519,
)
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from smtpweb.mailcheck.core import trust
from smtpweb.mailcheck.core.options import OptionError
from tests.support.fake_certificates import ca_pem, certificate_valid, client_pair

DAY = datetime.timedelta(days=1)
PEM = serialization.Encoding.PEM


def test_ca_is_kept_without_what_stands_around_it() -> None:
    text = f"\ufeffSubject: CN=x\r\n{ca_pem()}\n# and\n{ca_pem(stranger=True)}bye\n"
    parsed = trust.parse_ca(text.encode())
    assert parsed == ca_pem() + ca_pem(stranger=True)
    assert trust.parse_ca(parsed) == parsed


def test_ca_in_der_is_accepted() -> None:
    der = x509.load_pem_x509_certificate(ca_pem().encode()).public_bytes(serialization.Encoding.DER)
    assert trust.parse_ca(der) == ca_pem()


def keys() -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    plain = serialization.NoEncryption()
    sealed = serialization.BestAvailableEncryption(b"a passphrase")
    formats = serialization.PrivateFormat
    return {
        "pkcs8": key.private_bytes(PEM, formats.PKCS8, plain).decode(),
        "sec1": key.private_bytes(PEM, formats.TraditionalOpenSSL, plain).decode(),
        "openssh": key.private_bytes(PEM, formats.OpenSSH, plain).decode(),
        "rsa": rsa.generate_private_key(65537, 2048)
        .private_bytes(PEM, formats.TraditionalOpenSSL, plain)
        .decode(),
        "pkcs8, encrypted": key.private_bytes(PEM, formats.PKCS8, sealed).decode(),
        "sec1, encrypted": key.private_bytes(PEM, formats.TraditionalOpenSSL, sealed).decode(),
    }


KEYS = keys()


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("after", [False, True])
def test_private_key_pasted_as_ca_is_refused_and_not_repeated(kind: str, after: bool) -> None:
    text = ca_pem() + KEYS[kind] if after else KEYS[kind] + ca_pem()
    for data in (text, text.encode(), KEYS[kind]):
        with pytest.raises(OptionError, match="contains a private key") as raised:
            trust.parse_ca(data)
        body = KEYS[kind].splitlines()[1]
        assert body not in str(raised.value) + repr(raised.value)


@pytest.mark.parametrize(
    "data",
    [
        "", "hello", b"\xff\xfe\x00", b"0\x82\x01\x00" + b"x" * 300,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        ca_pem()[:-30], ca_pem().replace("-----BEGIN CERTIFICATE-----\n", ""),
        ca_pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ca_pem() + ca_pem()[:80],
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n",
    ],
)  # fmt: skip
def test_ca_that_is_no_certificate_is_refused(data: str | bytes) -> None:
    with pytest.raises(OptionError, match="not a certificate in PEM form"):
        trust.parse_ca(data)


def test_request_for_a_certificate_is_named() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    with pytest.raises(OptionError, match="request for a certificate"):
        trust.parse_ca(request.public_bytes(PEM))


@pytest.mark.parametrize("others", ["", ca_pem()])
def test_expired_ca_is_named_with_its_day(others: str) -> None:
    old = certificate_valid(-90 * DAY, -2 * DAY, "Old \u202eCA\n2019")
    day = (datetime.datetime.now(datetime.UTC) - 2 * DAY).date().isoformat()
    with pytest.raises(OptionError, match=f"Old .*CA 2019 expired on {day}") as raised:
        trust.parse_ca(others + old)
    assert "\u202e" not in str(raised.value)


def test_ca_of_the_future_is_named() -> None:
    with pytest.raises(OptionError, match="Old Example CA is not valid before"):
        trust.parse_ca(certificate_valid(2 * DAY, 90 * DAY))


def test_long_texts_and_many_certificates_are_refused() -> None:
    with pytest.raises(OptionError, match="longer than 65536"):
        trust.parse_ca("x" * (trust.MAX_PEM + 1))
    with pytest.raises(OptionError, match="more than 32"):
        trust.parse_ca(ca_pem() * (trust.MAX_CERTIFICATES + 1))


DIGEST = hashlib.sha256(b"a key").digest()


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(DIGEST).decode(), DIGEST.hex(), DIGEST.hex().upper(), DIGEST.hex(":"),
        f"  {DIGEST.hex(' ')} ", f"sha256/{base64.b64encode(DIGEST).decode()}",
        f"sha256//{base64.b64encode(DIGEST).decode()}", f"SHA256:{DIGEST.hex(':')}",
        f'pin-sha256="{base64.b64encode(DIGEST).decode()}"',
    ],
)  # fmt: skip
def test_pin_is_read_in_its_usual_forms(text: str) -> None:
    assert trust.parse_pin(text) == base64.b64encode(DIGEST).decode()


@pytest.mark.parametrize(
    "text",
    ["", "abc", DIGEST.hex()[:-2], DIGEST.hex() + "00", "AAAA", "é" * 44, DIGEST.hex()[:40]],
)  # fmt: skip
def test_pin_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="SHA-256"):
        trust.parse_pin(text)


def test_pin_is_that_of_openssl() -> None:
    certificate = x509.load_pem_x509_certificate(ca_pem().encode())
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    expected = base64.b64encode(hashlib.sha256(spki).digest()).decode()
    assert trust.pin_of(certificate.public_bytes(serialization.Encoding.DER)) == expected
    assert trust.pin_of(b"0\x03\x02\x01\x00") == ""


@pytest.mark.parametrize("form", ["pkcs8", "sec1"])
def test_client_certificate_with_its_key_is_accepted(form: str) -> None:
    certificate, key = client_pair()
    if form == "pkcs8":
        loaded = serialization.load_pem_private_key(key.encode(), None)
        key = loaded.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    identity = trust.parse_identity(certificate, key.encode())
    assert identity.certificate == certificate
    assert "BEGIN PRIVATE KEY" in identity.key
    assert "PRIVATE" not in repr(identity)


@pytest.mark.parametrize("kind", ["pkcs8, encrypted", "sec1, encrypted"])
def test_encrypted_key_is_refused(kind: str) -> None:
    with pytest.raises(OptionError, match="encrypted with a passphrase"):
        trust.parse_identity(client_pair()[0], KEYS[kind])


def test_encrypted_openssh_key_is_refused() -> None:
    """Its header says so; cryptography needs bcrypt to write one."""
    first, *lines, last = KEYS["openssh"].splitlines()
    raw = base64.b64decode("".join(lines))
    plain = _ssh(b"none") + _ssh(b"none") + _ssh(b"")
    sealed = _ssh(b"aes256-ctr") + _ssh(b"bcrypt") + _ssh(_ssh(bytes(16)) + bytes(4))
    assert plain in raw
    body = base64.encodebytes(raw.replace(plain, sealed)).decode()
    with pytest.raises(OptionError, match="encrypted with a passphrase"):
        trust.parse_identity(client_pair()[0], f"{first}\n{body}{last}\n")


def _ssh(value: bytes) -> bytes:
    return len(value).to_bytes(4) + value


@pytest.mark.parametrize("kind", ["pkcs8", "sec1", "openssh", "rsa"])
def test_key_of_another_certificate_is_refused(kind: str) -> None:
    with pytest.raises(OptionError, match="does not belong to the client certificate"):
        trust.parse_identity(client_pair()[0], KEYS[kind])


@pytest.mark.parametrize(
    "key", ["", "hello", ca_pem(), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_key_of_another_form_is_refused(key: str) -> None:
    with pytest.raises(OptionError, match="not a private key in PEM form"):
        trust.parse_identity(client_pair()[0], key)


def test_key_in_the_field_of_the_certificate_is_refused() -> None:
    certificate, key = client_pair()
    with pytest.raises(OptionError, match="its own field"):
        trust.parse_identity(certificate + key, key)


def test_expired_client_certificate_is_named() -> None:
    old = certificate_valid(-9 * DAY, -DAY, "client.example.com")
    with pytest.raises(OptionError, match=r"client\.example\.com expired on"):
        trust.parse_identity(old, KEYS["pkcs8"])


def test_sentences_keep_their_template_for_translators() -> None:
    with pytest.raises(OptionError) as raised:
        trust.parse_ca(certificate_valid(-9 * DAY, -DAY))
    assert raised.value.template % raised.value.values == str(raised.value)
    assert re.search(r"%\(subject\)s", raised.value.template)


def pem(key: PrivateKeyTypes) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain).decode()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (rsa.generate_private_key(65537, 1024), "RSA with 1024 bits"),
        (x25519.X25519PrivateKey.generate(), "of this kind"),
        (x448.X448PrivateKey.generate(), "of this kind"),
        (ec.generate_private_key(ec.SECP192R1()), "of this kind"),
        (ec.generate_private_key(ec.SECP224R1()), "of this kind"),
        (ec.generate_private_key(ec.SECP256K1()), "of this kind"),
        (dsa.generate_private_key(1024), "of this kind"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_key_that_tls_refuses_is_refused(key: PrivateKeyTypes, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        trust.parse_client_key(pem(key))


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        ed448.Ed448PrivateKey.generate(),
    ],
    ids=lambda key: type(key).__name__,
)
def test_accepted_key_is_loaded_by_openssl(key: PrivateKeyTypes, tmp_path: Path) -> None:
    digest = (
        None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else SHA256()
    )
    identity = trust.parse_identity(self_signed(key, digest), pem(key))
    path = tmp_path / "identity.pem"
    path.write_text(identity.certificate + identity.key)
    ssl.create_default_context().load_cert_chain(path)


def self_signed(key: Any, digest: Any) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY
    )
    return builder.sign(key, digest).public_bytes(PEM).decode()


def test_client_certificate_signed_with_a_weak_hash_is_refused() -> None:
    """cryptography signs no such certificate, so one is changed where that stands."""
    key = rsa.generate_private_key(65537, 2048)
    good = x509.load_pem_x509_certificate(self_signed(key, SHA256()).encode())
    sha256, sha1 = (bytes.fromhex(f"2a864886f70d0101{last}") for last in ("0b", "05"))
    der = good.public_bytes(serialization.Encoding.DER).replace(sha256, sha1)
    body = base64.encodebytes(der).decode()
    weak = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n"
    with pytest.raises(OptionError, match="MD5 or SHA-1"):
        trust.parse_client_certificate(weak)


@pytest.mark.parametrize("kind", ["pkcs8", "sec1", "openssh", "rsa"])
@pytest.mark.parametrize(
    "before",
    [
        "PUBLIC\n", "OPENSSH PRIVATE\n", "BEGIN OPENSSH PRIVATE KEY\n", "-----BEGIN PUBLIC\n",
        "-----BEGIN PUBLIC KEY-----\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "-----END PRIVATE KEY-----\n", "was: BEGIN ENCRYPTED PRIVATE KEY, Proc-Type: 4,ENCRYPTED\n",
        "Bag Attributes\n    localKeyID: 01\nKey Attributes: <No Attributes>\n",
    ],
)  # fmt: skip
def test_text_before_a_key_does_not_matter(kind: str, before: str) -> None:
    parsed = trust.parse_client_key(before + KEYS[kind])
    assert parsed == trust.parse_client_key(KEYS[kind])


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN A-----" * 3800, "-----BEGIN PRIVATE KEY-----\n" * 2300,
        "-----BEGIN CERTIFICATE-----\n-----END PRIVATE KEY-----\n" * 1200,
        "-----END PRIVATE KEY-----\n" * 2500, "-" * trust.MAX_PEM,
    ],
)  # fmt: skip
def test_text_is_searched_once_for_blocks(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each boundary is visited once, and nothing is searched from one of them to the end."""
    pattern, visits = trust._BOUNDARY, 0

    class Counted:
        def finditer(self, searched: str) -> Iterator[re.Match[str]]:
            nonlocal visits
            for match in pattern.finditer(searched):
                visits += 1
                yield match

    class Text(str):
        def find(self, *_: Any) -> int:
            raise AssertionError("searches the rest of the text")

        index = find

    monkeypatch.setattr(trust, "_BOUNDARY", Counted())
    assert list(trust._blocks(Text(text))) == []
    assert visits == len(pattern.findall(text))
    for parse in (trust.parse_ca, trust.parse_client_certificate, trust.parse_client_key):
        with pytest.raises(OptionError):
            parse(text)
