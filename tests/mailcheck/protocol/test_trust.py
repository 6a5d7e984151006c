"""The trust of one server: a CA of its own, exactly one key, a client certificate of ours."""

from __future__ import annotations

import datetime
import json
import ssl

import pytest

from smtpweb.mailcheck import Encryption, Report, Stage
from smtpweb.mailcheck.core.trust import (
    ClientIdentity,
    Trust,
    TrustKind,
    parse_identity,
)
from tests.support.drivers import Check
from tests.support.fake_certificates import (
    ca_pem,
    certificate_valid,
    client_pair,
    expired_ca_pem,
    server_context,
)
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.tls_servers import tls_server
from tests.support.trust import trust_ca, trust_pin

SECURED = ["starttls", "implicit"]
PASSWORD = "an old password"


def shown_pin(report: Report) -> str:
    assert report.tls is not None
    return report.tls.pin


def nothing_was_sent(server: FakeServer) -> bool:
    """Whether no command came inside TLS."""
    return {line.split()[0] for line in server.heard} <= {"EHLO", "STARTTLS"}


@pytest.mark.parametrize("tls", SECURED)
def test_own_ca_is_trusted_for_its_server(check: Check, tls: str) -> None:
    with fake_smtp(tls=tls) as server:
        report = check(server.target(ca_file=None, trust=trust_ca(ca_pem())))
    assert report.accepted, report.code


@pytest.mark.parametrize("tls", SECURED)
def test_own_ca_replaces_all_others(check: Check, tls: str) -> None:
    """Not even the CA of SMTPWEB_CA_FILE, which would do otherwise, is accepted."""
    with fake_smtp(tls=tls, login=("u", PASSWORD)) as server:
        report = check(server.target(trust=trust_ca(ca_pem(stranger=True))))
    assert report.code == "SMTP_TLS_CERTIFICATE_NOT_OWN_CA"
    assert nothing_was_sent(server)


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        ("wrong-name", "SMTP_TLS_CERTIFICATE_NAME"),
        ("expired", "SMTP_TLS_CERTIFICATE_EXPIRED"),
        ("untrusted", "SMTP_TLS_CERTIFICATE_NOT_OWN_CA"),
        ("self-signed", "SMTP_TLS_CERTIFICATE_NOT_OWN_CA"),
        ("no-intermediate", "SMTP_TLS_CERTIFICATE_NOT_OWN_CA"),
    ],
)
def test_own_ca_does_not_skip_any_verification(check: Check, certificate: str, code: str) -> None:
    with fake_smtp(tls="implicit", certificate=certificate) as server:
        report = check(server.target(ca_file=None, trust=trust_ca(ca_pem())))
    assert report.code == code
    assert nothing_was_sent(server)


def test_certificate_of_the_server_itself_may_be_entered_as_ca(check: Check) -> None:
    """Its name counts all the same: the one that signs itself here is of no host."""
    with fake_smtp(tls="implicit", certificate="self-signed") as server:
        report = check(server.target(ca_file=None, trust=trust_ca(ca_pem(stranger=True))))
    assert report.code == "SMTP_TLS_CERTIFICATE_NAME"


def test_own_ca_that_expired_since_it_was_entered_is_named(check: Check) -> None:
    trust = Trust(TrustKind.CA, ca=ca_pem() + expired_ca_pem())
    with fake_smtp(tls="implicit", certificate="of an expired CA") as server:
        report = check(server.target(trust=trust))
    assert report.code == "SMTP_TLS_OWN_CA_EXPIRED"
    assert "Expired Example CA" in report.meaning
    assert report.side == "settings"


def test_expired_server_is_not_blamed_on_the_own_ca(check: Check) -> None:
    with fake_smtp(tls="implicit", certificate="expired") as server:
        report = check(server.target(trust=trust_ca(ca_pem())))
    assert report.code == "SMTP_TLS_CERTIFICATE_EXPIRED"


def test_ca_that_cannot_be_read_is_named(check: Check) -> None:
    broken = Trust(TrustKind.CA, ca="-----BEGIN CERTIFICATE-----\nAAAA\n")
    with fake_smtp(tls="implicit") as server:
        report = check(server.target(trust=broken))
    assert (report.stage, report.code) == (Stage.TLS, "SMTP_TLS_TRUST_INVALID")
    assert report.side == "settings"


# --- exactly this certificate ---------------------------------------------------------------


