"""Hosts and addresses: what is understood, and what is refused with a reason."""

from __future__ import annotations

import inspect
import ipaddress
import socket
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest

from smtpweb.mailcheck import Side, Stage
from smtpweb.mailcheck.core import addresses
from smtpweb.mailcheck.core.effects import NotResolved
from smtpweb.mailcheck.core.egress import Address
from smtpweb.mailcheck.core.failure import Symptom
from smtpweb.mailcheck.net import resolver
from tests.support.drivers import Check
from tests.support.fake_dns import fake_dns
from tests.support.fake_smtp import fake_smtp
from tests.support.serving import free_port


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("smtp.example.com", "smtp.example.com"),
        ("smtp.example.com.", "smtp.example.com"),
        ("localhost", "localhost"),
        ("mail_server", "mail_server"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),  # IDNA 2008, not 2003's "strasse"
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::FFFF:c000:201]", "192.0.2.1"),
    ],
)
def test_host_is_understood(typed: str, name: str) -> None:
    assert addresses.parse_host(typed).name == name


@pytest.mark.parametrize(
    "typed",
    ["", " ", " smtp.example.com", "smtp.example.com ", "smtp example.com", "smtp://h.example",
     "h.example:25", "x@h.example", "h.example/x", "a..b", ".example.com", "example.com..",
     "x" * 64 + ".example", ".".join(["x" * 60] * 5), "127.1", "0x7f.1", "2130706433",
     "0177.0.0.1", "127.0.0.1.", "1.2.3.4:25", "h.example\r\nQUIT", "h\0.example", "%31.example",
     "-a.example", "fe80::1%eth0", "٣.٣.٣.٣", "a\u200b.example\n", "*.example.com", "0"],
)  # fmt: skip
def test_hosts_that_are_refused_with_a_reason(check: Check, typed: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        addresses.parse_host(typed)
    with fake_smtp() as server:
        report = check(server.target(host=typed))
    assert (report.stage, report.code) == (Stage.RESOLVE, "SMTP_RESOLVE_HOST_INVALID")
    assert server.connections == 0


@pytest.mark.parametrize("port", [0, -1, 65536, 10**9])
def test_port_that_is_none_is_refused(check: Check, port: int) -> None:
    with fake_smtp() as server:
        report = check(server.target(port=port))
    assert report.code == "SMTP_RESOLVE_HOST_INVALID"
    assert str(port) in report.meaning


def test_unknown_name_is_named(check: Check) -> None:
    with fake_smtp() as server:
        report = check(server.target(host="no-such-host.invalid"))
    assert report.stage is Stage.RESOLVE
    assert report.code in ("SMTP_RESOLVE_UNKNOWN", "SMTP_RESOLVE_FAILED")


@pytest.mark.parametrize(
    ("number", "symptom"),
    [
        (socket.EAI_NONAME, Symptom.NAME_UNKNOWN),
        (socket.EAI_AGAIN, Symptom.RESOLVER_FAILED),
        (socket.EAI_FAIL, Symptom.RESOLVER_FAILED),
        (socket.EAI_NODATA, Symptom.NO_ADDRESS),
    ],
)
def test_resolver_errors_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, number: int, symptom: Symptom
) -> None:
    def fails(*args: object, **kwargs: object) -> NoReturn:
        raise socket.gaierror(number, "made up")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with fake_dns({}) as server:
        monkeypatch.setattr("dns.resolver.Resolver", lambda: server.resolver)
        with pytest.raises(NotResolved) as raised:
            resolver.addresses_of("mail.example.com")
    assert raised.value.why == symptom


