"""What a check may reach: judged before any packet, and said so that it can be changed."""

from __future__ import annotations

import ipaddress

import pytest

from smtpweb.mailcheck import EgressPolicy, EgressRuleError, Side, Stage
from smtpweb.mailcheck.core import egress
from smtpweb.mailcheck.core.egress import Address
from smtpweb.mailcheck.net import resolver
from tests.support.drivers import Check
from tests.support.fake_smtp import fake_smtp

DENIED = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 100.100.100.200
    127.0.0.1 127.255.255.254 168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1
    172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255
    198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
    255.255.255.255
    :: ::1 ::7f00:1 ::ffff:0.0.0.0 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254
    64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1
    2001:0:4136:e378:8000:63bf:f5ff:fffe 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
    2002:7f00:1:: 2002:a00:1:: 2002:a9fe:a9fe:: 3fff::1 4000::1 5f00::1 fc00::1 fd00::1
    fd00:ec2::254 fd20:ce::254 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1
"""

ALLOWED = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0
    198.17.255.255 198.20.0.0 223.255.255.255 168.63.129.15
    2001:200::1 2001:4860:4860::8888 2002:808:808:: 2606:4700::1111 2a00:1450::1 64:ff9b::808:808
    ::ffff:8.8.8.8
"""


@pytest.mark.parametrize("address", DENIED.split())
def test_address_is_denied_by_default(address: str) -> None:
    refusal = EgressPolicy().refuses(ipaddress.ip_address(address), 25)
    assert refusal is not None
    assert refusal.range_name
    ipaddress.ip_network(refusal.network)


@pytest.mark.parametrize("address", ALLOWED.split())
def test_address_is_allowed_by_default(address: str) -> None:
    assert EgressPolicy().refuses(ipaddress.ip_address(address), 587) is None


@pytest.mark.parametrize("address", DENIED.split())
def test_entry_of_exactly_that_address_opens_it(address: str) -> None:
    exact = egress.unmapped(ipaddress.ip_address(address))
    policy = EgressPolicy.parse(str(exact), "")
    assert policy.refuses(ipaddress.ip_address(address), 25) is None


@pytest.mark.parametrize("address", DENIED.split())
def test_setting_that_a_refusal_names_really_opens_it(address: str) -> None:
    refusal = EgressPolicy().refuses(ipaddress.ip_address(address), 25)
    assert refusal
    setting = refusal.setting.removeprefix("SMTPWEB_EGRESS_ALLOW=")
    policy = EgressPolicy.parse(setting, "")
    assert policy.refuses(ipaddress.ip_address(address), 25) is None


@pytest.mark.parametrize(
    ("allow", "address", "opens"),
    [
        ("127.0.0.0/8", "127.1.2.3", True),
        ("127.0.0.0/8", "::ffff:127.0.0.1", True),
        ("10.0.0.0/8", "10.9.9.9", True),
        ("10.0.0.0/16", "10.9.9.9", False),
        ("100.64.0.0/10", "100.64.1.1", True),
        ("100.64.0.0/10", "100.100.100.200", False),  # metadata needs its exact address
        ("fd00::/8", "fd12::1", True),
        ("fd00::/8", "fd00:ec2::254", False),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("169.254.169.254/32", "169.254.169.254", True),
        ("224.0.0.0/4", "224.0.0.1", False),
        ("0.0.0.0/0", "10.1.1.1", True),
        ("0.0.0.0/0", "0.0.0.0", False),
        ("::/0", "fe80::1", False),
        ("10.0.0.0/8", "64:ff9b::a00:1", False),
    ],
)
def test_entry_opens_what_it_names(allow: str, address: str, opens: bool) -> None:
    refusal = EgressPolicy.parse(allow, "").refuses(ipaddress.ip_address(address), 25)
    assert (refusal is None) == opens


@pytest.mark.parametrize(
    ("allow", "ports", "address", "port", "opens"),
    [
        ("", "", "8.8.8.8", 25, True),
        ("", "", "8.8.8.8", 22, False),
        ("", "*", "8.8.8.8", 22, True),
        ("", "2500", "8.8.8.8", 25, False),
        ("10.0.0.0/8", "", "10.0.0.1", 6379, False),  # the port list holds in private ranges too
        ("10.0.0.0/8:1025", "", "10.0.0.1", 1025, True),
        ("10.0.0.0/8:1025", "", "10.0.0.1", 25, False),
        ("10.0.0.25/32:25", "", "10.0.0.25", 25, True),
        ("10.0.0.25/32:25", "", "10.0.0.26", 25, False),
        ("[fd00::1]:25", "", "fd00::1", 25, True),
        ("fd00::/8:2525", "", "fd00::1", 2525, True),
        ("8.8.8.8:1025", "", "8.8.8.8", 1025, True),
        ("8.8.8.8:1025", "", "8.8.8.8", 25, True),
    ],
)
def test_port_entries_open_what_they_name(
    allow: str, ports: str, address: str, port: int, opens: bool
) -> None:
    policy = EgressPolicy.parse(allow, ports)
    assert (policy.refuses(ipaddress.ip_address(address), port) is None) == opens


@pytest.mark.parametrize(
    "allow",
    ["x", "10.0.0.5/8", "10.0.0.0/33", "1.2.3", "10.0.0.0/8:0", "10.0.0.0/8:65536", "::1:25/64:x",
     "10.0.0.0/8:٢٥", "10.0.0.0/8 10.0.0.0/9", "localhost", "[::1", "1.2.3.4.5"],
)  # fmt: skip
def test_entry_that_cannot_be_read_is_named_in_one_sentence(allow: str) -> None:
    with pytest.raises(EgressRuleError, match=r"^[^\n]+\.$"):
        EgressPolicy.parse(allow, "")


