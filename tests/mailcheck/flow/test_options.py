"""The advanced options in the conversation: EHLO name, envelope sender, source address, sandbox."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from smtpweb.mailcheck import Report, Stage
from smtpweb.mailcheck.core.egress import Address
from smtpweb.mailcheck.net import resolver, sockets
from tests.support.drivers import Check
from tests.support.fake_smtp import fake_smtp

OURS = ipaddress.ip_address("127.0.0.9")
NOT_OURS = ipaddress.ip_address("192.0.2.7")


def lines_of(report: Report, direction: str = "C") -> list[str]:
    return [line.text for line in report.transcript if line.direction == direction]


def test_ehlo_name_of_the_server_is_used(check: Check) -> None:
    with fake_smtp() as server:
        assert check(server.target(ehlo_name="app.example.net")).accepted
    assert server.heard[0] == "EHLO app.example.net"


@pytest.mark.parametrize("capabilities", [["PIPELINING"], []])
def test_envelope_sender_differs_from_the_from_header(
    check: Check, capabilities: list[str]
) -> None:
    with fake_smtp(capabilities=capabilities) as server:
        report = check(server.target(envelope_from="bounces+1@example.net"))
    [(sender, _, message)] = server.mails
    assert report.accepted
    assert sender == "bounces+1@example.net"
    assert b"From: <app@example.com>" in message
    assert report.mail_from == "app@example.com"


def test_refused_envelope_sender_is_the_one_that_is_named(check: Check) -> None:
    with fake_smtp(replies={"MAIL": "550 5.1.8 Sender address rejected: Domain not found"}) as it:
        report = check(it.target(envelope_from="bounces@nowhere.example"))
    assert report.stage is Stage.MAIL
    assert report.facts["mail_from"] == "bounces@nowhere.example"


def test_refused_from_header_is_the_one_that_is_named(check: Check) -> None:
    with fake_smtp(replies={"dot": "550 5.7.1 From header not allowed"}) as server:
        report = check(server.target(envelope_from="bounces@nowhere.example"))
    assert report.facts["mail_from"] == "app@example.com"


@pytest.mark.parametrize("text", ["no address", "a@b@c.example> SIZE=1", "x\r\ny@example.com"])
def test_envelope_sender_that_is_none_is_not_sent(check: Check, text: str) -> None:
    with fake_smtp() as server:
        report = check(server.target(envelope_from=text))
    assert report.stage is Stage.MAIL
    assert not any(line.startswith("MAIL") for line in server.heard)


@pytest.mark.parametrize("envelope", ["bücher@example.com", "app@example.com"])
def test_smtputf8_is_asked_for_where_either_sender_needs_it(check: Check, envelope: str) -> None:
    with fake_smtp(capabilities=["8BITMIME", "SMTPUTF8"]) as server:
        changes = {"envelope_from": envelope, "mail_from": "jürgen@example.com"}
        assert check(server.target(**changes)).accepted
    assert any(line.startswith("MAIL") and "SMTPUTF8" in line for line in server.heard)


# --- source address ---------------------------------------------------------------------------


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The source address of each connection made."""
    bound: list[str] = []
    bind = socket.socket.bind

    def noted(sock: socket.socket, address: tuple[str, int]) -> None:
        bind(sock, address)
        bound.append(sock.getsockname()[0])

    monkeypatch.setattr(socket.socket, "bind", noted, raising=False)
    return bound


def test_source_address_is_the_one_that_connects(check: Check, peers: list[str]) -> None:
    with fake_smtp() as server:
        peers.clear()
        report = check(server.target(source_address=OURS))
    assert report.accepted
    assert peers == [str(OURS)]


