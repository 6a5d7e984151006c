"""How checks connect, set by the API: mechanism, names, source address, trust, certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from smtpweb.config import Settings
from smtpweb.database.models import Smtp
from smtpweb.database.session import db
from smtpweb.registry import export_import
from tests.conftest import settings_for
from tests.support.fake_certificates import ca_pem, client_pair
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.people import Person, Reply

PLACE: dict[str, Any] = {"host": "mail.example.net", "port": 587, "starttls": "true"}
SIGN_IN = {"auth": "true", "username": "shop", "password": "s3cret"}
CERTIFICATE, KEY = client_pair()
OPTIONS = {
    "mechanism": "LOGIN", "ehloname": "app.example.com", "envelopefrom": "bounces@example.com",
    "sourceaddress": "127.0.0.1", "cacertificates": ca_pem(), "clientcertificate": CERTIFICATE,
}  # fmt: skip


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url, source_addresses=(ip_address("127.0.0.1"),))


def save(alice: Person, idapp: str, **given: Any) -> Reply:
    return alice.post("/private/smtps/save", idapp=idapp, **(PLACE | given))


def faults(reply: Reply) -> dict[str, str]:
    assert reply.status_code == 400, reply.text
    return {one["parameter"]: one["message"] for one in reply.json["errors"]}


def test_options_are_returned_only_if_they_are_set(alice: Person, idapp: str) -> None:
    plain = save(alice, idapp).json
    assert not set(OPTIONS) & set(plain)
    full = save(alice, idapp, **OPTIONS, clientkey=KEY).json
    assert {name: full[name] for name in OPTIONS} == OPTIONS
    assert "clientkey" not in full
    assert KEY not in json.dumps(alice.smtps(idapp))
    again = save(alice, idapp, idsmtp=full["_id"], **dict.fromkeys(OPTIONS, "automatic")).json
    assert set(again) == set(plain)


def test_absent_options_keep_their_values(alice: Person, idapp: str) -> None:
    full = save(alice, idapp, **OPTIONS, clientkey=KEY).json
    again = save(alice, idapp, idsmtp=full["_id"], priority=3).json
    assert {name: again[name] for name in OPTIONS} == OPTIONS


def test_key_of_the_client_certificate_is_sealed(app: Flask, alice: Person, idapp: str) -> None:
    save(alice, idapp, clientcertificate=CERTIFICATE, clientkey=KEY)
    with app.app_context():
        sealed = db.session.scalars(select(Smtp.clientkey_sealed)).one()
    assert sealed is not None
    assert sealed.startswith("v2.")
    assert "PRIVATE" not in sealed


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mechanism", "MAGIC", "Must be one of PLAIN, LOGIN"),
        ("mechanism", "XOAUTH2", "Must be one of PLAIN, LOGIN"),
        ("ehloname", "two words", "full host name"),
        ("ehloname", "localhost", "full host name"),
        ("envelopefrom", "no address", "email address"),
        ("sourceaddress", "127.0.0.2", "Must be one of 127.0.0.1."),
        ("sourceaddress", "somewhere", "IP address of this machine"),
        ("cacertificates", "no pem", "not a certificate in PEM form"),
        ("cacertificates", KEY, "contains a private key"),
        ("cacertificates", "x" * 70_000, "longer than"),
        ("certificatepin", "123", "SHA-256"),
        ("clientcertificate", CERTIFICATE + KEY, "contains a private key"),
        ("clientcertificate", CERTIFICATE, "Enter the private key"),
        ("clientkey", KEY, "Enter the certificate"),
    ],
)
def test_bad_option_is_refused_with_its_reason(
    alice: Person, idapp: str, name: str, value: str, words: str
) -> None:
    found = faults(save(alice, idapp, **SIGN_IN, **{name: value}))
    text = " ".join(found.values())
    assert words in text
    assert "BEGIN PRIVATE" not in text
    assert KEY.splitlines()[2] not in text


def test_client_key_that_is_encrypted_or_of_another_certificate_is_refused(
    alice: Person, idapp: str
) -> None:
    encrypted = KEY.replace("BEGIN", "BEGIN ENCRYPTED").replace("END", "END ENCRYPTED")
    encrypted = encrypted.replace("ENCRYPTED EC", "ENCRYPTED")
    pairs = [(encrypted, "encrypted with a passphrase"), (client_pair()[1], "does not belong to")]
    for key, words in pairs:
        found = faults(save(alice, idapp, clientcertificate=CERTIFICATE, clientkey=key))
        assert words in found["clientkey"]
    assert alice.smtps(idapp) == []


def test_ca_and_one_key_are_not_trusted_together(alice: Person, idapp: str) -> None:
    found = faults(save(alice, idapp, cacertificates=ca_pem(), certificatepin="0" * 64))
    assert set(found) == {"certificatepin"}


def test_source_address_needs_the_setting(database_url: str, alice: Person, idapp: str) -> None:
    alice.app.extensions["smtpweb"].settings = settings_for(database_url)
    assert (
        "SMTPWEB_SOURCE_ADDRESSES"
        in faults(save(alice, idapp, sourceaddress="127.0.0.1"))["sourceaddress"]
    )


@pytest.mark.parametrize("change", [{"cacertificates": ca_pem()}, {"certificatepin": "0" * 64}])
def test_password_is_asked_for_again_if_the_trust_changes(
    alice: Person, idapp: str, change: dict[str, str]
) -> None:
    smtp = save(alice, idapp, **SIGN_IN).json
    sign_in = SIGN_IN | {"password": ""}
    assert set(faults(save(alice, idapp, idsmtp=smtp["_id"], **sign_in, **change))) == {"password"}
    assert save(alice, idapp, idsmtp=smtp["_id"], **SIGN_IN, **change).status_code == 200


def test_client_key_is_asked_for_again_if_the_server_changes(alice: Person, idapp: str) -> None:
    given = {"clientcertificate": CERTIFICATE, "clientkey": KEY}
    smtp = save(alice, idapp, **given).json
    moved = {"idsmtp": smtp["_id"], "host": "mail.example.org"}
    assert set(faults(save(alice, idapp, **moved))) == {"clientkey"}
    assert save(alice, idapp, **moved, **given).status_code == 200


def test_certificate_is_renewed_with_its_key_only(alice: Person, idapp: str) -> None:
    smtp = save(alice, idapp, clientcertificate=CERTIFICATE, clientkey=KEY).json
    other, other_key = client_pair()
    found = faults(save(alice, idapp, idsmtp=smtp["_id"], clientcertificate=other))
    assert "does not belong to" in found["clientkey"]
    renewed = {"clientcertificate": other, "clientkey": other_key}
    assert save(alice, idapp, idsmtp=smtp["_id"], **renewed).status_code == 200


def test_options_survive_an_export_with_the_key_only_if_asked(
    app: Flask, alice: Person, idapp: str
) -> None:
    save(alice, idapp, **OPTIONS, clientkey=KEY)
    with app.app_context():
        plain = export_import.dump()
        assert "PRIVATE KEY" not in plain
        full = export_import.dump(with_passwords=True)
        export_import.load(full.replace('"shop"', '"copy"'))
    found = alice.get("/private/apps/findAll", page=0, size=10).json["content"]
    copied = next(one for one in found if one["_id"] != idapp)
    (again,) = alice.smtps(copied["_id"])
    kept = set(OPTIONS) - {"sourceaddress"}  # another machine has other addresses
    assert {name: again[name] for name in kept} == {name: OPTIONS[name] for name in kept}


# --- checks ------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_smtp(tls="starttls", login=("shop", "s3cret"), certificate="untrusted") as running:
        yield running


def check(alice: Person, smtp_id: str) -> Reply:
    return alice.post("/private/smtps/check", idsmtp=smtp_id)


def at(server: FakeServer) -> dict[str, Any]:
    return {"host": "localhost", "port": server.port}


def test_check_uses_what_is_set(alice: Person, idapp: str, server: FakeServer) -> None:
    options = OPTIONS | {"cacertificates": ca_pem(stranger=True)}
    smtp = save(alice, idapp, **at(server), **SIGN_IN, **options, clientkey=KEY).json
    reply = check(alice, smtp["_id"])
    assert reply.status_code == 200, reply.text
    heard = "\n".join(server.heard)
    for words in ("EHLO app.example.com", "AUTH LOGIN", "MAIL FROM:<bounces@example.com>"):
        assert words in heard


def test_own_ca_is_trusted_instead_of_those_of_the_system(
    alice: Person, idapp: str, server: FakeServer
) -> None:
    smtp = save(alice, idapp, **at(server), **SIGN_IN, cacertificates=ca_pem()).json
    assert check(alice, smtp["_id"]).json["code"] == "SMTP_TLS_CERTIFICATE_NOT_OWN_CA"
    assert not [line for line in server.heard if line.startswith("AUTH")]


def test_key_of_a_failed_check_can_be_trusted_and_its_change_is_a_cause(
    alice: Person, idapp: str, server: FakeServer
) -> None:
    smtp = save(alice, idapp, **at(server), **SIGN_IN).json
    pin = check(alice, smtp["_id"]).json["certificatePin"]
    given = SIGN_IN | {"idsmtp": smtp["_id"], "certificatepin": pin}
    save(alice, idapp, **at(server), **given)
    assert check(alice, smtp["_id"]).status_code == 200
    save(alice, idapp, **at(server), **(given | {"certificatepin": "0" * 64}))
    assert check(alice, smtp["_id"]).json["code"] == "SMTP_TLS_PIN_CHANGED"


def test_source_address_that_is_no_longer_offered_is_not_used(
    database_url: str, alice: Person, idapp: str, server: FakeServer
) -> None:
    smtp = save(alice, idapp, **at(server), sourceaddress="127.0.0.1").json
    alice.app.extensions["smtpweb"].settings = settings_for(database_url)
    problem = check(alice, smtp["_id"]).json
    assert (problem["code"], problem["applied"]) == ("SMTP_CONNECT_SOURCE_ADDRESS", False)
    assert server.heard == []


def test_key_that_would_take_minutes_to_read_is_refused(alice: Person, idapp: str) -> None:
    """The library checks the numbers of a key before it says how long they are."""
    key = f"-----BEGIN PRIVATE KEY-----\n{'A' * 4000}\n-----END PRIVATE KEY-----\n"
    found = faults(save(alice, idapp, clientcertificate=CERTIFICATE, clientkey=key))
    assert "too long" in found["clientkey"]