@pytest.mark.parametrize("tls", SECURED)
@pytest.mark.parametrize("certificate", ["untrusted", "self-signed", "wrong-name", "expired"])
def test_key_of_a_failed_check_can_be_trusted(check: Check, tls: str, certificate: str) -> None:
    with fake_smtp(tls=tls, certificate=certificate, login=("u", PASSWORD)) as server:
        failed = check(server.target())
        assert nothing_was_sent(server)
        report = check(server.target(trust=trust_pin(shown_pin(failed))))
    assert not failed.accepted
    assert report.accepted, report.transcript
    assert report.tls is not None
    assert report.tls.pin == shown_pin(failed)
    expired = any("accepted because its key is trusted" in str(one) for one in report.warnings)
    assert expired == (certificate == "expired")


@pytest.mark.parametrize("tls", SECURED)
def test_changed_key_is_its_own_cause_and_nothing_is_sent(check: Check, tls: str) -> None:
    with fake_smtp(tls=tls, login=("u", PASSWORD)) as server:
        report = check(server.target(trust=trust_pin("00" * 32)))
    assert report.code == "SMTP_TLS_PIN_CHANGED"
    assert report.stage == (Stage.TLS if tls == "implicit" else Stage.STARTTLS)
    assert nothing_was_sent(server)
    said = " ".join(report.advice)
    assert shown_pin(report) in said
    assert "A" * 43 + "=" in said
    assert report.tls is not None
    assert report.tls.issuer in said
    assert report.judges


def test_empty_pin_trusts_nothing(check: Check) -> None:
    with fake_smtp(tls="implicit") as server:
        report = check(server.target(trust=Trust(TrustKind.PIN)))
    assert report.code == "SMTP_TLS_PIN_CHANGED"
    assert nothing_was_sent(server)


def test_changed_key_lets_no_other_mode_be_tried(check: Check) -> None:
    with fake_smtp(tls="implicit") as server:
        report = check(server.target(trust=trust_pin("00" * 32)))
        assert server.connections == 1
    assert not any("other modes" in line.text for line in report.transcript)


def test_pin_is_kept_with_the_report(check: Check) -> None:
    with fake_smtp(tls="implicit") as server:
        report = check(server.target())
    stored = json.loads(json.dumps(report.to_dict()))
    assert Report.from_dict(stored) == report
    stored["tls"].pop("pin")  # from before it was stored
    assert Report.from_dict(stored).tls is not None


# --- our own certificate ---------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("tls", SECURED)
@pytest.mark.parametrize("kind", TrustKind)
def test_client_certificate_is_presented(
    check: Check, version: ssl.TLSVersion, tls: str, kind: TrustKind
) -> None:
    identity = parse_identity(*client_pair())
    with fake_smtp(tls=tls, client_certificate=True, tls_version=version) as server:
        pin = trust_pin(shown_pin(check(server.target(identity=identity))))
        trust = {
            TrustKind.SYSTEM: Trust(), TrustKind.CA: trust_ca(ca_pem()), TrustKind.PIN: pin
        }[kind]  # fmt: skip
        report = check(server.target(identity=identity, trust=trust))
        without = check(server.target(trust=trust))
    assert report.accepted, report.transcript
    assert not without.accepted


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificate_that_the_server_refuses_is_named(
    check: Check, version: ssl.TLSVersion
) -> None:
    identity = parse_identity(*client_pair(stranger=True))
    with tls_server(server_context("good", True, version), identity=identity) as target:
        report = check(target)
    assert report.code == "SMTP_TLS_CLIENT_CERTIFICATE_REFUSED", report.transcript
    assert report.stage is Stage.TLS


def test_client_certificate_is_not_sent_where_nobody_asks(check: Check) -> None:
    with fake_smtp(tls="implicit") as server:
        report = check(server.target(identity=parse_identity(*client_pair())))
    assert report.accepted


def test_client_certificate_that_has_expired_is_named(check: Check) -> None:
    old = certificate_valid(
        datetime.timedelta(days=-9), datetime.timedelta(days=-1), "client.example.com"
    )
    identity = ClientIdentity(old, client_pair()[1])
    with fake_smtp(tls="implicit") as server:
        report = check(server.target(identity=identity))
    assert report.code == "SMTP_TLS_TRUST_INVALID"
    assert "client.example.com expired on" in report.meaning
    assert server.connections <= 1


def test_key_of_the_client_certificate_is_shown_nowhere(check: Check) -> None:
    certificate, key = client_pair()
    wrong = ClientIdentity(certificate, client_pair()[1])
    for identity in (parse_identity(certificate, key), wrong):
        with fake_smtp(tls="implicit") as server:
            target = server.target(identity=identity)
            report = check(target)
        shown = json.dumps(report.to_dict()) + repr(target)
        assert not any(line in shown for line in identity.key.splitlines() if len(line) > 20)
    assert report.code == "SMTP_TLS_TRUST_INVALID"


def test_encryption_none_ignores_trust(check: Check) -> None:
    with fake_smtp() as server:
        target = server.target(encryption=Encryption.NONE, trust=trust_pin("00" * 32))
        assert check(target).accepted