@pytest.mark.parametrize("state", ["SILENCE", "SERVFAIL", "away"])
@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_unknown_name_is_not_concluded_from_dns_that_says_nothing(
    monkeypatch: pytest.MonkeyPatch, number: int, state: str
) -> None:
    """glibc answers EAI_NONAME on a machine that can reach no DNS server."""

    def fails(*args: object, **kwargs: object) -> NoReturn:
        raise socket.gaierror(number, "made up")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    monkeypatch.setattr(resolver, "CONFIRM_LIMIT", 0.2)
    with fake_dns({("mail.example.com", "A"): state}) as server:
        monkeypatch.setattr("dns.resolver.Resolver", lambda: server.resolver)
        if state == "away":
            server.resolver.port = free_port()
        with pytest.raises(NotResolved) as raised:
            resolver.addresses_of("mail.example.com")
    assert raised.value.why == Symptom.RESOLVER_FAILED


def test_search_domains_are_kept_away_from_whole_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def record(name: str, *args: object, **kwargs: object) -> list[tuple[object, ...]]:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", record)
    resolver.addresses_of("mail.example.com")
    resolver.addresses_of("postfix")
    assert asked == ["mail.example.com.", "postfix"]


def test_hosts_file_is_heard_for_whole_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.0.0.5 other mail.internal # ours\nbad line here\n")
    monkeypatch.setattr(addresses, "HOSTS_FILE", hosts)
    assert resolver.addresses_of("Mail.internal") == (ipaddress.ip_address("10.0.0.5"),)


def test_resolver_that_hangs_is_left_in_time(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(resolver, "addresses_of", lambda host: release.wait(10) and ())
    with fake_smtp() as server:
        begun = time.monotonic()
        report = check(server.target(host="hangs.example.com", timeout=0.3))
    release.set()
    assert (report.code, report.temporary) == ("SMTP_RESOLVE_SLOW", True)
    assert time.monotonic() - begun < 1.3


def test_hanging_look_ups_of_one_name_hold_one_thread_and_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    asked = []

    def look_up(host: str) -> tuple[Address, ...]:
        asked.append(host)
        if host == "hangs":
            release.wait(10)
        return (ipaddress.ip_address("192.0.2.1"),)

    monkeypatch.setattr(resolver, "addresses_of", look_up)
    desk = resolver.Resolver(max_threads=2)
    until = time.monotonic() + 10
    hanging = [desk.look_up("hangs", until) for _ in range(50)]
    other = [desk.look_up(f"mail{number}.example.com", until) for number in range(20)]
    assert all(future.result(5) for future in other)
    assert not any(future.done() for future in hanging)
    release.set()
    assert all(future.result(5) for future in hanging)
    assert asked.count("hangs") == 1


def test_look_up_that_waited_too_long_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "addresses_of", lambda host: pytest.fail("looked up"))
    future = resolver.Resolver().look_up("late.example.com", time.monotonic() - 1)
    with pytest.raises(NotResolved) as raised:
        future.result(5)
    assert raised.value.why == Symptom.RESOLVER_SLOW


def test_name_without_addresses_is_no_empty_race(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "addresses_of", lambda host: ())
    with fake_smtp() as server:
        report = check(server.target(host="empty.example.com"))
    assert report.code == "SMTP_RESOLVE_NO_ADDRESS"


def test_own_name_is_a_full_one_or_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.1.1 web7.example.com web7\n")
    monkeypatch.setattr(addresses, "HOSTS_FILE", hosts)
    for own, full in (
        ("web7", "web7.example.com"),
        ("a1b2c3", None),
        ("mail.example.org", "mail.example.org"),
        ("localhost.localdomain", None),
    ):
        monkeypatch.setattr(socket, "gethostname", lambda own=own: own)
        assert inspect.unwrap(addresses.own_full_name)() == full


@pytest.mark.parametrize("name", ["a b", "web\r\nQUIT", "[999.1.1.1]", "[nonsense]", "ü" * 70])
def test_ehlo_name_that_is_none_is_our_installations_fault(check: Check, name: str) -> None:
    with fake_smtp() as server:
        report = check(server.target(ehlo_name=name))
    assert (report.stage, report.side) == (Stage.EHLO, Side.MACHINE)
    assert server.heard in ([], ["QUIT"])


