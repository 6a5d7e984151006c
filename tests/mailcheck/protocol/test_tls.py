"""TLS is proved or nothing is sent."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from ssl import TLSVersion

import pytest

from smtpweb.mailcheck import Encryption, Stage
from smtpweb.mailcheck import check as blocking_check
from smtpweb.mailcheck.protocol import tls
from tests.support.drivers import Check
from tests.support.fake_certificates import server_context
from tests.support.fake_smtp import fake_smtp
from tests.support.one_write_tls import GREETING, libssl, one_write_server
from tests.support.tls_servers import tls_server

LOGIN = ("u", "a secret")


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        ("expired", "SMTP_TLS_CERTIFICATE_EXPIRED"),
        ("not-yet-valid", "SMTP_TLS_CERTIFICATE_NOT_YET_VALID"),
        ("wrong-name", "SMTP_TLS_CERTIFICATE_NAME"),
        ("untrusted", "SMTP_TLS_CERTIFICATE_UNTRUSTED"),
        ("self-signed", "SMTP_TLS_CERTIFICATE_SELF_SIGNED"),
        ("no-intermediate", "SMTP_TLS_CERTIFICATE_INCOMPLETE"),
        ("expired-intermediate", "SMTP_TLS_CHAIN_EXPIRED"),
    ],
)
@pytest.mark.parametrize(("way", "stage"), [("implicit", "tls"), ("starttls", "starttls")])
def test_bad_certificate_is_named_and_gets_nothing(
    check: Check, certificate: str, code: str, way: str, stage: str
) -> None:
    with fake_smtp(tls=way, certificate=certificate, login=LOGIN) as server:
        report = check(server.target())
    assert (report.stage, report.code) == (stage, code)
    assert report.tls
    assert report.tls.problem == report.title
    assert report.tls
    assert report.tls.issuer
    assert {line.split(" ")[0] for line in server.heard} <= {"EHLO", "STARTTLS"}


def test_wrong_name_says_which_names_there_are(check: Check) -> None:
    with fake_smtp(tls="implicit", certificate="wrong-name") as server:
        report = check(server.target())
    assert report.tls
    assert report.tls.names == ("mail.example.org",)
    assert "mail.example.org" in report.meaning


def test_tls_facts_of_a_good_session(check: Check) -> None:
    with fake_smtp(tls="implicit") as server:
        facts = check(server.target()).tls
    assert facts
    assert (facts.version, facts.problem) == ("TLSv1.3", "")
    assert facts
    assert "localhost" in facts.names
    assert facts
    assert facts.cipher.startswith("TLS_")
    assert facts
    assert facts.days_left is not None
    assert facts.days_left > 21


def test_certificate_that_expires_soon_is_warned_of(check: Check) -> None:
    with fake_smtp(tls="implicit", certificate="expires-soon") as server:
        report = check(server.target())
    assert report.accepted
    assert any("in 5 days" in str(notice) for notice in report.warnings)


def test_starttls_that_is_asked_for_is_required(check: Check) -> None:
    with fake_smtp(login=LOGIN) as server:
        report = check(server.target(encryption=Encryption.STARTTLS))
    assert (report.stage, report.code) == (Stage.STARTTLS, "SMTP_STARTTLS_NOT_OFFERED")
    assert [line.split(" ")[0] for line in server.heard] == ["EHLO", "QUIT"]


def test_starttls_that_is_refused_ends_the_check(check: Check) -> None:
    with fake_smtp(
        tls="starttls", login=LOGIN, replies={"STARTTLS": "454 4.7.0 TLS not available"}
    ) as server:
        report = check(server.target())
    assert report.code == "SMTP_STARTTLS_UNAVAILABLE"
    assert not any(line.startswith(("AUTH", "MAIL")) for line in server.heard)


def test_device_that_masks_starttls_is_named(check: Check) -> None:
    lines = b"220 *****************\r\n"
    with fake_smtp(replies={"connect": lines}, capabilities=["XXXXXXXA", "PIPELINING"]) as server:
        report = check(server.target(encryption=Encryption.STARTTLS))
    assert report.code == "SMTP_STARTTLS_STRIPPED"


def test_capabilities_from_before_tls_are_forgotten(check: Check) -> None:
    with fake_smtp(tls="starttls", login=LOGIN) as server:
        report = check(server.target())
    assert not any(line.startswith("STARTTLS") for line in report.capabilities)


def test_tls_that_is_old_is_refused(check: Check) -> None:
    # OpenSSL's default security level forbids TLS 1.1 to the server as well
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # to be old is what this server is for
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with tls_server(context) as target:
        report = check(target)
    assert (report.stage, report.code) == (Stage.TLS, "SMTP_TLS_TOO_OLD")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificate_that_is_wanted_belongs_to_tls(
    check: Check, version: TLSVersion
) -> None:
    """Under TLS 1.3 the handshake succeeds, and the refusal comes with the first read."""
    context = server_context("good", True, version)
    with tls_server(context) as target:
        report = check(target)
    assert report.stage is Stage.TLS
    if version is ssl.TLSVersion.TLSv1_3:
        assert report.code == "SMTP_TLS_CLIENT_CERTIFICATE"
    else:
        assert report.code == "SMTP_TLS_ALERT"  # TLS 1.2 only says "handshake failure"


def test_missing_close_notify_is_forgiven(check: Check) -> None:
    """Postfix and others just close; an answer that came is an answer."""
    with fake_smtp(tls="implicit", replies={"connect": b"554 5.7.1 no\r\n"}) as server:
        report = check(server.target())
    assert report.reply
    assert report.reply.code == 554


def test_context_is_made_once_for_each_trust_setting() -> None:
    with fake_smtp(tls="implicit") as server:
        first = tls.context_for(server.ca_file)
        assert blocking_check(server.target()).accepted
        assert tls.context_for(server.ca_file) is first
        assert tls.context_for(None) is not first


def test_ca_file_that_is_gone_is_our_fault(check: Check, tmp_path: Path) -> None:
    with fake_smtp(tls="implicit") as server:
        report = check(server.target(ca_file=tmp_path / "nothing.pem"))
    assert (report.stage, report.side) == (Stage.TLS, "machine")
    assert report.code == "SMTP_TLS_CA_FILE_UNREADABLE"


EARLY = pytest.mark.skipif(libssl() is None, reason="no libssl for ctypes, which 0.5-RTT data need")


@pytest.mark.parametrize("early", [False, pytest.param(True, marks=EARLY)])
def test_greeting_in_one_write_with_the_end_of_the_handshake_is_heard(
    check: Check, early: bool
) -> None:
    """It comes in the same read, stays inside the TLS object, and no socket announces it."""
    with one_write_server(GREETING, early=early) as target:
        report = check(target)
    assert report.code == "SMTP_ACCEPTED", report.transcript


@pytest.mark.parametrize("early", [False, pytest.param(True, marks=EARLY)])
def test_greeting_cut_at_the_end_of_the_handshake_waits_for_its_rest(
    check: Check, early: bool
) -> None:
    with one_write_server(GREETING[:9], early=early) as target:
        assert check(target).code == "SMTP_GREETING_SILENT"


@pytest.mark.parametrize("early", [False, pytest.param(True, marks=EARLY)])
def test_reply_in_one_write_with_the_end_of_starttls_was_not_asked_for(
    check: Check, early: bool
) -> None:
    with one_write_server(
        b"250 out of step\r\n", encryption=Encryption.STARTTLS, early=early
    ) as target:
        report = check(target)
    assert (report.stage, report.code) == (Stage.STARTTLS, "SMTP_OUT_OF_STEP")


@pytest.mark.parametrize("early", [False, pytest.param(True, marks=EARLY)])
def test_second_reply_in_one_write_with_the_handshake_was_not_asked_for(
    check: Check, early: bool
) -> None:
    with one_write_server(GREETING + b"250 too early\r\n", early=early) as target:
        report = check(target)
    assert (report.stage, report.code) == (Stage.EHLO, "SMTP_OUT_OF_STEP")


@pytest.mark.parametrize("kind", ["says", "untrusted, says"])
def test_certificate_names_are_cleaned(check: Check, kind: str) -> None:
    with fake_smtp(tls="implicit", certificate=f"{kind} \x1b[31mred\u202egnp\n\u200bé") as server:
        report = check(server.target())
    assert report.tls
    assert report.tls.subject == "\ufffdred\ufffdgnp \ufffdé"
    assert not set(str(report.to_dict())) & {"\x1b", "\u202e", "\u200b", "\n"}


def test_certificate_name_without_end_is_cut(check: Check) -> None:
    with fake_smtp(tls="implicit", certificate=f"says {'n' * 3000}") as server:
        report = check(server.target())
    assert report.tls
    assert all(len(name) <= 255 for name in report.tls.names)


def test_expired_intermediate_is_named_with_its_day(check: Check) -> None:
    with fake_smtp(tls="implicit", certificate="expired-intermediate") as server:
        report = check(server.target())
    assert report.facts["fault_subject"] == "Example Intermediate CA 3"
    assert "Example Intermediate CA 3" in report.meaning
    assert report.tls and report.tls.days_left is not None
    assert report.tls.days_left > 80


def test_host_that_is_an_address_is_told_that_the_certificate_needs_it(check: Check) -> None:
    with fake_smtp(tls="implicit", certificate="wrong-name") as server:
        report = check(server.target(host="127.0.0.1"))
    assert report.code == "SMTP_TLS_CERTIFICATE_NO_ADDRESS"
    assert "mail.example.org" in report.meaning
    assert report.side == "settings"
