"""Connecting: every way that it can fail is named, at once where it fails at once."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from smtpweb.mailcheck import Side, Stage
from smtpweb.mailcheck.core.egress import Address
from smtpweb.mailcheck.core.types import CONNECTED
from smtpweb.mailcheck.flow import vetting
from smtpweb.mailcheck.net import resolver, sockets
from smtpweb.mailcheck.net.happy_eyeballs import Race
from tests.support import drivers
from tests.support.drivers import Check
from tests.support.fake_smtp import fake_smtp

MANY = tuple(ipaddress.ip_address(f"127.0.0.{last}") for last in range(2, 10))


@pytest.fixture
def failing_connects(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``failing_connects(number)``: each connect() fails at once with that errno."""

    def fail(number: int) -> None:
        monkeypatch.setattr(socket.socket, "connect_ex", lambda sock, where: number, raising=False)

    return fail


@pytest.mark.parametrize(
    ("number", "code", "judges"),
    [
        (errno.ENETUNREACH, "SMTP_CONNECT_NO_ROUTE", False),
        (errno.EHOSTUNREACH, "SMTP_CONNECT_NO_ROUTE", False),
        (errno.EADDRNOTAVAIL, "SMTP_CONNECT_NO_ROUTE", False),
        (errno.EACCES, "SMTP_CONNECT_NOT_PERMITTED", False),
        (errno.EPERM, "SMTP_CONNECT_NOT_PERMITTED", False),
        (errno.ENOBUFS, "SMTP_CONNECT_NO_SOCKET", False),
        (errno.ECONNREFUSED, "SMTP_CONNECT_REFUSED", True),
    ],
)
@pytest.mark.parametrize("addresses", [MANY[:1], MANY])
def test_connects_that_fail_at_once_are_reported_at_once(
    check: Check,
    monkeypatch: pytest.MonkeyPatch,
    failing_connects: Callable[[int], None],
    number: int,
    code: str,
    judges: bool,
    addresses: tuple[IPv4Address, ...],
) -> None:
    monkeypatch.setattr(resolver, "addresses_of", lambda host: addresses)
    monkeypatch.setattr(vetting, "in_container", lambda: False)
    with fake_smtp() as server:
        failing_connects(number)
        target = server.target(host="mail.example.com", timeout=300, other_modes=())
        begun = time.monotonic()
        report = check(target)
        took = time.monotonic() - begun
    assert (report.stage, report.code, report.judges) == (Stage.CONNECT, code, judges)
    assert [one.milliseconds is not None for one in report.addresses] == [True] * len(addresses)
    assert took < 60  # seconds of the 300 that the deadline lets it wait


def test_address_that_fails_at_once_does_not_hold_up_the_others(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = sockets.begin_connect

    def first_fails(address: Address, port: int, source: Address | None) -> socket.socket | str:
        return "no route" if address != MANY[-1] else begin(address, port, source)

    monkeypatch.setattr(resolver, "addresses_of", lambda host: MANY)
    monkeypatch.setattr(sockets, "begin_connect", first_fails)
    with fake_smtp(host=str(MANY[-1])) as server:
        report = check(server.target(host="mail.example.com", other_modes=()))
    assert report.accepted
    assert [one.outcome for one in report.addresses] == ["no route"] * 7 + [CONNECTED]


def test_server_whose_network_says_unreachable_is_no_route_of_ours(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The firewall of Red Hat's systems answers so (icmp-host-prohibited) on a closed port."""
    asked = socket.socket.getsockopt

    def unreachable(sock: socket.socket, *option: int) -> int:
        if option == (socket.SOL_SOCKET, socket.SO_ERROR):
            return errno.EHOSTUNREACH
        return asked(sock, *option)

    with fake_smtp() as server:
        monkeypatch.setattr(socket.socket, "getsockopt", unreachable, raising=False)
        report = check(server.target(other_modes=()))
    assert (report.code, report.side) == ("SMTP_CONNECT_UNREACHABLE", Side.SMTP)
    assert report.judges


def test_process_without_a_free_descriptor_says_so(check: Check) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with fake_smtp() as server:
        check(server.target())  # all that is made once is made
        kept = [os.dup(0)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (kept[0] + 8, hard))
        try:
            _use_up(kept)
            # A loop of asyncio takes a selector and a pair of sockets before the check begins
            for _ in range(0 if check is drivers.blocking else 3):
                os.close(kept.pop())
            report = check(server.target(other_modes=()))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for number in kept:
                os.close(number)
    assert (report.code, report.judges) == ("SMTP_CONNECT_NO_SOCKET", False)


def _use_up(kept: list[int]) -> None:
    with contextlib.suppress(OSError):
        while True:
            kept.append(os.dup(0))


def test_connection_that_leads_elsewhere_is_not_used(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a judged address may be spoken to, whatever led the connection away from it."""
    elsewhere = ipaddress.ip_address("127.0.0.77")
    begin = sockets.begin_connect
    with fake_smtp() as server:
        real = ipaddress.ip_address(server.host)
        monkeypatch.setattr(
            sockets, "begin_connect", lambda address, port, source: begin(real, port)
        )
        report = check(server.target(host=str(elsewhere), other_modes=()))
    assert report.stage is Stage.CONNECT
    assert [(one.address, one.outcome) for one in report.addresses] == [
        (str(elsewhere), "another address")
    ]
    assert server.heard == []


@pytest.mark.parametrize("timeout", [100, 300])
def test_look_up_is_waited_for_five_seconds_at_most(
    check: Check, monkeypatch: pytest.MonkeyPatch, timeout: int
) -> None:
    """Of a hanging DNS server nothing more is to be hoped for, however long the check may take."""
    release = threading.Event()
    monkeypatch.setattr(resolver, "addresses_of", lambda host: release.wait(60) and ())
    monkeypatch.setattr(vetting, "RESOLVE_LIMIT", vetting.RESOLVE_LIMIT / 50)
    assert vetting.RESOLVE_LIMIT == 0.1
    with fake_smtp() as server:
        report = check(server.target(host="hangs.example.com", timeout=timeout))
    release.set()
    assert (report.code, report.judges) == ("SMTP_RESOLVE_SLOW", False)
    assert not any("SMTPWEB_CHECK_TIMEOUT" in step for step in report.advice)


def test_race_whose_connects_all_fail_is_over() -> None:
    race = Race(MANY, 0.0, 100.0, 10.0)
    while (address := race.due(0.0)) is not None:
        race.failed(address, "no route", 0.0)
    assert race.is_over
    assert {one.outcome for one in race.outcomes()} == {"no route"}