@pytest.mark.parametrize("ports", ["0", "65536", "25;587", "smtp", "25,*", "-1", "٢٥"])
def test_ports_that_cannot_be_read_are_named(ports: str) -> None:
    with pytest.raises(EgressRuleError):
        EgressPolicy.parse("", ports)


@pytest.mark.parametrize(
    ("own", "host", "port", "refused"),
    [
        (("db.example.com", 25), "db.example.com", 25, True),
        (("db.example.com", 25), "DB.example.com.", 25, True),
        (("db.example.com", 25), "db.example.com", 587, False),
        (("127.0.0.1", 8025), "localhost", 8025, True),
        (("localhost", 8025), "127.0.0.1", 8025, True),
        (("localhost", 8025), "127.9.9.9", 8025, True),
        (("localhost", 8025), "::1", 8025, True),
        (("localhost", 8025), "::ffff:127.0.0.1", 8025, True),
        (("0.0.0.0", 8025), "localhost", 8025, True),
        (("0.0.0.0", 8025), "127.0.0.1", 8025, True),
        (("::", 8025), "127.0.0.1", 8025, True),
        (("0.0.0.0", 8025), "8.8.8.8", 8025, False),
        (("10.0.0.7", 5432), "[10.0.0.7]", 5432, True),
    ],
)
def test_own_services_are_never_reached(
    own: tuple[str, int], host: str, port: int, refused: bool
) -> None:
    policy = EgressPolicy.parse("0.0.0.0/0,::/0,127.0.0.1,::1", "*", own=frozenset({own}))
    refusal = policy.refuses_port(host, port)
    try:
        by_address = policy.refuses(ipaddress.ip_address(host.strip("[]")), port)
    except ValueError:
        by_address = None
    assert (refusal is not None or by_address is not None) == refused
    if refused:
        known = refusal or by_address
        assert known
        assert known.kind == "own"


# -- through the check


def test_denied_address_gets_no_packet_and_a_setting(check: Check) -> None:
    with fake_smtp() as server:
        report = check(server.target(policy=EgressPolicy.parse("", str(server.port))))
    assert server.connections == 0
    assert report.refused_by_policy
    assert (report.stage, report.code, report.side) == (
        Stage.POLICY,
        "SMTP_POLICY_ADDRESS",
        Side.POLICY,
    )
    assert "127.0.0.1" in report.title
    assert "127.0.0.0/8" in report.meaning
    assert any("SMTPWEB_EGRESS_ALLOW=127.0.0.1/32" in step for step in report.advice)
    token, policy, *later = report.steps
    assert (token.outcome, policy.stage, policy.outcome) == ("skipped", Stage.POLICY, "failed")
    assert {step.outcome for step in later} == {"not reached"}


@pytest.mark.parametrize(
    "records",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["2a00:1450::1", "::ffff:10.0.0.1"],
        [*(f"8.8.8.{last}" for last in range(1, 12)), "10.0.0.1"],  # also behind the eighth
    ],
)
def test_denied_address_refuses_the_whole_name(
    check: Check, monkeypatch: pytest.MonkeyPatch, records: list[str]
) -> None:
    found = tuple(map(ipaddress.ip_address, records))
    monkeypatch.setattr(resolver, "addresses_of", lambda host: found)
    with fake_smtp() as server:
        report = check(server.target(host="mixed.example.com", policy=EgressPolicy.parse("", "*")))
    assert report.code == "SMTP_POLICY_ADDRESS"
    assert server.connections == 0


def test_name_is_resolved_once_and_its_address_pinned(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes its mind between the policy and the connection changes nothing."""
    asked = []

    def changing(host: str) -> tuple[Address, ...]:
        asked.append(host)
        return (ipaddress.ip_address("127.0.0.1" if len(asked) == 1 else "127.0.0.2"),)

    monkeypatch.setattr(resolver, "addresses_of", changing)
    with fake_smtp(tls="implicit", certificate="expired") as server:
        report = check(server.target(host="changing.example.com"))
    assert report.tls is not None  # the second look went to the same address
    assert asked == ["changing.example.com"]
    assert [one.address for one in report.addresses] == ["127.0.0.1"]


def test_addresses_beyond_eight_are_not_tried(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tuple(ipaddress.ip_address(f"127.0.0.{last}") for last in range(1, 21))
    monkeypatch.setattr(resolver, "addresses_of", lambda host: found)
    with fake_smtp() as server:
        target = server.target(host="many.example.com", port=1)
    report = check(target)
    assert report.code in ("SMTP_CONNECT_REFUSED", "SMTP_CONNECT_LOCALHOST_IN_CONTAINER")
    assert len(report.addresses) == 8


def test_denied_port_is_refused_before_the_name_is_looked_up(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver, "addresses_of", lambda host: pytest.fail("looked up"))
    with fake_smtp() as server:
        report = check(server.target(host="mail.example.com", port=22, policy=EgressPolicy()))
    assert report.code == "SMTP_POLICY_PORT"
    assert "SMTPWEB_EGRESS_PORTS=22,25,465,587,2465,2525,2587" in report.advice[-1]


def test_own_service_is_refused_through_the_check(check: Check) -> None:
    with fake_smtp() as server:
        own = frozenset({("localhost", server.port)})
        report = check(server.target(policy=EgressPolicy.parse("127.0.0.0/8", "*", own=own)))
    assert report.code == "SMTP_POLICY_OWN_SERVICE"
    assert server.connections == 0