@pytest.mark.parametrize("host", ["::ffff:127.0.0.1", "[::ffff:7f00:1]", "127.0.0.1"])
def test_ipv4_address_inside_an_ipv6_one_is_introduced_as_ipv4(
    check: Check, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(addresses, "own_full_name", lambda: None)
    with fake_smtp() as server:
        report = check(server.target(host=host))
    assert report.accepted, report.code
    assert server.heard[0] == "EHLO [127.0.0.1]"
    assert [one.address for one in report.addresses] == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("address", "literal"),
    [
        ("192.0.2.1", "[192.0.2.1]"),
        ("::ffff:192.0.2.1", "[192.0.2.1]"),
        ("2001:db8::1", "[IPv6:2001:db8::1]"),
        ("::1", "[IPv6:::1]"),
    ],
)
def test_address_literals(address: str, literal: str) -> None:
    """RFC 5321 4.1.3."""
    parsed = ipaddress.ip_address(address)
    assert addresses.address_literal(parsed) == literal
    assert (
        addresses.ehlo_name(f"[IPv6:{address}]" if ":" in address else literal, parsed) == literal
    )


# -- mail addresses


@pytest.mark.parametrize(
    ("typed", "wire", "utf8"),
    [
        ("app@example.com", "app@example.com", False),
        ("app@localhost", "app@localhost", False),
        ("app+tag@mail.internal", "app+tag@mail.internal", False),
        ("app@bücher.example", "app@xn--bcher-kva.example", False),
        ("bücher@bücher.example", "bücher@xn--bcher-kva.example", True),
        ('"a b"@example.com', '"a b"@example.com', False),
        ("app@[192.0.2.1]", "app@[192.0.2.1]", False),
    ],
)
def test_mail_addresses_on_the_wire(typed: str, wire: str, utf8: bool) -> None:
    mailbox = addresses.parse_mailbox(typed)
    assert (mailbox.address, mailbox.utf8) == (wire, utf8)


@pytest.mark.parametrize(
    "typed",
    ["", "app", "@example.com", "app@", "a@b@c.example", "app@exa mple.com", "a@b.example\r\nRSET",
     "a@b.example>", "<a@b.example>", "A <a@b.example>", "a@b.example,c@d.example", "a\0@b.example",
     "a@b.example\n", "=?utf-8?q?x?=@", "x" * 300 + "@example.com"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("field", "stage", "code"),
    [
        ("mail_from", Stage.MAIL, "SMTP_MAIL_FROM_INVALID"),
        ("rcpt_to", Stage.RCPT, "SMTP_RCPT_TO_INVALID"),
    ],
)
def test_bad_mail_addresses_are_the_apps_and_never_sent(
    check: Check, typed: str, field: str, stage: Stage, code: str
) -> None:
    with fake_smtp() as server:
        report = check(server.target(**{field: typed}))
    assert (report.stage, report.code, report.side) == (stage, code, Side.APP)
    assert [line.split(" ")[0] for line in server.heard] == ["EHLO", "QUIT"]


def test_international_addresses_go_out_where_they_are_offered(check: Check) -> None:
    with fake_smtp(capabilities=["SMTPUTF8", "8BITMIME", "PIPELINING"]) as server:
        report = check(server.target(rcpt_to="tüst@bücher.example"))
    assert report.accepted
    [mail] = [line for line in server.heard if line.startswith("MAIL")]
    assert mail.endswith(" BODY=8BITMIME SMTPUTF8")
    assert "RCPT TO:<tüst@xn--bcher-kva.example>" in server.heard
    assert "To: <tüst@xn--bcher-kva.example>".encode() in server.mails[0][2]


@pytest.mark.parametrize(("field", "stage"), [("mail_from", "mail"), ("rcpt_to", "rcpt")])
def test_international_addresses_are_refused_clearly_where_they_are_not(
    check: Check, field: str, stage: str
) -> None:
    with fake_smtp() as server:
        report = check(server.target(**{field: "tüst@example.com"}))
    assert (report.stage, report.code) == (stage, "SMTP_SMTPUTF8_MISSING")
