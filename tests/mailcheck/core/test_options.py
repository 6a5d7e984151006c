"""The advanced options of a check: what is accepted, what is automatic, what is refused."""

from __future__ import annotations

import ipaddress

import pytest

from smtpweb.mailcheck.core import options
from smtpweb.mailcheck.core.options import OptionError
from smtpweb.mailcheck.protocol import oauth, sasl


def test_mechanisms_are_those_that_are_built() -> None:
    assert set(options.PASSWORD_MECHANISMS) == set(sasl.ORDER_OVER_TLS)
    assert options.TOKEN_MECHANISMS == oauth.ORDER


@pytest.mark.parametrize("text", [*options.MECHANISMS, "plain", " xoauth2 "])
def test_mechanism_is_read_in_any_case(text: str) -> None:
    assert options.parse_mechanism(text) == text.strip().upper()


@pytest.mark.parametrize("text", ["NTLM", "PLAIN LOGIN", "PLAIN\r\nMAIL", "X", "XOAUTH"])
def test_mechanism_that_is_not_built_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="Must be one of PLAIN, LOGIN"):
        options.parse_mechanism(text)


def test_mechanism_must_fit_the_way_of_signing_in() -> None:
    assert options.parse_mechanism("XOAUTH2", token=True) == "XOAUTH2"
    assert options.parse_mechanism("plain", token=False) == "PLAIN"
    with pytest.raises(OptionError, match="Must be one of OAUTHBEARER, XOAUTH2"):
        options.parse_mechanism("PLAIN", token=True)
    with pytest.raises(OptionError, match="Must be one of PLAIN"):
        options.parse_mechanism("XOAUTH2", token=False)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("app.example.com", "app.example.com"), ("App.Example.COM.", "app.example.com"),
        ("[192.0.2.1]", "[192.0.2.1]"), ("192.0.2.1", "[192.0.2.1]"),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"), ("bücher.example", "xn--bcher-kva.example"),
    ],
)  # fmt: skip
def test_ehlo_name_is_a_full_name_or_a_literal(text: str, name: str) -> None:
    assert options.parse_ehlo_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "localhost", "app", "a b.example", "a.example\r\nMAIL FROM:<x>", "http://a.example",
        "-.example", "[192.0.2.300]", "x" * 64 + ".example",
    ],
)  # fmt: skip
def test_ehlo_name_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="Must be a full host name"):
        options.parse_ehlo_name(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"), (" [2001:db8::7] ", "2001:db8::7"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)  # fmt: skip
def test_source_address_is_an_ip_address(text: str, address: str) -> None:
    assert options.parse_source_address(text) == ipaddress.ip_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "eth0", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1%eth0", "10.0.0.0/8", "1",
        "255.255.255.255", "::ffff:0.0.0.0",
    ],
)  # fmt: skip
def test_source_address_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="IP address of this machine"):
        options.parse_source_address(text)


def test_options_left_empty_are_automatic() -> None:
    assert options.parse_mechanism(" ") == ""
    assert options.parse_ehlo_name("") == ""
    assert options.parse_source_address("") is None