def test_source_address_is_that_of_every_connection(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of the one that looks at the certificate, and of those that try other modes."""
    attempts: list[tuple[int, Address | None]] = []
    begin = sockets.begin_connect

    def noted(address: Address, port: int, source: Address | None) -> socket.socket | str:
        attempts.append((port, source))
        return begin(address, port, source)

    monkeypatch.setattr(sockets, "begin_connect", noted)
    with fake_smtp(tls="implicit", certificate="untrusted") as server:
        report = check(server.target(source_address=OURS))
    assert not report.accepted
    ports = [port for port, _ in attempts]
    assert ports.count(server.port) > 1  # the conversation, then the certificate
    assert len(set(ports)) > 1  # other modes
    assert {source for _, source in attempts} == {OURS}


def test_source_address_that_is_not_ours_is_named(check: Check) -> None:
    with fake_smtp() as server:
        report = check(server.target(source_address=NOT_OURS))
        assert server.connections == 0
    assert (report.stage, report.code) == (Stage.CONNECT, "SMTP_CONNECT_SOURCE_ADDRESS")
    assert str(NOT_OURS) in report.title
    assert report.side == "settings"


def test_source_address_of_the_other_family_is_named(check: Check) -> None:
    with fake_smtp() as server:
        report = check(server.target(source_address=ipaddress.ip_address("::1")))
        assert server.connections == 0
    assert report.code == "SMTP_CONNECT_SOURCE_FAMILY"


def test_source_address_limits_the_addresses_to_its_family(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = (ipaddress.ip_address("::1"), ipaddress.ip_address("127.0.0.1"))
    monkeypatch.setattr(resolver, "addresses_of", lambda host: both)
    with fake_smtp() as server:
        report = check(server.target(host="both.example", source_address=OURS))
    assert report.accepted
    assert [one.address for one in report.addresses] == ["127.0.0.1"]


# --- sandboxes ----------------------------------------------------------------------------------

GREETINGS = {
    "220 sandbox.smtp.mailtrap.io ESMTP ready": "Mailtrap sandbox",
    "220 smtp.mailtrap.io ESMTP ready": "Mailtrap sandbox",
    "220 7f0c1a2b3c4d Mailpit ESMTP Service ready": "Mailpit",
    "220 mailhog.example ESMTP MailHog": "MailHog",
    "220 7f0c1a2b3c4d ESMTP MailDev": "MailDev",
    "220 7f0c1a2b3c4d smtp4dev ready": "smtp4dev",
    "220 smtp.ethereal.email ESMTP Ethereal": "Ethereal",
}


@pytest.mark.parametrize(("greeting", "name"), GREETINGS.items())
def test_sandbox_is_recognised_by_its_greeting(check: Check, greeting: str, name: str) -> None:
    with fake_smtp(replies={"connect": greeting}) as server:
        report = check(server.target())
    assert (report.accepted, report.code) == (True, "SMTP_ACCEPTED_SANDBOX")
    assert report.sandbox == name
    assert "delivers nothing" in report.title
    assert name in report.title


@pytest.mark.parametrize("host", ["sandbox.smtp.mailtrap.io", "smtp.ethereal.email", "mailpit"])
def test_sandbox_is_recognised_by_its_host(
    check: Check, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    local = (ipaddress.ip_address("127.0.0.1"),)
    monkeypatch.setattr(resolver, "addresses_of", lambda name: local)
    with fake_smtp() as server:
        report = check(server.target(host=host))
    assert report.sandbox
    assert report.code == "SMTP_ACCEPTED_SANDBOX"


@pytest.mark.parametrize(
    "greeting",
    [
        "220 live.smtp.mailtrap.io ESMTP ready", "220 mx.example.com ESMTP Postfix",
        "220 mail.maildeveloper.example ESMTP", "220 mailpitcher.example ESMTP",
    ],
)  # fmt: skip
def test_servers_that_deliver_are_no_sandbox(check: Check, greeting: str) -> None:
    with fake_smtp(replies={"connect": greeting}) as server:
        report = check(server.target())
    assert (report.sandbox, report.code) == ("", "SMTP_ACCEPTED")


def test_sandbox_is_said_of_refusals_too(check: Check) -> None:
    with fake_smtp(
        replies={"connect": "220 x Mailpit ESMTP Service ready", "MAIL": "550 5.7.1 no"}
    ) as server:
        report = check(server.target())
    assert not report.accepted
    assert report.sandbox == "Mailpit"
